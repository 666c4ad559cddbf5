"""Which template a model is asked through: the GGUF's Jinja, or a Go layer.

The rule, with its reasons, stands in ``design/037-go-templates.md``:

1. A Go template that somebody wrote for this very model wins: its weights come from
   another model, and the template does not.
2. Else the Jinja of the GGUF, which whoever trained the model wrote.
3. Else the Go template.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from localkit.chat.go.template import GoTemplate
from localkit.chat.template import ChatTemplate
from localkit.errors import TemplateError
from localkit.store.digest import short_digest
from localkit.store.manifest import TEMPLATE_TYPES

if TYPE_CHECKING:
    from collections.abc import Collection

    from localkit.gguf.info import ModelInfo
    from localkit.store import StoredModel
    from localkit.store.manifest import Manifest

    AnyTemplate = ChatTemplate | GoTemplate

_MARK = re.compile(
    "<\\|[^<>|\\s]{1,40}\\|>|<\uff5c[^<>\uff5c\\s]{1,40}\uff5c>|<(?:start|end)_of_turn>"
)
_JINJA = re.compile(r"\{%-?\s*(?:if|for|set|macro)\b")
_N_NAMED = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """The template in use, and the one that is not."""

    kind: Literal["jinja", "go"]
    source: str
    label: str
    """For people: ``jinja (from the GGUF)``, ``go (layer sha256:0b8ab…)``."""
    unused: str | None = None
    """Source of the template of the other kind, where there is one."""

    def template(self, bos_token: str = "", eos_token: str = "") -> AnyTemplate:
        """Return what renders it."""
        if self.kind == "go":
            return GoTemplate(self.source)
        return ChatTemplate(self.source, bos_token, eos_token)


def choice_of(stored: StoredModel) -> Choice | None:
    """Return what a stored model is asked through; None: it has no template.

    Raises:
        ManifestInvalid, BlobCorrupt: its template layer cannot be read.
    """
    return choose(stored.info, stored.template, stored.manifest)


def choose(
    info: ModelInfo, go: str | None = None, manifest: Manifest | None = None
) -> Choice | None:
    """Return the template in use out of those of a GGUF and of a layer."""
    jinja = info.chat_template or None
    if not go or manifest is None:
        return jinja and Choice("jinja", jinja, "jinja (from the GGUF)")
    layer = f"layer {short_digest(_layer_digest(manifest))}"
    if jinja is None:
        return Choice("go", go, f"go ({layer})")
    if manifest.has_own_template:
        label = f"go ({layer}, written for this model); the GGUF's jinja is not used"
        return Choice("go", go, label, unused=jinja)
    label = f"jinja (from the GGUF); the go template ({layer}) is not used"
    return Choice("jinja", jinja, label, unused=go)


def _layer_digest(manifest: Manifest) -> str:
    return next(
        (
            one.digest
            for one in reversed(manifest.layers or ())
            if one.media_type in TEMPLATE_TYPES
        ),
        "",
    )


def doubts(
    choice: Choice, control_tokens: Collection[str] | None = None
) -> tuple[str, ...]:
    """Return why a Go template may not be what the model was trained on.

    The Jinja of a GGUF came with its vocabulary and is not doubted. Nothing of the
    template is run.

    Args:
        choice: The template in use.
        control_tokens: Texts of the control tokens that the vocabulary has; None
            where it is not known.
    """
    if choice.kind != "go":
        return ()
    found = []
    if _JINJA.search(choice.source):
        found.append("the Go template looks like Jinja: it may not be rendered at all")
    template = GoTemplate(choice.source)
    try:
        variables, written = template.variables, template.written
    except TemplateError as error:
        return (*found, str(error).splitlines()[0])
    if variables.isdisjoint(("messages", "prompt")):
        found.append(
            "the Go template uses neither .Messages nor .Prompt: "
            "the model sees nothing of the conversation"
        )
    if control_tokens is not None:
        known = set(control_tokens)
        strange = sorted({one for one in _MARK.findall(written) if one not in known})
        if strange:
            named = ", ".join(strange[:_N_NAMED])
            more = f" and {len(strange) - _N_NAMED} more" if strange[_N_NAMED:] else ""
            found.append(
                f"the Go template writes {named}{more}, "
                "which are no tokens of this model: it may be another model's"
            )
    return tuple(found)
