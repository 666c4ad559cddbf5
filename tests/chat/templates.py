"""Small chat templates in the manner of the common families."""

from __future__ import annotations

_TURNS = """\
{%- for m in messages -%}
<|im_start|>{{ 'user' if m.role == 'tool' else m.role }}
{% if m.role == 'tool' -%}
<tool_response>
{{ m.content }}
</tool_response>
{%- elif m.role == 'assistant' -%}
{{ THINKING }}{{ m.content }}
{%- for c in m.tool_calls -%}
CALL
{%- endfor -%}
{%- else -%}
{{ m.content }}
{%- endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
OPENING{% endif %}"""
_TOOLS = """\
{%- if tools -%}
<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif -%}"""


def _turns(call: str, opening: str = "", thinking: str = "''") -> str:
    return (
        _TURNS.replace("CALL", call)
        .replace("OPENING", opening)
        .replace("THINKING", thinking)
    )


_JSON = '{"name": "{{ c.function.name }}", "KEY": {{ c.function.arguments | tojson }}}'
_HERMES = "<tool_call>\n" + _JSON.replace("KEY", "arguments") + "\n</tool_call>"

QWEN3 = _TOOLS + _turns(
    _HERMES,
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}",
    "'<think>\n' ~ m.reasoning_content ~ '\n</think>\n' if m.reasoning_content else ''",
)
"""Calls as Hermes; thinks unless told not to."""
R1 = _turns("", "<think>\n")
"""Knows no tools; its prompt ends inside thinking."""
LLAMA3 = _TOOLS + _turns(_JSON.replace("KEY", "parameters")) + "{# ipython #}"
MISTRAL = _TOOLS + _turns(
    '[TOOL_CALLS][{"name": "{{ c.function.name }}", '
    '"arguments": {{ c.function.arguments | tojson }}}]'
)
CODER = _TOOLS + _turns(
    "<tool_call>\n<function={{ c.function.name }}>\n"
    "{% for k, v in c.function.arguments.items() %}<parameter={{ k }}>\n{{ v }}\n"
    "</parameter>\n{% endfor %}</function>\n</tool_call>"
)
STRINGS = _TOOLS + _turns(
    '<tool_call>{{ \'{"name": "\' + c.function.name + \'", "arguments": \' '
    "+ c.function.arguments + '}' }}</tool_call>"
)
"""Wants the arguments as JSON."""
REPR = _TOOLS + _turns(
    '<tool_call>{"name": "{{ c.function.name }}", '
    '"arguments": {{ c.function.arguments }}}</tool_call>'
)
"""Writes an object as Python does, so it must get JSON."""
NONE_FIRST = _TOOLS + (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}\n"
    "{% if m.content is none %}{% for c in m.tool_calls %}" + _HERMES + "{% endfor %}"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor -%}"
)
"""Looks for calls only where there is no content."""
GPT_OSS = (
    _TOOLS
    + "{%- for m in messages -%}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>"
    "{%- endfor -%}<|start|>assistant{# <|channel|> #}"
)
UNKNOWN_CALLS = _TOOLS + _turns("CALL {{ c.function.name }}!")
