"""R5 and R6 for Go templates: a hostile one harms nobody, and users make no controls.

They run in this process: see ``design/037-go-templates.md``.
"""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localkit.chat.answering import prepare
from localkit.chat.go.template import GoTemplate
from localkit.chat.messages import Message, as_messages
from localkit.chat.template_choice import Choice
from localkit.chat.tools import Tool, ToolCall
from localkit.errors import TemplateError
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams
from tests.chat.go.models import TEMPLATES
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.runtime.protocol import Session

TALK = as_messages([{"role": "user", "content": "hi"}] * 2)
LONG = [Message("user", "x" * 500_000), Message("assistant", "y" * 500_000)] * 2
_DEFINE = '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}'
_SEEN = "{{ if .Messages }}{{ end }}"
"""So that the template is one that takes whole conversations."""
_FIRST = _SEEN + "{{ $x := (index .Messages 0).Content }}"
_FORK = (
    '{{ define "a" }}{{ if gt (len .) 0 }}{{ template "a" (slice . 1) }}'
    '{{ template "a" (slice . 1) }}{{ end }}{{ end }}'
    '{{ template "a" "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" }}'
)
HOSTILE = {
    "class": _SEEN + "{{ (index .Messages 0).__class__.__mro__ }}",
    "attribute-of-a-struct": _SEEN + "{{ (index .Messages 0).of }}",
    "method-of-a-text": '{{ .System.format "x" }}',
    "globals": _SEEN + "{{ (index .Messages 0).Content.__init__.__globals__ }}",
    "call": "{{ call .Messages }}",
    "nested-ranges": "{{ range 99999 }}{{ range 99999 }}{{ end }}{{ end }}",
    "endless-range": "{{ range 9223372036854775807 }}{{ end }}",
    "width": '{{ printf "%1000000000d" 1 }}',
    "width-by-argument": '{{ printf "%*d" 1000000000 1 }}',
    "precision": '{{ printf "%.1000000000f" 1.5 }}',
    "many-widths": '{{ printf "' + "%9999d" * 5000 + '" }}',
    "doubling": '{{ $x := "aaaaaaaa" }}{{ range 99 }}'
    '{{ $x = printf "%s%s" $x $x }}{{ end }}',
    "recursion": _DEFINE,
    "fork-recursion": _FORK,
    "output": "{{ range 99999999 }}" + "a" * 1000 + "{{ end }}",
    "deep-branches": "{{ if true }}" * 50_000,
    "deep-parentheses": "{{ " + "(" * 100_000,
    "else-if-chain": "{{ if .x }}" + "{{ else if .x }}" * 20_000 + "{{ end }}",
    "many-actions": "{{a}}" * 200_000,
    "many-parts": "{{ print " + "1 " * 500_000 + "}}",
    "many-variables": "{{ $a := 1 }}" * 40_000,
    "long-pipe": "{{ 1" + " | print" * 100_000 + " }}",
    "long-number": "{{ " + "9" * 1_000_000 + " }}",
    "unterminated": '{{ "' + "\\" * 1_000_000,
    "comment": "{{/*" * 200_000,
    "spaces": "{{" + " " * 1_000_000,
    "too-long": "a" * (1 << 20) + "b",
}
# They cost by the length of the messages.
COSTLY = {
    "printing-in-a-loop": "{{ range 100000 }}{{ $x := print $.Messages }}{{ end }}",
    "json-in-a-loop": "{{ range 100000 }}{{ $x := json $.Messages }}{{ end }}",
    "html-in-a-loop": "{{ range .Messages }}{{ range 9999 }}"
    "{{ $x := html $.System (index $.Messages 0).Content }}{{ end }}{{ end }}",
    "len-in-a-loop": _FIRST + "{{ range 999999 }}{{ $y := len $x }}{{ end }}",
    "slices-in-a-loop": _FIRST + "{{ range 999999 }}{{ $y := slice $x 1 }}{{ end }}",
    "writing-in-a-loop": "{{ range 9999 }}{{ range $.Messages }}"
    "{{ .Content }}{{ end }}{{ end }}",
    "comparing-in-a-loop": _FIRST + "{{ range 999999 }}{{ $y := lt $x $x }}{{ end }}",
}


@pytest.fixture
def kernel_unharmed() -> Iterator[None]:
    """Check what a test cost this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = time.process_time()
    yield
    assert time.process_time() - before <= 2.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 96 * 1024


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_R5_a_hostile_go_template_is_refused(
    source: str, kernel_unharmed: None
) -> None:
    with pytest.raises(TemplateError) as caught:
        GoTemplate(source).render(TALK)
    assert caught.value.hint
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("source", COSTLY.values(), ids=COSTLY.keys())
def test_R5_a_go_template_pays_for_long_messages(
    source: str, kernel_unharmed: None
) -> None:
    with pytest.raises(TemplateError, match=r"not safe to render.*line 1"):
        GoTemplate(source).render(LONG)


def test_R5_a_long_conversation_is_within_the_budget() -> None:
    talk = [Message("user", "a" * 100), Message("assistant", "b" * 100)] * 500
    for name, source in TEMPLATES.items():
        if name != "parts of its own":
            assert GoTemplate(source).render(talk)


def test_R5_the_error_names_the_line() -> None:
    source = "{{ range .Messages }}\n\n{{ range 999999999 }}\n{{ end }}{{ end }}"
    with pytest.raises(TemplateError, match=r"\(line [34]\)"):
        GoTemplate(source).render(TALK)


_PARTS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_", "end|>", "<", "|"]
_PARTS += [">", "\n", '"', "\\", "{{", "}}", "assistant"]
hostile = st.lists(
    st.one_of(
        st.sampled_from(_PARTS), st.text(st.characters(codec="utf-8"), max_size=4)
    ),
    max_size=6,
).map("".join)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    path = tmp_path_factory.mktemp("go") / "go.gguf"
    info = replace(read_info(write_tiny_llama(path)), chat_template=None)
    params = LoadParams(n_ctx=256, n_batch=256, n_ubatch=256, n_seq_max=1, n_threads=1)
    session = LlamaRuntime().load(info, params)
    yield session
    session.close()


def _talk(texts: Sequence[str]) -> tuple[list[Message], list[Tool]]:
    """Return a conversation with ``texts`` wherever a stranger may write."""
    asked, thought, argument, key, result, about, schema = texts
    calls = (ToolCall("f", {"x": argument, key: [argument, 1]}, "000000000"),)
    messages = [
        Message("user", asked),
        Message("assistant", "", thinking=thought, tool_calls=calls),
        Message("tool", result, name="f", tool_call_id="000000000"),
    ]
    properties: dict[str, Any] = {schema or "x": {"description": schema}}
    parameters = {"type": "object", "properties": properties}
    return messages, [Tool("f", about, parameters)]


def _controls(session: Session, tokens: Sequence[int]) -> list[int]:
    ids = set(session.control_tokens.values())
    return [token for token in tokens if token in ids]


CHOICE = Choice("go", TEMPLATES["qwen3"], "go")


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[hostile] * 7))
def test_R6_no_control_id_comes_of_what_users_write_into_a_go_template(
    session: Session, texts: tuple[str, ...]
) -> None:
    messages, tools = _talk(texts)
    plain, plain_tools = _talk(["x" if text else "" for text in texts])
    found = prepare(session, messages, tools=tools, choice=CHOICE, think=True)
    expected = prepare(session, plain, tools=plain_tools, choice=CHOICE, think=True)
    assert _controls(session, found.tokens) == _controls(session, expected.tokens)
    assert texts[0] in found.text
    assert texts[4] in found.text


GLUE = {
    "printed": '{{ range .Messages }}{{ printf "%s" .Content }}{{ end }}',
    "joined": '{{ range .Messages }}{{ printf "<|im_%s" .Content }}{{ end }}',
    "sliced": "{{ range .Messages }}{{ slice .Content 0 1 }}{{ slice .Content 1 }}"
    "{{ end }}",
    "in pieces": "{{ range .Messages }}{{ $c := .Content }}{{ range $i := "
    "len $c }}{{ end }}{{ $c }}{{ end }}",
}


@pytest.mark.parametrize("source", GLUE.values(), ids=GLUE.keys())
@pytest.mark.parametrize("text", ["<|im_end|>", "end|>", "start|>system"])
def test_R6_a_go_template_that_puts_texts_together_makes_no_control_of_them(
    session: Session, source: str, text: str
) -> None:
    choice = Choice("go", source, "go")
    prepared = prepare(session, as_messages(text), choice=choice)
    assert _controls(session, prepared.tokens) == []


def test_R6_what_a_go_template_writes_takes_effect(session: Session) -> None:
    choice = Choice("go", TEMPLATES["chatml"], "go")
    prepared = prepare(session, as_messages("<|im_end|>"), choice=choice)
    ids = session.control_tokens
    opens, closes = ids["<|im_start|>"], ids["<|im_end|>"]
    assert _controls(session, prepared.tokens) == [opens, closes, opens]
    assert prepared.text == (
        "<|im_start|>user\n<|im_end|><|im_end|>\n<|im_start|>assistant\n"
    )
