"""A folder of safetensors weights, as Hugging Face's libraries write it.

Everything is looked at here before a converter reads a byte: which files there are,
that none leads out of the folder, that the weights are whole, that there is a
tokenizer. Nothing of the folder is run: Python files and pickles, which can run code
when they are read, are never handed on.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.errors import ConvertFailed, SourceNotFound
from localkit.io.folders import names_in
from localkit.io.regular import open_regular
from localkit.store.importing.safetensors_file import check_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TEXT_SIZE = 64 << 20
"""Bytes of one text file; tokenizers of 262144 tokens take about 35 MiB."""
MAX_FILES = 4096
_INDEX = "model.safetensors.index.json"
_PICKLES = re.compile(r".*\.(bin|pt|pth|ckpt|pkl|pickle)", re.IGNORECASE)
_TEXTS = re.compile(
    r"[\w.+-]+\.(json|jsonl|txt|model|jinja|tiktoken|md)", re.IGNORECASE
)
_TOKENIZERS = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "vocab.txt",
        "vocab.json",
        "spiece.model",
        "sentencepiece.bpe.model",
        "tekken.json",
        "rwkv_vocab_v20230424.txt",
    }
)


@dataclass(frozen=True, slots=True)
class WeightsFolder:
    """A folder that may be given to the converter."""

    path: Path
    architecture: str
    """As its ``config.json`` says: ``LlamaForCausalLM``."""
    weights: tuple[Path, ...]
    """Safetensors files, by name."""
    texts: tuple[Path, ...]
    """Config, tokenizer and model card; those of sub-folders too."""
    size: int
    """Bytes of the weights."""


def is_weights_folder(folder: Path) -> bool:
    """Return whether a folder looks like weights for the converter, sound or not."""
    return any(
        name == "config.json" or name.endswith(".safetensors") or _PICKLES.match(name)
        for name in _names(folder)
    )


def check_weights_folder(folder: Path) -> WeightsFolder:
    """Return what the folder holds, or refuse it.

    Raises:
        ConvertFailed: weights, config or tokenizer are missing, damaged or of a kind
            that is not read; says which file.
        SourceNotFound: the folder cannot be read.
    """
    names = _names(folder)
    if "adapter_config.json" in names:
        raise ConvertFailed(
            f"'{folder}' holds a LoRA adapter in safetensors, not a model",
            hint="convert it with llama.cpp's convert_lora_to_gguf.py, "
            "then `add FILE --adapter-of MODEL`",
        )
    found = sorted(name for name in names if name.endswith(".safetensors"))
    if not found:
        raise _without_weights(folder, names)
    inside = _inside(folder)
    weights = tuple(_kept_inside(folder / name, inside) for name in found)
    texts = tuple(
        _kept_inside(path, inside) for path in _text_files(folder, names, inside)
    )
    architecture = _architecture(folder, names)
    _check_index(folder, names, found)
    readable = {path.name for path in texts}
    if not _TOKENIZERS & readable and not any(
        name.endswith(".tiktoken") for name in readable
    ):
        raise ConvertFailed(
            f"'{folder}' holds no tokenizer",
            hint="put the tokenizer's files beside the weights: tokenizer.json, "
            "tokenizer.model or vocab.txt",
        )
    size = sum(check_safetensors(path) for path in weights)
    return WeightsFolder(folder, architecture, weights, texts, size)


def read_json(path: Path) -> Any:
    """Return the JSON in a file of the folder.

    Raises:
        ConvertFailed: it is too large, or not JSON.
        SourceNotFound: there is no plain file.
    """
    with open_regular(path) as stream:
        data = stream.read(MAX_TEXT_SIZE + 1) or b""
    if len(data) > MAX_TEXT_SIZE:
        raise ConvertFailed(
            f"'{path}' is larger than {MAX_TEXT_SIZE >> 20} MiB",
            hint="get the folder again from its publisher",
        )
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "it nests too deep" if isinstance(error, RecursionError) else error
        raise ConvertFailed(
            f"'{path}' is not JSON: {reason}", hint="get the file again"
        ) from error


def _names(folder: Path) -> list[str]:
    names = names_in(folder)
    if len(names) > MAX_FILES:
        raise SourceNotFound(
            f"'{folder}' holds {len(names)} files, more than {MAX_FILES}",
            hint="give the folder of one model",
        )
    return names


def _without_weights(folder: Path, names: Iterable[str]) -> ConvertFailed:
    pickles = [name for name in names if _PICKLES.fullmatch(name)]
    if pickles:
        return ConvertFailed(
            f"'{folder}' holds {pickles[0]}, a pickle, which can run code when it is "
            "read, and no safetensors",
            hint="text and safetensors only: get the model's safetensors files, which "
            "most publishers offer beside it",
        )
    return ConvertFailed(
        f"'{folder}' holds no weights", hint="give a folder with .safetensors files"
    )


def _inside(folder: Path) -> Path:
    """Return where the folder's links may lead.

    Hugging Face's cache keeps a model's files as links from ``snapshots/REVISION``
    to ``blobs`` beside it.
    """
    real = folder.resolve()
    repo = real.parent.parent
    in_cache = real.parent.name == "snapshots" and repo.name.startswith("models--")
    return repo if in_cache else real


def _kept_inside(path: Path, inside: Path) -> Path:
    # Not Path.resolve: Python before 3.13 raises on a loop of links.
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
        raise ConvertFailed(
            f"'{path}' is a link that leads out of its folder",
            hint="put the file itself in its place",
        )
    open_regular(path).close()
    return path


def _text_files(folder: Path, names: Iterable[str], inside: Path) -> list[Path]:
    """Return config and tokenizer files; sub-folders give their configs."""
    found = []
    for name in names:
        path = folder / name
        if _TEXTS.fullmatch(name) and not path.is_dir():
            found.append(path)
        # Pooling of sentence-transformers: 1_Pooling/config.json.
        elif (
            re.fullmatch(r"\d+_\w+", name)
            and (path / "config.json").is_file()
            and Path(os.path.realpath(path)).is_relative_to(inside)
        ):
            found.append(path / "config.json")
    return found


def _architecture(folder: Path, names: Iterable[str]) -> str:
    if "config.json" not in names:
        raise ConvertFailed(
            f"'{folder}' holds no config.json, which says what the model is",
            hint="get it from where the weights came from",
        )
    config = read_json(folder / "config.json")
    found = config.get("architectures") if isinstance(config, dict) else None
    first = found[0] if isinstance(found, list) and found else None
    if not isinstance(first, str) or not re.fullmatch(r"\w{1,100}", first):
        raise ConvertFailed(
            f"'{folder / 'config.json'}' names no architecture",
            hint='it needs "architectures": ["…"], as transformers writes it',
        )
    return first


def _check_index(folder: Path, names: Iterable[str], found: Iterable[str]) -> None:
    """Refuse an index whose files are missing, or lie elsewhere."""
    if _INDEX not in names:
        return
    index = read_json(folder / _INDEX)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict):
        raise ConvertFailed(
            f"'{folder / _INDEX}' has no weight_map", hint="get the file again"
        )
    missing = sorted({str(one) for one in places.values()} - set(found))
    if missing:
        shown = ", ".join(name[:80] for name in missing[:3])
        raise ConvertFailed(
            f"{len(missing)} files of the weights are not in '{folder}': {shown}",
            hint="get them and put them into the folder",
        )
