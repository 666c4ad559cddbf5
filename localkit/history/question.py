"""A question with everything that decides its answer, and the key that stands for it.

It is made before the model is loaded, so that an answer which is known costs no load.
What the model brings along (template, instructions, parameters, adapters) is covered
by the digest of its manifest.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.chat.messages import Message, as_messages
from localkit.chat.tools import as_tools
from localkit.config import settings
from localkit.errors import SourceNotFound, UsageError
from localkit.history.messages import message_to_dict
from localkit.io.hashing import hash_stream
from localkit.io.regular import open_regular
from localkit.runtime.params import Adapter, LoadParams, SamplingParams
from localkit.runtime.structured.forms import as_structure
from localkit.store.digest import digest_of_name
from localkit.version import __version__

if TYPE_CHECKING:
    from localkit.chat.messages import MessageLike
    from localkit.store import StoredModel

NOT_DECISIVE = {
    "on_text": "says who listens",
    "cancel": "says who may stop it; an answer that was stopped is not kept",
    "stream": "says how the answer is handed out",
    "priority": "says when it is computed",
}
"""Options that decide nothing about an answer, and why."""
_TEXTS = ("stop", "dry_sequence_breakers")


@dataclass(frozen=True)
class Question:
    """What is asked of which model, and how.

    Raises:
        UsageError: both messages and a raw prompt are given, or neither.
    """

    stored: StoredModel = field(repr=False)
    load: LoadParams = field(default_factory=LoadParams)
    """As it was asked for; what is None is the model's."""
    messages: str | MessageLike | Sequence[MessageLike] | None = field(
        default=None, repr=False
    )
    """The conversation, as `Model.chat` takes it."""
    prompt: str | None = field(default=None, repr=False)
    """Text to go on with, as `Model.generate` takes it."""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What `Model.chat` or `Model.generate` gets as keywords."""
    nth: int = 0
    """Which of several answers to the same question."""

    def __post_init__(self) -> None:
        """Refuse what is no question."""
        if (self.messages is None) == (self.prompt is None):
            msg = "a question is a conversation or a raw prompt: one of them"
            raise UsageError(msg, hint="pass messages= or prompt=")

    @cached_property
    def conversation(self) -> tuple[Message, ...]:
        """The messages, instructions among the options put first; empty if raw."""
        if self.messages is None:
            return ()
        return as_messages(self.messages, system=self.options.get("system"))

    @cached_property
    def key(self) -> str:
        """SHA-256 of everything that decides the answer, in hexadecimal digits.

        Raises:
            UsageError: the conversation, a tool or the structure is none.
            GrammarInvalid: the structure is of no form that can be compiled.
            TypeError: an option is a value that has no stable form.
        """
        text = json.dumps(self.decisive(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def decisive(self) -> dict[str, Any]:
        """Return what decides the answer, ready for JSON; raises as `key`."""
        given = settings()
        return {
            "ref": str(self.stored.ref),
            "manifest": self.stored.digest,
            "weights": self.stored.weights_digest,
            "load": _plain(self.load),
            "settings": [given.context_length, given.max_tokens, given.n_gpu_layers],
            "messages": [message_to_dict(one) for one in self.conversation],
            "prompt": self.prompt,
            "options": self._options(),
            "nth": self.nth,
            "engine": _engine(),
            "localkit": __version__,
        }

    @cached_property
    def determined(self) -> bool:
        """Whether asking again is meant to give the same answer."""
        given = self.options
        whole = given.get("params")
        of_model = {} if whole is not None else self.stored.params
        if whole is None:
            whole = SamplingParams()
        seed = given.get("seed", whole.seed)
        if "seed" not in given and _is_seed(of_model.get("seed")):
            seed = of_model["seed"]
        temperature = given.get(
            "temperature", of_model.get("temperature", whole.temperature)
        )
        structure = given.get("structure", whole.structure)
        return seed is not None or temperature == 0 or _is_one_choice(structure)

    def _options(self) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for name, value in self.options.items():
            if name in NOT_DECISIVE or name == "system":  # it is among the messages
                continue
            if name == "structure" and value is not None:
                plain[name] = _plain(as_structure(value))
            elif name == "tools":
                plain[name] = [tool.as_dict() for tool in as_tools(_many(value))]
            elif name == "adapters":
                adapters = [_as_adapter(one) for one in _many(value)]
                plain[name] = [_plain(one) for one in adapters]
            elif name in _TEXTS and isinstance(value, str):
                plain[name] = [value]
            else:
                plain[name] = _plain(value)
        return plain


def _is_seed(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0


def _is_one_choice(structure: object) -> bool:
    if structure is None:
        return False
    found = as_structure(structure)
    return found.kind == "choice" and len(set(json.loads(found.text))) == 1


def _as_adapter(value: Adapter | str | Path) -> Adapter:
    return value if isinstance(value, Adapter) else Adapter(Path(value))


def _many(value: object) -> Sequence[Any]:
    """Return values that can be looked at without using them up.

    Raises:
        TypeError: they cannot.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    msg = f"a {type(value).__name__} has no stable form"
    raise TypeError(msg)


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON holds it: files by what is in them, ``-inf`` as text.

    Raises:
        TypeError: there is no form that is the same in every process.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Path):
        return _file_digest(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            one.name: _plain(getattr(value, one.name))
            for one in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return sorted([_plain(key), _plain(item)] for key, item in value.items())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    msg = f"a {type(value).__name__} has no stable form"
    raise TypeError(msg)


def _file_digest(path: Path) -> str:
    """Return a file's digest, in a store by its name; empty where there is none."""
    named = digest_of_name(path.name)
    if named is not None:
        return named
    try:
        found = path.stat()
    except OSError:  # loading it says what is wrong
        return ""
    return _hashed(path.absolute(), found.st_size, found.st_mtime_ns, found.st_ino)


@functools.lru_cache(maxsize=64)
def _hashed(path: Path, *state: int) -> str:
    """Return the digest of a file; ``state`` tells when it was another one."""
    del state
    try:
        with open_regular(path) as file:
            return f"sha256:{hash_stream(file).sha256}"
    except SourceNotFound:
        return ""


@functools.lru_cache(maxsize=1)
def _engine() -> str:
    """Return the engine's version without loading it."""
    try:
        return importlib.metadata.version("llama-cpp-python")
    except importlib.metadata.PackageNotFoundError:
        return ""
