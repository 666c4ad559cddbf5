"""GGUF files: a bounded header reader, what it says, whether it may be loaded."""

from localkit.gguf.info import LayerCache, ModelInfo, TypeShare
from localkit.gguf.read import read_info
from localkit.gguf.reader import Header, read_header

__all__ = [
    "Header",
    "LayerCache",
    "ModelInfo",
    "TypeShare",
    "read_header",
    "read_info",
]
