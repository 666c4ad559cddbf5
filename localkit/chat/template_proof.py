"""Which templates may be rendered in this process, and the child for all others.

The budget of `sandbox` counts what a template does, as far as it is foreseen. The
child is limited by the operating system, and it takes whatever is not foreseen.
Rendering there takes 0.1 s (2 busy cores), nearly all of it Python's start, and here
0.04 ms, so a template goes there once: with the first conversation it renders.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from localkit.chat.known_templates import KNOWN_TEMPLATES
from localkit.errors import TemplateError, WorkerDied
from localkit.runtime.isolation.child import run_in_child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.chat.messages import Message
    from localkit.chat.template import ChatTemplate

_proved: set[str] = set()


def is_proved(digest: str) -> bool:
    """Return whether a template is known, or has rendered in a child before."""
    return digest in _proved or digest in KNOWN_TEMPLATES


def keep_proof(digest: str) -> None:
    """Remember for this process that a template rendered within the limits."""
    _proved.add(digest)


def render_in_child(
    template: ChatTemplate,
    messages: Sequence[Message],
    options: Mapping[str, Any],
) -> str:
    """Render in a process with limits of its own (`template_child`).

    Raises:
        TemplateError: the child was stopped, or the template does not render.
    """
    request = {
        "source": template.source,
        "bos_token": template.bos_token,
        "eos_token": template.eos_token,
        "messages": [_as_json(message) for message in messages],
        "options": dict(options),
    }
    try:
        text: str = run_in_child("render-template", request)["text"]
    except WorkerDied as death:
        msg = f"the chat template is not safe to render: {death}"
        hint = "call generate(prompt) for raw text, or use another build of the model"
        raise TemplateError(msg, hint=hint) from death
    return text


def _as_json(message: Message) -> dict[str, Any]:
    """Return the fields of a message, without images: a template gets text alone."""
    fields = asdict(replace(message, images=()))
    del fields["images"]
    return fields
