"""Messages as templates want them; how they want tool calls is found by trying.

Most templates take the arguments of a call as an object and write its JSON
themselves. Some want the JSON ready, as the OpenAI API has it. A few look for
content that is none before they look for calls.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localkit.chat.messages import Message


class CallForm(NamedTuple):
    """How one template wants an assistant's calls."""

    arguments_as_json: bool = False
    content_as_none: bool = False
    """Where there is no content beside the calls."""


# In the order of preference: the first that comes out whole is taken.
_FORMS = (
    CallForm(),
    CallForm(arguments_as_json=True),
    CallForm(content_as_none=True),
    CallForm(arguments_as_json=True, content_as_none=True),
)
_NAME, _KEY, _VALUE = "probeTool", "probeKey", "probeValue"
_PROBE_ID = "probe0000"
_TOOL = {
    "type": "function",
    "function": {
        "name": _NAME,
        "description": "d",
        "parameters": {
            "type": "object",
            "properties": {_KEY: {"type": "string", "description": "d"}},
        },
    },
}


def template_message(message: Message, form: CallForm) -> dict[str, Any]:
    """Return ``message`` as templates read it."""
    value: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thinking:
        # Qwen and most others read the first name, gpt-oss the second.
        value["reasoning_content"] = value["thinking"] = message.thinking
    if message.tool_calls:
        value["tool_calls"] = [
            _call(call.name, dict(call.arguments), call.id, form)
            for call in message.tool_calls
        ]
        if form.content_as_none and not message.content:
            value["content"] = None
    if message.name:
        value["name"] = message.name
    if message.tool_call_id:
        value["tool_call_id"] = message.tool_call_id
    return value


def find_call_form(render: Callable[..., str]) -> CallForm | None:
    """Return the form in which a template writes a call out whole; None if in none."""
    return next((form for form in _FORMS if _is_whole(render, form)), None)


def _is_whole(render: Callable[..., str], form: CallForm) -> bool:
    call = _call(_NAME, {_KEY: _VALUE}, _PROBE_ID, form)
    content = None if form.content_as_none else ""
    talk: list[Mapping[str, Any]] = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": content, "tool_calls": [call]},
    ]
    try:
        text = render(talk, tools=[_TOOL], add_generation_prompt=False)
    except TemplateError:
        return False
    written = text.rpartition(_NAME)[2]
    # A dict written by Python has single quotes; JSON in JSON has escaped ones.
    spoilt = ("{'" + _KEY, '{\\"' + _KEY)
    return _VALUE in written and not any(bad in written for bad in spoilt)


def _call(
    name: str, arguments: Mapping[str, Any], call_id: str, form: CallForm
) -> dict[str, Any]:
    given: Any = arguments
    if form.arguments_as_json:
        given = json.dumps(arguments, ensure_ascii=False)
    function = {"name": name, "arguments": given}
    return {"id": call_id, "type": "function", "function": function}
