"""Which template is used, that the choice shows, and when a template is doubted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.chat.answering import prepare
from localkit.chat.go.template import GoTemplate
from localkit.chat.messages import as_messages, tool_result
from localkit.chat.named import NAMED, suggested
from localkit.chat.template_choice import Choice, choice_of, doubts
from localkit.chat.tools import ToolCall, tool_from_function
from localkit.errors import TemplateError
from localkit.runtime.fake import CONTROL, FakeRuntime
from localkit.store import Recipe, Store
from tests.chat.conversing import read
from tests.chat.go.models import TEMPLATES
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localkit.runtime.fake import FakeSession

GO = TEMPLATES["chatml"]
ASKED = as_messages("Hi")


def _weather(city: str) -> str:
    """Look at the sky."""
    return city


WEATHER = tool_from_function(_weather)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def _go(name: str) -> Choice:
    return Choice("go", TEMPLATES[name], "go")


def test_the_jinja_of_the_gguf_is_used_where_there_is_no_other(
    store: Store, tmp_path: Path
) -> None:
    choice = choice_of(store.add(write_tiny_llama(tmp_path / "a.gguf"), "a").model)
    assert choice is not None
    assert (choice.kind, choice.label) == ("jinja", "jinja (from the GGUF)")


def test_a_template_written_for_a_variant_wins_over_the_jinja_of_its_base(
    store: Store, tmp_path: Path
) -> None:
    base = store.add(write_tiny_llama(tmp_path / "a.gguf"), "a").model
    made = store.create("b", Recipe(base, template=GO)).model
    choice = choice_of(made)
    assert choice is not None
    assert (choice.kind, choice.source) == ("go", GO)
    assert choice.label.startswith("go (layer sha256:")
    assert choice.label.endswith(
        "written for this model); the GGUF's jinja is not used"
    )


def test_a_variant_of_a_variant_keeps_the_template_that_was_written(
    store: Store, tmp_path: Path
) -> None:
    base = store.add(write_tiny_llama(tmp_path / "a.gguf"), "a").model
    first = store.create("b", Recipe(base, template=GO)).model
    second = choice_of(store.create("c", Recipe(first, system="Be brief.")).model)
    assert second is not None
    assert second.kind == "go"
    assert second.source == GO


def test_a_go_template_is_used_where_the_gguf_has_no_jinja(
    store: Store, tmp_path: Path
) -> None:
    silent = write_tiny_llama(
        tmp_path / "a.gguf", metadata={"tokenizer.chat_template": ""}
    )
    base = store.add(silent, "a").model
    assert choice_of(base) is None
    choice = choice_of(store.create("b", Recipe(base, template=GO)).model)
    assert choice is not None
    assert choice.label.startswith("go (layer sha256:")


def test_an_answer_goes_through_the_go_template_and_says_so(
    tiny_gguf: Path,
) -> None:
    with fake_kit(tiny_gguf, runtime=FakeRuntime(replies=["Hello"])) as kit:
        template = "{{ range .Messages }}<|im_start|>[{{ .Content }}]{{ end }}"
        kit.store.create("own", Recipe(kit.store.resolve(MODEL), template=template))
        answer = kit.load("own").chat("Hi", max_tokens=4)
        assert answer.prompt == "<|im_start|>[Hi]"
        assert answer.receipt.template_kind == "go"
        assert answer.receipt.template_digest == GoTemplate(template).digest
        plain = kit.load(MODEL).chat("Hi", max_tokens=4)
        assert plain.receipt.template_kind == "jinja"
        assert plain.prompt.startswith("<|im_start|>user\n")


def test_the_digest_of_a_go_template_is_that_of_its_layer(
    store: Store, tmp_path: Path
) -> None:
    base = store.add(write_tiny_llama(tmp_path / "a.gguf"), "a").model
    made = store.create("b", Recipe(base, template=GO)).model
    layers = made.manifest.of_type("application/vnd.ollama.image.template")
    assert [layer.digest for layer in layers] == [GoTemplate(GO).digest]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ .System }} hello", "neither .Messages nor .Prompt"),
        ("{{ range .Messages }}<|zap|>{{ .Content }}{{ end }}", "<|zap|>"),
        ('{{ printf "<|zap|>" }}{{ .Prompt }}', "<|zap|>"),
        ("{% for m in messages %}{{ .Prompt }}{% endfor %}", "looks like Jinja"),
        ("{{ .Prompt }\n{{ end }}", "does not parse"),
    ],
)
def test_a_doubtful_template_is_noted(source: str, says: str) -> None:
    found = doubts(Choice("go", source, "go"), CONTROL)
    assert says in " ".join(found)


def test_a_template_that_fits_is_not_doubted() -> None:
    assert doubts(_go("chatml"), CONTROL) == ()
    assert doubts(_go("alpaca"), ()) == ()
    assert doubts(Choice("jinja", "<|zap|>", "jinja"), CONTROL) == ()


def test_a_doubt_stands_on_the_answer(
    fake_session: Callable[[str | None], FakeSession],
) -> None:
    choice = Choice("go", "{{ .Prompt }}<|zap|><|im_end|>", "go")
    notes = prepare(fake_session(None), ASKED, choice=choice).notes
    assert any("<|zap|>, which are no tokens" in note for note in notes)
    assert not any("<|im_end|>" in note for note in notes)


def test_no_template_at_all_is_an_error_that_names_one_that_may_fit(
    fake_session: Callable[[str | None], FakeSession],
) -> None:
    with pytest.raises(TemplateError, match="carries no chat template") as caught:
        prepare(fake_session(None), ASKED)
    assert "'chatml'" in str(caught.value.hint)


def test_the_named_templates_render_and_name_themselves_by_their_marks() -> None:
    talk = as_messages("Hi", system="S")
    for name, source in NAMED.items():
        text = GoTemplate(source).render(talk)
        marks = [f"<{one.partition('>')[0]}>" for one in text.split("<")[1:]]
        assert suggested([*marks, "<|eot_id|>", "<|user|>", "<|end|>"]) == name
    assert suggested(["<s>"]) is None


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("qwen2.5 with tools", '<tool_call>\n{"name": "f", "arguments": {}}'),
        ("qwen3", '<tool_call>{"name": "f", "arguments": {}}</tool_call>'),
        ("mistral with tools", '[TOOL_CALLS] [{"name": "f", "arguments": {}}]'),
        ("llama3.2 with tools", '{"name": "f", "parameters": {}}'),
        ("granite3 with tools", '<|tool_call|>[{"name": "f", "arguments": {}}]'),
        ("nemotron with tools", '<TOOLCALL> {"name": "f", "arguments": {}} '),
    ],
)
def test_calls_are_read_as_the_go_template_writes_them(
    fake_session: Callable[[str | None], FakeSession], name: str, answer: str
) -> None:
    prepared = prepare(fake_session(None), ASKED, tools=[WEATHER], choice=_go(name))
    assert WEATHER.name in prepared.text
    _, found = read(prepared, [answer])
    assert [call.name for call in found.tool_calls] == ["f"]


OWN_TAG = """{{ .System }}{{ .Tools }}{{ range .Messages }}{{ .Content }}
{{- if .ToolCalls }}TAG{{ range .ToolCalls }}\
{"name": "{{ .Function.Name }}", "parameters": {{ .Function.Arguments }}}\
{{ end }}{{ end }}{{ end }}"""


@pytest.mark.parametrize("tag", ["<toolcall> ", "functools[", "@@CALL", ""])
def test_a_call_tag_nobody_knows_is_read_off_the_template(
    fake_session: Callable[[str | None], FakeSession], tag: str
) -> None:
    choice = Choice("go", OWN_TAG.replace("TAG", tag), "go")
    prepared = prepare(fake_session(None), ASKED, tools=[WEATHER], choice=choice)
    body = '{"name": "_weather", "parameters": {"city": "Bern"}}'
    _, found = read(prepared, [f"{tag}{body}]" if "[" in tag else f"{tag}{body}"])
    assert [dict(call.arguments) for call in found.tool_calls] == [{"city": "Bern"}]


def test_a_template_that_takes_one_exchange_at_a_time_says_what_it_leaves_out(
    fake_session: Callable[[str | None], FakeSession],
) -> None:
    call = ToolCall("f", {}, "1")
    talk = [
        *ASKED,
        *as_messages({"role": "assistant", "content": "", "tool_calls": [call]}),
        tool_result(call, "22"),
    ]
    choice = _go("chatml by exchange")
    notes = prepare(fake_session(None), talk, choice=choice).notes
    assert any("no results of tools" in note for note in notes)
    assert any("drops calls" in note for note in notes)
    with pytest.raises(TemplateError, match="knows no tools"):
        prepare(fake_session(None), ASKED, tools=[WEATHER], choice=choice)


def test_thinking_is_told_from_the_answer_by_a_go_template(
    fake_session: Callable[[str | None], FakeSession],
) -> None:
    session = fake_session(None)
    prepared = prepare(session, ASKED, choice=_go("qwen3"), think=True)
    assert "/think" in prepared.text
    _, found = read(prepared, ["<think>hm</think>\n\nYes"])
    assert (found.thinking, found.text) == ("hm", "Yes")
    off = prepare(session, ASKED, choice=_go("qwen3"), think=False)
    assert off.text.endswith("<think>\n\n</think>\n\n")
    assert off.notes == ()


def test_tags_of_thinking_that_nobody_knows_are_read_off_the_template(
    fake_session: Callable[[str | None], FakeSession],
) -> None:
    source = (
        "{{ range .Messages }}{{ if .Thinking }}<<hm>>{{ .Thinking }}<<so>>{{ end }}"
    )
    choice = Choice("go", source + "{{ .Content }}{{ end }}", "go")
    prepared = prepare(fake_session(None), ASKED, choice=choice)
    _, found = read(prepared, ["<<hm>>well<<so>>Yes"])
    assert (found.thinking, found.text) == ("well", "Yes")


def test_two_templates_over_one_session_do_not_mix(
    fake_session: Callable[[str | None], FakeSession],
) -> None:
    session = fake_session("{{ messages[0].content }}")
    texts = [
        prepare(session, ASKED, choice=choice).text
        for choice in (None, _go("chatml"), None, _go("prompt alone"))
    ]
    assert texts[0] == texts[2] == texts[3] == "Hi"
    assert texts[1] == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
