"""What a model brings along: used wherever the caller did not say otherwise.

A model of the store may carry instructions, messages, parameters and adapters
(`localkit.store.recipe`). They are defaults: an option that is given, or a system
message in the conversation, takes their place. Results say in their receipt which
were used. Measurements take none of them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.chat.messages import Message
from localkit.errors import ModelfileInvalid
from localkit.runtime.params import Adapter, LoadParams
from localkit.store.modelfile.parameters import PARAMETERS, RETIRED, checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.store import StoredModel

_SAME_NAME = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "xtc_probability",
    "xtc_threshold",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
)
_NO_DEFAULTS = LoadParams()


class Defaults(NamedTuple):
    """Options of a model, by the names that `localkit.asking.options` knows."""

    sampling: Mapping[str, Any]
    serve: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    """Parameters that it carries and that have no effect, and why."""


NONE = Defaults({}, {})


def defaults_of(stored: StoredModel, *, n_ctx: int) -> Defaults:
    """Return what ``stored`` brings along for sampling and serving.

    Raises:
        ManifestInvalid, BlobCorrupt: its parameters cannot be read or were changed.
    """
    params, notes = _params(stored)
    sampling: dict[str, Any] = {
        name: params[name] for name in _SAME_NAME if name in params
    }
    for name in ("stop", "dry_sequence_breakers"):
        if name in params:
            sampling[name] = tuple(params[name])
    if "repeat_last_n" in params:
        n_last = params["repeat_last_n"]
        sampling["repeat_last_n"] = n_ctx if n_last < 0 else n_last
    if params.get("seed", -1) >= 0:
        sampling["seed"] = params["seed"]
    if params.get("num_predict", -1) > 0:
        sampling["max_tokens"] = params["num_predict"]
    serve: dict[str, Any] = {}
    if stored.adapters:
        serve["adapters"] = tuple(Adapter(path) for path in stored.adapters)
    n_draft = params.get("draft_num_predict")
    if n_draft:
        serve["n_draft"] = n_draft
    if stored.draft is not None and n_draft != 0:
        serve["speculate"] = "draft"
    return Defaults(sampling, serve, notes)


def load_defaults(stored: StoredModel, asked: LoadParams) -> LoadParams:
    """Return ``asked`` with what ``stored`` brings along where it does not say.

    A batch of the usual size counts as not said.

    Raises:
        ManifestInvalid, BlobCorrupt: its parameters cannot be read or were changed.
    """
    params, _ = _params(stored)
    of_model: dict[str, Any] = {"projector": stored.projector}
    if params.get("draft_num_predict") != 0:
        of_model["draft"] = stored.draft
    of_model["n_ctx"] = params.get("num_ctx") or None
    of_model["n_threads"] = params.get("num_thread") or None
    of_model["n_batch"] = params.get("num_batch")
    if params.get("num_gpu", -1) >= 0:
        of_model["n_gpu_layers"] = params["num_gpu"]
    unsaid = {
        name: value
        for name, value in of_model.items()
        if value is not None and getattr(asked, name) == getattr(_NO_DEFAULTS, name)
    }
    return dataclasses.replace(asked, **unsaid)


class Opening(NamedTuple):
    """A conversation with what the model puts before it."""

    messages: tuple[Message, ...]
    of_model: tuple[str, ...]
    """What came from the model: ``system``, ``2 messages``."""


def opened(stored: StoredModel, messages: tuple[Message, ...]) -> Opening:
    """Put before a conversation what ``stored`` brings along.

    Instructions come first: the conversation's, else the model's. Then its messages,
    then the conversation. Those of its messages that are instructions give way to the
    conversation's.

    Raises:
        ManifestInvalid, BlobCorrupt: a layer cannot be read or was changed.
    """
    of_model = []
    examples = [Message(one["role"], one["content"]) for one in stored.messages]  # type: ignore[arg-type] # Message checks the role
    lead: tuple[Message, ...] = ()
    if any(one.role == "system" for one in messages):
        examples = [one for one in examples if one.role != "system"]
        while messages and messages[0].role == "system":
            lead, messages = (*lead, messages[0]), messages[1:]
    elif stored.system:
        lead = (Message("system", stored.system),)
        of_model.append("system")
    if examples:
        of_model.append(f"{len(examples)} message{'s' if len(examples) > 1 else ''}")
    return Opening((*lead, *examples, *messages), tuple(of_model))


def _params(stored: StoredModel) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the parameters that are understood, and a note on each other one."""
    understood: dict[str, Any] = {}
    notes = []
    for name, value in stored.params.items():
        if name in RETIRED or value is None:
            continue
        known = PARAMETERS.get(name)
        if known is not None and known.kind == "integer" and isinstance(value, float):
            # Written by a program that has no integers.
            value = int(value) if value.is_integer() else value
        try:
            understood[name] = checked(name, value)
        except ModelfileInvalid as error:
            notes.append(f"the model's {name[:60]} has no effect: {error}")
    return understood, tuple(notes)
