"""LoRA adapters of one model. Owner thread only."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any

from localkit.errors import AdapterInvalid, GGUFError
from localkit.gguf.reader import read_header
from localkit.runtime import logs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.runtime.engine.context import Context
    from localkit.runtime.params import Adapter


class Adapters:
    """Loads each adapter file once and puts them on a context."""

    def __init__(self, engine: Any, model: Any, context: Context) -> None:
        """Start without adapters; llama.cpp frees them with the model."""
        self._engine = engine
        self._model = model
        self._context = context
        self._loaded: dict[Path, Any] = {}

    def put_on(self, adapters: Sequence[Adapter]) -> None:
        """Compute with ``adapters`` from now on, and with no others.

        Raises:
            AdapterInvalid: a file is missing, broken or made for another model.
        """
        engine = self._engine
        loaded = [self._load(adapter.path) for adapter in adapters]
        pointers = (engine.llama_adapter_lora_p_ctypes * len(loaded))(*loaded)
        scales = (ctypes.c_float * len(loaded))(*(one.scale for one in adapters))
        self._context.put_adapters_on(pointers, scales)

    def _load(self, path: Path) -> Any:
        if path not in self._loaded:
            _check(path)
            with logs.captured() as lines:
                adapter = self._engine.llama_adapter_lora_init(
                    self._model, str(path).encode()
                )
            if not adapter:
                told = logs.errors(lines)
                msg = (
                    f"llama.cpp refused {path.name}: {told[0] if told else 'no reason'}"
                )
                raise AdapterInvalid(
                    msg, hint="take an adapter made for this very model"
                )
            self._loaded[path] = adapter
        return self._loaded[path]


# What llama.cpp reads: a value of another type aborts the process.
_KEYS: tuple[tuple[str, type], ...] = (
    ("general.type", str),
    ("general.architecture", str),
    ("adapter.type", str),
    ("adapter.lora.alpha", float),
)
# The key, and the type that llama.cpp asks for: a double aborts as well.
_ALPHA = b"adapter.lora.alpha" + struct.pack("<I", 6)


def _check(path: Path) -> None:
    """Refuse what is no adapter, or would abort llama.cpp, before it opens it."""
    if not path.is_file():
        msg = f"there is no adapter {path}"
        raise AdapterInvalid(msg, hint="give the path of a LoRA adapter in GGUF")
    hint = "convert it with llama.cpp's convert_lora_to_gguf.py"
    try:
        header = read_header(path)
    except GGUFError as error:
        msg = f"{path.name} is not an adapter: {error}"
        raise AdapterInvalid(msg, hint=hint) from error
    kind = header.kv.get("general.type")
    if kind != "adapter":
        msg = f"{path.name} is not an adapter: its general.type is {kind!r}"
        raise AdapterInvalid(msg, hint=hint)
    for key, wanted in _KEYS:
        value = header.kv.get(key)
        if not isinstance(value, wanted):
            msg = f"{path.name} is not an adapter: {key} is {value!r}"
            raise AdapterInvalid(msg, hint=hint)
    with path.open("rb") as file:
        raw = file.read(header.data_offset)
    if _ALPHA not in raw:
        msg = f"{path.name} is not an adapter: adapter.lora.alpha is no 32-bit float"
        raise AdapterInvalid(msg, hint=hint)
