"""Typed access to a header's metadata: a value is right, absent, or an error."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, overload

from localkit.errors import GGUFError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.gguf.reader import Value


class Fields:
    """A header's metadata, asked by key and by what the value must be.

    A key that begins with a dot belongs to the architecture:
    ``.context_length`` stands for ``llama.context_length`` in a llama.
    """

    __slots__ = ("_kv", "architecture")

    def __init__(self, kv: Mapping[str, Value]) -> None:
        """Look at ``kv``.

        Raises:
            GGUFError: the architecture is missing.
        """
        self._kv = kv
        self.architecture = ""
        architecture = self.text("general.architecture")
        if not architecture:
            raise GGUFError(
                "general.architecture is missing: the file does not say what it holds",
                field="general.architecture",
            )
        self.architecture = architecture

    def full(self, key: str) -> str:
        """Return the key as the file has it."""
        return self.architecture + key if key.startswith(".") else key

    def has(self, key: str) -> bool:
        """Return whether the file has the key."""
        return self.full(key) in self._kv

    def raw(self, key: str) -> Value | None:
        """Return the value as it was read."""
        return self._kv.get(self.full(key))

    @overload
    def text(self, key: str) -> str | None: ...
    @overload
    def text(self, key: str, default: str) -> str: ...
    def text(self, key: str, default: str | None = None) -> str | None:
        """Return a string, or ``default`` when the key is absent."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(key, "a string")
        return value

    def integer(self, key: str, default: int = 0) -> int:
        """Return an integer, or ``default`` when the key is absent."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, "an integer")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a bool, or ``default`` when the key is absent."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(key, "a bool")
        return value

    def per_layer(self, key: str, n_layers: int, default: int = 0) -> tuple[int, ...]:
        """Return one integer for each layer, given once or as an array."""
        value = self.raw(key)
        if isinstance(value, array):
            if value.typecode in "fd":
                raise self._wrong(key, "integers")
            if len(value) != n_layers:
                raise GGUFError(
                    f"{self.full(key)} has {len(value)} values for {n_layers} layers",
                    field=self.full(key),
                )
            return tuple(value)
        return (self.integer(key, default),) * n_layers

    def texts(self, key: str) -> tuple[bytes, ...]:
        """Return an array of undecoded strings; empty when the key is absent."""
        value = self.raw(key)
        if value is None:
            return ()
        if isinstance(value, array) and not value:
            return ()
        if not isinstance(value, tuple):
            raise self._wrong(key, "an array of strings")
        return value

    def numbers(self, key: str) -> array[Any] | None:
        """Return an array of numbers, None when the key is absent."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, array):
            raise self._wrong(key, "an array of numbers")
        return value

    def _wrong(self, key: str, wanted: str) -> GGUFError:
        shown = repr(self.raw(key))
        if len(shown) > 40:
            shown = f"{shown[:40]}…"
        return GGUFError(
            f"{self.full(key)} is {shown}, not {wanted}", field=self.full(key)
        )
