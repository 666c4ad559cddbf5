"""The options that everything which makes text takes, as keyword arguments."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from localkit.asking.defaults import NONE, Defaults
from localkit.chat.parsing import class_of
from localkit.config import settings
from localkit.errors import UsageError
from localkit.runtime.params import (
    Adapter,
    Priority,
    SamplingParams,
    ServeParams,
    Speculation,
)

if TYPE_CHECKING:
    from localkit.chat.tools import ToolLike
    from localkit.events import CancelToken


class Options(TypedDict, total=False):
    """Sampling and serving; by default the model's own, else as in `SamplingParams`."""

    params: SamplingParams | None
    """All sampling params at once, none of them the model's; the others here are put
    over them."""
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    repeat_penalty: float
    repeat_last_n: int
    frequency_penalty: float
    presence_penalty: float
    xtc_probability: float
    xtc_threshold: float
    dry_multiplier: float
    dry_base: float
    dry_allowed_length: int
    dry_penalty_last_n: int
    dry_sequence_breakers: Sequence[str]
    mirostat: Literal[0, 1, 2]
    mirostat_tau: float
    mirostat_eta: float
    logit_bias: Mapping[int, float]
    """Number added to a token's logit; ``-inf`` forbids it."""
    seed: int | None
    max_tokens: int | None
    stop: str | Sequence[str]
    top_logprobs: int | None
    prompt_logprobs: int | None
    structure: Any
    """JSON Schema, pydantic class, list of choices, compiled regex or ``"json"``."""
    adapters: Sequence[Adapter | str | Path]
    """LoRA adapters: files, or `Adapter` with a scale."""
    speculate: Speculation
    n_draft: int
    context_shift: bool
    priority: Priority
    on_text: Callable[[str], None] | None
    """Called with new text as it comes, on the calling thread."""
    cancel: CancelToken | None
    """Raise it to stop; Ctrl-C does the same."""


class ChatOptions(Options, total=False):
    """Options of a conversation as well; see `localkit.model.Model.chat`."""

    system: str | None
    tools: Iterable[ToolLike]
    tool_choice: str
    tool_prompt: bool
    think: bool | None


class Asked(NamedTuple):
    """Options in the runtime's own terms."""

    sampling: SamplingParams
    serve: ServeParams
    capped: bool
    """Whether ``max_tokens`` is the settings', not the caller's or the model's."""
    of_model: tuple[str, ...] = ()
    """Options that the model brought along."""
    notes: tuple[str, ...] = ()
    """What the model brought along in vain."""
    form: Any = None
    """Pydantic class that the structure was made of, to read the answer into."""


_SAMPLING = {field.name for field in dataclasses.fields(SamplingParams)}
_CALL = {"on_text", "cancel"}
_SERVE = {field.name for field in dataclasses.fields(ServeParams)}


def as_asked(
    options: Mapping[str, Any],
    *,
    priority: Priority | None = None,
    defaults: Defaults = NONE,
) -> Asked:
    """Return ``options`` as params.

    Args:
        options: By name.
        priority: The default one.
        defaults: What the model brings along.

    Raises:
        UsageError: there is no such option; names the nearest.
        GrammarInvalid: the structure is of no form that can be compiled.
    """
    given = {name: options[name] for name in options.keys() - _CALL}
    whole = given.pop("params", None)
    sampling = whole or SamplingParams()
    if priority is not None:
        given.setdefault("priority", priority)
    _refuse_unknown(given)
    unsaid = _unsaid(given, defaults, whole=whole)
    given |= unsaid
    over = {name: given[name] for name in given.keys() & _SAMPLING}
    serve = {name: given[name] for name in given.keys() & _SERVE}
    form = class_of(over.get("structure"))
    if "structure" in over:
        over["structure"] = _as_structure(over["structure"])
    if "stop" in over:
        over["stop"] = _texts(over["stop"])
    if "dry_sequence_breakers" in over:
        over["dry_sequence_breakers"] = _texts(over["dry_sequence_breakers"])
    if isinstance(over.get("logit_bias"), Mapping):
        over["logit_bias"] = tuple(over["logit_bias"].items())
    if "adapters" in serve:
        serve["adapters"] = tuple(_as_adapter(one) for one in serve["adapters"])
    sampling = dataclasses.replace(sampling, **over)
    capped = sampling.max_tokens is None
    if capped:
        sampling = dataclasses.replace(sampling, max_tokens=settings().max_tokens)
    of_model = tuple(sorted(unsaid))
    return Asked(sampling, ServeParams(**serve), capped, of_model, defaults.notes, form)


def _unsaid(
    given: Mapping[str, Any], defaults: Defaults, *, whole: SamplingParams | None
) -> dict[str, Any]:
    """Return what the model brings along and the caller does not say."""
    of_model = {**({} if whole else defaults.sampling), **defaults.serve}
    if given.get("exact"):  # goes without speculation
        of_model.pop("speculate", None)
    return {name: value for name, value in of_model.items() if name not in given}


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    known = _SAMPLING | _SERVE
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(near)}?" if near else "see SamplingParams"
            msg = f"there is no option '{name}'"
            raise UsageError(msg, hint=hint)


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _as_structure(value: object) -> object:
    if value is None:
        return None
    from localkit.runtime.structured.forms import as_structure

    return as_structure(value)


def _as_adapter(value: Adapter | str | Path) -> Adapter:
    return value if isinstance(value, Adapter) else Adapter(Path(value))
