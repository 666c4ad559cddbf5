"""The parameters that a model can carry: names, kinds, ranges, and what they do.

Names and kinds are Ollama's (``api/types.go``, ``Options``), and those of the
sampling params that it has no names for, which it ignores in a manifest.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from localkit.errors import ModelfileInvalid
from localkit.store.go_json import shortest_float32

Kind = Literal["integer", "number", "truth", "texts"]

MAX_TEXTS = 128
"""Stop texts, or sequence breakers, that a model may carry."""
MAX_TEXT = 4096
"""Characters that one may have."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_TRUTHS = {
    text: truth
    for truth, texts in (
        (True, ("1", "t", "T", "TRUE", "true", "True")),
        (False, ("0", "f", "F", "FALSE", "false", "False")),
    )
    for text in texts
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is known about one parameter."""

    kind: Kind
    does: str
    low: float = -math.inf
    high: float = math.inf
    has_effect: bool = True
    """Whether anything here reads it; `does` says why not."""


_INT32 = 2**31 - 1
_WINDOW = 2**20

PARAMETERS: Mapping[str, Parameter] = {
    # Sampling.
    "temperature": Parameter("number", "0: the most likely token every time", 0, 100),
    "top_k": Parameter("integer", "tokens to choose among; 0: no limit", 0, _INT32),
    "top_p": Parameter("number", "…among the likeliest of this share", 0, 1),
    "min_p": Parameter("number", "…at least this likely beside the likeliest", 0, 1),
    "typical_p": Parameter("number", "locally typical sampling; 1: off", 0, 1),
    "repeat_penalty": Parameter("number", "1: off", 0.01, 100),
    "repeat_last_n": Parameter(
        "integer", "tokens looked back at; -1: the whole context", -1, _WINDOW
    ),
    "presence_penalty": Parameter("number", "0: off", -2, 2),
    "frequency_penalty": Parameter("number", "0: off", -2, 2),
    "mirostat": Parameter("integer", "version 1 or 2; 0: off", 0, 2),
    "mirostat_tau": Parameter("number", "surprise aimed at", 0, 100),
    "mirostat_eta": Parameter("number", "how fast it adapts", 0, 1),
    "xtc_probability": Parameter("number", "drop the top choices; 0: off", 0, 1),
    "xtc_threshold": Parameter("number", "what counts as a top choice", 0, 1),
    "dry_multiplier": Parameter("number", "penalty on repeats; 0: off", 0, 100),
    "dry_base": Parameter("number", "how it grows with length", 1, 100),
    "dry_allowed_length": Parameter("integer", "free length", 1, _WINDOW),
    "dry_penalty_last_n": Parameter("integer", "-1: the context", -1, _WINDOW),
    "dry_sequence_breakers": Parameter("texts", "texts that end a repeat"),
    "seed": Parameter("integer", "same seed, same answer; -1: drawn", -1, 2**32 - 2),
    "num_predict": Parameter(
        "integer", "most tokens of an answer; below 0: until it stops", -2, _INT32
    ),
    "stop": Parameter("texts", "text that ends the answer; may stand several times"),
    "draft_num_predict": Parameter("integer", "tokens guessed; 0: none", 0, 64),
    # Loading.
    "num_ctx": Parameter("integer", "context length; 0: chosen", 0, 2**27),
    "num_batch": Parameter("integer", "tokens of one decode call", 1, _WINDOW),
    "num_gpu": Parameter("integer", "layers on a GPU; -1: as many as fit", -1, 9999),
    "num_thread": Parameter("integer", "engine threads; 0: chosen", 0, 1024),
    # Of Ollama, without a meaning here.
    "num_keep": Parameter(
        "integer",
        "no effect: the oldest tokens are dropped only with context_shift",
        -1,
        _WINDOW,
        has_effect=False,
    ),
    "main_gpu": Parameter(
        "integer", "no effect: devices are chosen", 0, 128, has_effect=False
    ),
    "use_mmap": Parameter(
        "truth", "no effect: weights are mapped where they can be", has_effect=False
    ),
}

_NO_SUCH_SETTING = "left out: newer engines have no such setting"
RETIRED: Mapping[str, str] = {
    "embedding_only": _NO_SUCH_SETTING,
    "f16_kv": _NO_SUCH_SETTING,
    "logits_all": _NO_SUCH_SETTING,
    "low_vram": _NO_SUCH_SETTING,
    "num_gqa": _NO_SUCH_SETTING,
    "numa": _NO_SUCH_SETTING,
    "penalize_newline": _NO_SUCH_SETTING,
    "rope_frequency_base": _NO_SUCH_SETTING,
    "rope_frequency_scale": _NO_SUCH_SETTING,
    "tfs_z": _NO_SUCH_SETTING,
    "use_mlock": _NO_SUCH_SETTING,
    "vocab_only": _NO_SUCH_SETTING,
}
"""Parameters of older Ollamas, with what becomes of them."""


def known(name: str, *, line: int | None = None) -> Parameter:
    """Return what is known about a parameter.

    Raises:
        ModelfileInvalid: there is none of that name; names the nearest.
    """
    found = PARAMETERS.get(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), PARAMETERS, n=3, cutoff=0.5)
        raise ModelfileInvalid(
            f"{_at(line)}unknown parameter '{name[:60]}'",
            hint=f"did you mean {', '.join(near)}?"
            if near
            else f"there are {', '.join(PARAMETERS)}",
            line=line,
        )
    return found


def from_text(name: str, text: str, *, line: int | None = None) -> Any:
    """Return the value that someone wrote; one text of several for `stop`.

    Raises:
        ModelfileInvalid: unknown, not of its kind, or out of range.
    """
    kind = known(name, line=line).kind
    value: Any = text
    if kind == "integer" and _INTEGER.fullmatch(text):
        value = int(text)
    elif kind == "truth":
        value = _TRUTHS.get(text, text)
    elif kind == "number":
        try:
            value = float(text) if "_" not in text else text
        except ValueError:
            value = text
    elif kind == "texts":
        value = [text]
    return checked(name, value, line=line)


def checked(name: str, value: Any, *, line: int | None = None) -> Any:
    """Return a value as it is stored.

    Raises:
        ModelfileInvalid: unknown, not of its kind, or out of range.
    """
    parameter = known(name, line=line)
    if parameter.kind == "texts":
        return _texts(name, value, line)
    is_truth = isinstance(value, bool)
    fits = {
        "truth": is_truth,
        "integer": isinstance(value, int) and not is_truth,
        "number": isinstance(value, int | float) and not is_truth,
    }[parameter.kind]
    if not fits:
        kinds = {"truth": "true or false", "integer": "a whole number"}
        raise ModelfileInvalid(
            f"{_at(line)}{name} is {str(value)[:60]!r}, "
            f"not {kinds.get(parameter.kind, 'a number')}",
            hint=f"{name}: {parameter.does}",
            line=line,
        )
    if parameter.kind == "truth":
        return value
    if not parameter.low <= value <= parameter.high:
        raise ModelfileInvalid(
            f"{_at(line)}{name} is {value}",
            hint=f"give a value from {parameter.low:.0f} to {parameter.high:.0f}"
            if parameter.kind == "integer"
            else f"give a value from {parameter.low:g} to {parameter.high:g}",
            line=line,
        )
    return shortest_float32(value) if parameter.kind == "number" else value


def checked_all(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value as it is stored; None leaves one out.

    Raises:
        ModelfileInvalid: one is unknown, not of its kind, or out of range.
    """
    return {
        name: checked(name, value)
        for name, value in params.items()
        if value is not None
    }


def _texts(name: str, value: Any, line: int | None) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if (
        not isinstance(texts, Sequence)
        or len(texts) > MAX_TEXTS
        or not all(isinstance(one, str) and 0 < len(one) <= MAX_TEXT for one in texts)
    ):
        raise ModelfileInvalid(
            f"{_at(line)}{name} is {str(value)[:60]!r}",
            hint=f"give a text of at most {MAX_TEXT} characters, or up to {MAX_TEXTS}",
            line=line,
        )
    return list(texts)


def _at(line: int | None) -> str:
    return "" if line is None else f"(line {line}): "
