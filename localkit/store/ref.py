"""The name of a model.

Grammar, as Ollama's (`types/model/name.go`), written the same way::

    [scheme://][host/][namespace/]model[:tag][@digest]

    host       { alnum | "_" } { alnum | "_" | "-" | "." | ":" }*   1 to 350 long
    namespace  { alnum | "_" } { alnum | "_" | "-" }*               1 to 80
    model      { alnum | "_" } { alnum | "_" | "-" | "." }*         1 to 80
    tag        as model
    digest     "sha256:" and 64 lower-case hexadecimal digits

A missing host is ``registry.ollama.ai``, a missing namespace ``library``. The
scheme (http or https) is no part of a name and is dropped. ``alnum`` is ASCII.
Names are kept as written and compared without case.

Narrower than Ollama in two points, so that a store can be moved to any system:
no part may be a device name of Windows (``con``, ``nul``, ``com1``, …) or end
in a dot. Wider in one: ``@digest``, which Ollama's grammar names but its parser
refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from localkit.errors import RefError
from localkit.store.digest import is_digest

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

# The longest text the grammar allows, rounded up: refused before it is split.
MAX_TEXT = 1024

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_PATTERNS = {
    "host": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"),
    "namespace": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"),
    "model": _NAME,
    "tag": _NAME,
}
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])([.:].*)?", re.IGNORECASE)
_GRAMMAR_HINT = (
    "write [host/][namespace/]model[:tag]: letters, digits, '_', '-' and '.', "
    "as in smollm2:q4_k_m"
)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A valid model ref: one that breaks the grammar cannot be made.

    Raises:
        RefError: a part breaks the grammar; names it.
    """

    model: str
    tag: str | None = None
    """None when the ref does not say; the store then chooses, see `Store.resolve`."""
    host: str = DEFAULT_HOST
    namespace: str = DEFAULT_NAMESPACE
    digest: str | None = None
    """Digest the manifest must have; None accepts any."""

    def __post_init__(self) -> None:
        """Check every part, so that no unchecked name can become a path."""
        for part, pattern in _PATTERNS.items():
            value = getattr(self, part)
            if value is None and part == "tag":
                continue
            if (
                not isinstance(value, str)
                or not pattern.fullmatch(value)
                or value.endswith((".", ":"))
                or _DEVICES.fullmatch(value)
            ):
                raise RefError(
                    f"'{_shown(value)}' cannot be the {part} of a model ref",
                    hint=_GRAMMAR_HINT,
                )
        if self.digest is not None and not is_digest(self.digest):
            raise RefError(
                f"'{_shown(self.digest)}' is not a digest",
                hint="write sha256: and 64 lower-case hexadecimal digits",
            )

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Read a ref as someone wrote it.

        Raises:
            RefError: the text breaks the grammar; names the part that does.
        """
        if len(text) > MAX_TEXT:
            raise RefError(
                f"a model ref of {len(text)} characters: '{_shown(text)}'",
                hint=_GRAMMAR_HINT,
            )
        name, at, digest = text.partition("@")
        for scheme in ("https://", "http://"):
            name = name.removeprefix(scheme)
        tag = None
        # A ':' before the last '/' belongs to the host's port.
        if name.rfind(":") > name.rfind("/"):
            name, _, tag = name.rpartition(":")
        *places, model = name.split("/")
        if len(places) > 2:
            raise RefError(
                f"'{_shown(text)}' has {len(places) + 1} parts", hint=_GRAMMAR_HINT
            )
        return cls(
            model=model,
            tag=tag,
            host=places[-2] if len(places) == 2 else DEFAULT_HOST,
            namespace=places[-1] if places else DEFAULT_NAMESPACE,
            digest=digest if at else None,
        )

    def __str__(self) -> str:
        """Return the shortest form, as Ollama prints it: defaults left out."""
        text = self.model if self.tag is None else f"{self.model}:{self.tag}"
        if self.host.lower() != DEFAULT_HOST:
            text = f"{self.host}/{self.namespace}/{text}"
        elif self.namespace.lower() != DEFAULT_NAMESPACE:
            text = f"{self.namespace}/{text}"
        return text if self.digest is None else f"{text}@{self.digest}"

    def with_tag(self, tag: str | None) -> ModelRef:
        """Return the ref of another tag of this model, without a digest."""
        return replace(self, tag=tag, digest=None)

    @property
    def model_key(self) -> tuple[str, str, str]:
        """Host, namespace and model in lower case: equal means the same model."""
        return self.host.lower(), self.namespace.lower(), self.model.lower()

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        """`model_key` and the tag in lower case: equal means the same ref."""
        return *self.model_key, None if self.tag is None else self.tag.lower()


def as_ref(ref: ModelRef | str) -> ModelRef:
    """Return a ref as it is, and parse a text.

    Raises:
        RefError: the text breaks the grammar.
    """
    return ref if isinstance(ref, ModelRef) else ModelRef.parse(ref)


def _shown(value: object) -> str:
    """Return at most 60 characters, without control characters."""
    text = str(value)
    cut = text if len(text) <= 60 else f"{text[:59]}…"
    return "".join(char if char.isprintable() else "?" for char in cut)
