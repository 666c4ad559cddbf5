"""A prompt as the model would get it, and what with; nothing is generated."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from localkit.chat.tool_prompt import describe_tools
from localkit.chat.tools import as_tools
from localkit.cli.request import SAMPLING
from localkit.cli.screen import Table
from localkit.errors import TemplateError
from localkit.magics.recall import Chat
from localkit.runtime.protocol import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from localkit.asking.options import Asked
    from localkit.chat.messages import Message
    from localkit.cli.request import Request
    from localkit.evals.token_views.prompt_view import PromptView
    from localkit.magics.arguments import Call
    from localkit.magics.asking import Cell
    from localkit.model import Model

_DEFAULTS = SamplingParams()


def dry_run(
    call: Call, prompt: str, cell: Cell, ref: str, *, configured: Collection[str]
) -> PromptView:
    """Show the prompt for one model, whether it fits, and the params with their origin.

    The model is loaded for its template and vocabulary.

    Raises:
        LocalkitError: the model, its template or the conversation cannot be used.
    """
    from localkit.widgets.prompt.inspect_prompt import Inspector

    request, screen = call.request, cell.screen
    chat = Chat(
        lambda: cell.kit.history,
        call.chat,
        cell=cell.id,
        start=call.start,
        say=screen.aside,
    )
    chat.announce()
    with screen.progress() as on_progress:
        model = request.load(ref, kit=cell.kit, on_progress=on_progress)
    options = {name: value for name, value in request.options.items() if name in _OWN}
    asked = model.asker.asked(options)
    view = _view(model, request, prompt, chat.messages, asked)
    if not call.quiet:
        screen.remark(
            f"dry run: {view.ref} was loaded for its template and vocabulary, and "
            "nothing was asked"
        )
        screen.panel(Inspector(view).panel)
        given = set(request.sampling) - set(configured)
        screen.table(_params(asked, given=given, configured=configured))
    return view


_OWN = {field.name for field in dataclasses.fields(SamplingParams)}


def _view(
    model: Model,
    request: Request,
    prompt: str,
    before: Sequence[Message],
    asked: Asked,
) -> PromptView:
    from localkit.evals.token_views.prompt_view import view_prompt

    max_tokens = asked.sampling.max_tokens
    if request.continues:
        return view_prompt(model, prompt, raw=True, max_tokens=max_tokens)
    messages = request.conversation(prompt, before)
    options: dict[str, Any] = {"think": request.think, "max_tokens": max_tokens}
    if not request.tools:
        return view_prompt(model, messages, **options)
    try:
        return view_prompt(model, messages, tools=request.tools, **options)
    except TemplateError:
        # As an answer would be asked for: the instructions describe the tools.
        told = describe_tools(messages, as_tools(request.tools))
        return view_prompt(model, told, **options)


def _params(
    asked: Asked, *, given: Collection[str], configured: Collection[str]
) -> Table:
    """Return the sampling params that have an option or a value of their own."""
    rows = []
    for field in dataclasses.fields(asked.sampling):
        name, value = field.name, getattr(asked.sampling, field.name)
        usual = value is None or name not in SAMPLING
        if name != "seed" and usual and value == getattr(_DEFAULTS, name):
            continue
        if name in given:
            origin = "this cell"
        elif name in configured:
            origin = "%config LlmMagic"
        elif name in asked.of_model:
            origin = "the model"
        elif name == "max_tokens" and asked.capped:
            origin = "the settings"
        else:
            origin = "default"
        shown = str(value)
        if name == "structure":
            shown = f"{value.kind} {value.text}".strip()
        if name == "seed" and value is None:
            shown = "drawn"
        rows.append((name, shown, origin))
    return Table(("param", "value", "from"), rows, "<<<", empty="")
