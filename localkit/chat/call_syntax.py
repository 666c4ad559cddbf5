"""How models write tool calls: one row a family, found by what a template holds.

The rows follow the templates that llama.cpp ships for its own tests
(``models/templates``), each rendered with a call and read off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection

Body = Literal["json", "arguments", "tags", "python", "channel"]


@dataclass(frozen=True, slots=True)
class CallSyntax:
    """How one family of models writes calls."""

    name: str
    body: Body
    """``json``: name and arguments in JSON; ``arguments``: the arguments alone, the
    name is in the head; ``tags``: one tag per argument; ``python``: Python calls;
    ``channel``: a channel of gpt-oss."""
    openers: tuple[str, ...]
    """Texts of which the first met begins the calls."""
    opens: str
    """What stands before the body of one call; ``{name}`` is the tool's."""
    marks: tuple[str, ...] = ()
    """What a template of the family holds, all of it; the first opener if empty."""
    head: str = ""
    """Pattern of what stands before a body, with the tool's name where it is there;
    the openers if empty."""
    tail: str = ""
    """Pattern of what stands behind a body."""
    closes: str = ""
    """What ends a call whose arguments are tags or Python."""
    keys: tuple[str, str] = ("name", "arguments")
    """Names in JSON of the tool's name and its arguments."""
    listed: bool = False
    """Whether the JSON is a list of calls."""
    named_by_key: bool = False
    """Whether the tool's name is the key, and its arguments are the value."""
    argument: tuple[str, str] = ("", "")
    """What stands before and behind the value of an argument; ``{key}`` is its name."""
    argument_pattern: str = ""
    bare: bool = False
    """Whether a call may also begin the answer with its ``{``, without an opener."""

    @property
    def head_pattern(self) -> re.Pattern[str]:
        """Return what matches the head of a call."""
        return re.compile(self.head or "|".join(map(re.escape, self.openers)))


_MISTRAL = r"\[TOOL_CALLS\](?P<name>[^\[\s{]+)(?:\[CALL_ID\][^\[\s]*)?\s*(?:\[ARGS\])?"
# DeepSeek's control tokens are set in full-width bars.
_CALLS_BEGIN, _CALLS_END, _CALL_BEGIN, _CALL_END, _SEP = (
    f"<\uff5ctool▁{name}\uff5c>"
    for name in ("calls▁begin", "calls▁end", "call▁begin", "call▁end", "sep")
)
_DEEPSEEK_HEAD = rf"(?:{_CALLS_BEGIN})?\s*{_CALL_BEGIN}\s*"
_DEEPSEEK_TAIL = rf"\s*(?:```)?\s*{_CALL_END}\s*(?:{_CALLS_END})?"
_KIMI = "<|tool_calls_section_begin|>"
_FUNCTION = r"(?:<(?:seed:)?tool_call>\s*)?<function=(?P<name>[^>\s]+)>\s*"
_FUNCTION_TAIL = r"</function>\s*(?:</(?:seed:)?tool_call>)?"
_PARAMETER = r"<parameter=(?P<key>[^>\s]+)>\n?(?P<value>(?s:.*?))\n?</parameter>\s*"
_INVOKE = r'(?:<minimax:tool_call>\s*)?<invoke name="(?P<name>[^"]+)">\s*'
_INVOKE_TAIL = r"</invoke>\s*(?:</minimax:tool_call>)?"
_INVOKE_PARAMETER = (
    r'<parameter name="(?P<key>[^"]+)">(?P<value>(?s:.*?))</parameter>\s*'
)
# Templates that hold a row's opener and mean something else by it.
_UNREAD = ("]<]minimax[>[",)

HERMES = CallSyntax(
    "hermes", "json", ("<tool_call>",), "<tool_call>\n", tail=r"\s*</tool_call>"
)
"""Also what the tools are described with to a model whose template knows none."""

# What is special comes before what it looks like.
SYNTAXES = (
    CallSyntax(
        "gpt-oss",
        "channel",
        (),
        " to=functions.{name}<|channel|>commentary json<|message|>",
        marks=("<|channel|>", "<|message|>"),
    ),
    CallSyntax(
        "seed-oss",
        "tags",
        ("<seed:tool_call>", "<function="),
        "<seed:tool_call>\n<function={name}>\n",
        marks=("<seed:tool_call>", "<parameter="),
        head=_FUNCTION,
        tail=_FUNCTION_TAIL,
        closes="</function>",
        argument=("<parameter={key}>", "</parameter>\n"),
        argument_pattern=_PARAMETER,
    ),
    CallSyntax(
        "qwen3-coder",
        "tags",
        ("<tool_call>", "<function="),
        "<tool_call>\n<function={name}>\n",
        marks=("<function=", "<parameter="),
        head=_FUNCTION,
        tail=_FUNCTION_TAIL,
        closes="</function>",
        argument=("<parameter={key}>\n", "\n</parameter>\n"),
        argument_pattern=_PARAMETER,
    ),
    CallSyntax(
        "functionary",
        "arguments",
        ("<function=",),
        "<function={name}>",
        marks=("<function=", "</function>"),
        head=r"<function=(?P<name>[^>\s]+)>",
        tail=r"\s*</function>",
    ),
    CallSyntax(
        "glm",
        "tags",
        ("<tool_call>",),
        "<tool_call>{name}\n",
        marks=("<arg_key>", "<tool_call>"),
        head=r"<tool_call>\s*(?P<name>[^\s<]+)\s*",
        tail=r"</tool_call>",
        closes="</tool_call>",
        argument=("<arg_key>{key}</arg_key>\n<arg_value>", "</arg_value>\n"),
        argument_pattern=r"<arg_key>(?P<key>[^<]+)</arg_key>\s*"
        r"<arg_value>\n?(?P<value>(?s:.*?))\n?</arg_value>\s*",
    ),
    CallSyntax(
        "minimax-m2",
        "tags",
        ("<minimax:tool_call>", "<invoke "),
        '<minimax:tool_call>\n<invoke name="{name}">\n',
        head=_INVOKE,
        tail=_INVOKE_TAIL,
        closes="</invoke>",
        argument=('<parameter name="{key}">', "</parameter>\n"),
        argument_pattern=_INVOKE_PARAMETER,
    ),
    CallSyntax(
        "mistral-small-3.2",
        "arguments",
        ("[TOOL_CALLS]",),
        # The template wants an id of nine characters here; nothing else reads it.
        "[TOOL_CALLS]{name}[CALL_ID]000000000[ARGS]",
        marks=("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),
        head=_MISTRAL,
    ),
    CallSyntax(
        "mistral-named",
        "arguments",
        ("[TOOL_CALLS]",),
        "[TOOL_CALLS]{name}[ARGS]",
        marks=("[TOOL_CALLS]", "[ARGS]"),
        head=_MISTRAL,
    ),
    CallSyntax("mistral", "json", ("[TOOL_CALLS]",), "[TOOL_CALLS]", listed=True),
    CallSyntax(
        "deepseek-v3",
        "arguments",
        (_CALLS_BEGIN, _CALL_BEGIN),
        f"{_CALLS_BEGIN}{_CALL_BEGIN}function{_SEP}{{name}}\n```json\n",
        marks=(_CALL_BEGIN, "```json"),
        head=rf"{_DEEPSEEK_HEAD}function{_SEP}(?P<name>[^\s`]+)\s*```json\s*",
        tail=_DEEPSEEK_TAIL,
    ),
    CallSyntax(
        "deepseek-v3.1",
        "arguments",
        (_CALLS_BEGIN, _CALL_BEGIN),
        f"{_CALLS_BEGIN}{_CALL_BEGIN}{{name}}{_SEP}",
        marks=(_CALL_BEGIN,),
        head=rf"{_DEEPSEEK_HEAD}(?P<name>[^\s<]+){_SEP}",
        tail=_DEEPSEEK_TAIL,
    ),
    CallSyntax(
        "kimi-k2",
        "arguments",
        (_KIMI, "<|tool_call_begin|>"),
        _KIMI + "<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>",
        marks=("<|tool_call_begin|>", "<|tool_call_argument_begin|>"),
        head=r"(?:<\|tool_calls_section_begin\|>)?\s*<\|tool_call_begin\|>\s*"
        r"(?:functions\.)?(?P<name>[^\s:<]+)(?::\d+)?\s*"
        r"<\|tool_call_argument_begin\|>",
        tail=r"\s*<\|tool_call_end\|>\s*(?:<\|tool_calls_section_end\|>)?",
    ),
    CallSyntax(
        "cohere",
        "json",
        ("<|START_ACTION|>",),
        "<|START_ACTION|>",
        tail=r"\s*<\|END_ACTION\|>",
        keys=("tool_name", "parameters"),
        listed=True,
    ),
    CallSyntax(
        "apertus",
        "json",
        ("<|tools_prefix|>",),
        "<|tools_prefix|>",
        tail=r"\s*<\|tools_suffix\|>",
        listed=True,
        named_by_key=True,
    ),
    CallSyntax(
        "lfm2",
        "python",
        ("<|tool_call_start|>",),
        "<|tool_call_start|>[{name}(",
        tail=r"\s*<\|tool_call_end\|>",
        closes=")]",
        argument=("{key}=", ", "),
    ),
    CallSyntax("gigachat", "json", ("<|function_call|>",), "<|function_call|>"),
    CallSyntax("granite", "json", ("<|tool_call|>",), "<|tool_call|>", listed=True),
    CallSyntax(
        "nemotron",
        "json",
        ("<TOOLCALL>",),
        "<TOOLCALL>",
        tail=r"\s*</TOOLCALL>",
        listed=True,
    ),
    CallSyntax(
        "apriel",
        "json",
        ("<tool_calls>",),
        "<tool_calls>",
        marks=("<tool_calls>[",),
        tail=r"\s*</tool_calls>",
        listed=True,
    ),
    CallSyntax(
        "minimax-m1",
        "json",
        ("<tool_calls>",),
        "<tool_calls>\n",
        tail=r"\s*</tool_calls>",
    ),
    HERMES,
    CallSyntax(
        "llama-3",
        "json",
        ("<|python_tag|>",),
        "",
        marks=('"parameters": ', "ipython"),
        head=r"\s*(?:<\|python_tag\|>)?\s*(?=\{)",
        tail=r"\s*;?",
        keys=("name", "parameters"),
        bare=True,
    ),
)


def detect_syntax(template: str, control_tokens: Collection[str]) -> CallSyntax | None:
    """Return how the model of a template writes calls; None if that is not known.

    Some templates leave the opener to the model: then it is a word of its
    vocabulary.
    """
    if any(mark in template for mark in _UNREAD):
        return None
    for syntax in SYNTAXES:
        if all(mark in template for mark in syntax.marks or syntax.openers[:1]):
            return syntax
    for syntax in SYNTAXES:
        if syntax.openers and not syntax.marks and syntax.openers[0] in control_tokens:
            return syntax
    return None
