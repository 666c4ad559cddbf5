"""A node of llama.cpp's compute graph, as its scheduler shows it to a callback.

The layout is ggml's ``struct ggml_tensor`` (``ggml/include/ggml.h``), which the
binding does not declare. `check_layout` holds it to the loaded library.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from localkit.errors import EngineMissing
from localkit.runtime import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OBJECT_SIZE: Final = 32  # sizeof(struct ggml_object), stands before every tensor
_DTYPES: Final = {0: np.dtype("<f4"), 26: np.dtype("<i4")}


class Node(ctypes.Structure):
    """``struct ggml_tensor``."""

    _fields_ = [  # ctypes reads a list
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
        ("extra", ctypes.c_void_p),
        ("padding", ctypes.c_char * 8),
    ]

    def source(self, index: int) -> Node:
        """Return the node's operand ``index``."""
        return Node.from_address(self.src[index])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Elements along each dimension, row length first."""
        n0, n1, n2, n3 = self.ne
        return n0, n1, n2, n3

    @property
    def weight_name(self) -> str:
        """Name without what a scheduler puts around it: ``CUDA0#blk.0.…#0``."""
        name: str = self.name.decode(errors="replace")
        return name.split("#")[1] if "#" in name else name

    def values(self) -> NDArray[Any]:
        """Return a copy of the elements, last dimension first, from any device.

        The rows may lie apart, as a view's do.
        """
        ggml = _functions()
        address = ctypes.addressof(self)
        raw = (ctypes.c_char * ggml.ggml_nbytes(address))()
        ggml.ggml_backend_tensor_get(address, raw, 0, len(raw))
        return np.ndarray(
            self.shape[::-1], _DTYPES[self.type], raw, strides=tuple(self.nb[::-1])
        )


def check_layout() -> None:
    """Check that a node is as large as the loaded library's.

    Raises:
        EngineMissing: it is not; the engine is of another version.
    """
    size = _functions().ggml_tensor_overhead() - _OBJECT_SIZE
    if size != ctypes.sizeof(Node):
        msg = f"a tensor of this engine has {size} bytes, not {ctypes.sizeof(Node)}"
        raise EngineMissing(msg, hint="install the engine that pyproject.toml names")


def op_number(name: str) -> int:
    """Return the number of the operation that ggml calls ``name``."""
    ggml = _functions()
    numbers = range(256)
    return next(n for n in numbers if ggml.ggml_op_name(n).decode() == name)


def _functions() -> Any:
    ggml = library.ggml()
    for name, restype, argtypes in (
        ("ggml_nbytes", ctypes.c_size_t, [ctypes.c_void_p]),
        ("ggml_tensor_overhead", ctypes.c_size_t, []),
        ("ggml_op_name", ctypes.c_char_p, [ctypes.c_int]),
        (
            "ggml_backend_tensor_get",
            None,
            [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t],
        ),
    ):
        function = getattr(ggml, name)
        function.restype, function.argtypes = restype, argtypes
    return ggml
