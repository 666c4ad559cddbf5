from __future__ import annotations

import json
import re
from typing import Any

import pytest

from localkit.chat.messages import Message, as_messages
from localkit.chat.template import MAX_TEMPLATE_CHARS, ChatTemplate
from localkit.errors import TemplateError
from tests.fixtures.gguf import CHATML

TALK = (Message("system", "Be brief."), Message("user", "Hi?"))


def _render(source: str, *messages: Message, **options: Any) -> str:
    template = ChatTemplate(source, "<s>", "</s>")
    return template.render_here(messages or TALK, **options)


def test_chatml_renders_as_it_was_trained() -> None:
    assert _render(CHATML) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert not _render(CHATML, add_generation_prompt=False).endswith("assistant\n")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% if true %}\n  {% set x = 1 %}\na{% endif %}\n", "a"),
        ("{{ bos_token }}|{{ eos_token }}", "<s>|</s>"),
        ("{{ tools is none }} {{ tools is defined }}", "True True"),
        (
            "{% for m in messages %}{% if loop.last %}{% break %}{% endif %}x"
            "{% endfor %}",
            "x",
        ),
        (
            "{% for m in messages %}{{ loop.index }}/{{ loop.length }} {% endfor %}",
            "1/2 2/2 ",
        ),
        ("{% for m in messages[1:] %}{{ m.content }}{% endfor %}", "Hi?"),
        ("{{ messages | map(attribute='role') | join(', ') }}", "system, user"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}"
            "{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "2",
        ),
        ("{% macro m(x) %}[{{ x ~ 1 }}]{% endmacro %}{{ m('a') }}", "[a1]"),
        ("{% generation %}a{% endgeneration %}b", "ab"),
        ("{{ 'a,b'.split(',') | last | upper | trim }}", "B"),
        ("{{ messages[0]['content'].startswith('Be') }}", "True"),
        ("{{ {'ä': '<'} | tojson }}", '{"ä": "<"}'),
        ("{{ [1, 2] | tojson(indent=2) }}", "[\n  1,\n  2\n]"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ '<{}:{n}>'.format('eos', n=1) }}", "<eos:1>"),
        ("{{ 'x' * 3 ~ 2 ** 3 ~ 7 % 4 }}", "xxx83"),
        ("{{ 'aXbX' | replace('X', '-') }}{{ 'aXbX'.replace('X', '') }}", "a-b-ab"),
    ],
)
def test_a_template_may_use_what_transformers_gives_it(source: str, text: str) -> None:
    assert _render(source) == text


def test_a_date_is_written_by_its_pattern() -> None:
    assert re.fullmatch(r"\d\d \w{3} \d{4}", _render("{{ strftime_now('%d %b %Y') }}"))


def test_digest_is_of_the_source() -> None:
    digest = ChatTemplate(CHATML).digest
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    assert digest == ChatTemplate(CHATML, "<s>").digest
    assert digest != ChatTemplate(CHATML + " ").digest


@pytest.mark.parametrize("missing", [None, ""])
def test_a_model_without_template_says_how_to_go_on(missing: str | None) -> None:
    with pytest.raises(TemplateError, match="carries no chat template") as caught:
        ChatTemplate(missing)
    assert "generate(prompt)" in caught.value.hint


def test_a_template_may_refuse_and_its_reason_is_told() -> None:
    with pytest.raises(TemplateError, match="refuses these messages: no system role"):
        _render("{{ raise_exception('no system role') }}")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("a\n{% if %}", r"does not parse: .* \(line 2\)"),
        ("a\n\n{{ x.y.z }}", r"UndefinedError: 'x' is undefined \(line 3\)"),
        ("a\n{{ 1 / 0 }}", r"ZeroDivisionError: .* \(line 2\)"),
        ("{{ messages | nothing }}", "No filter named 'nothing'"),
        ("{% include 'x' %}", "no loader"),
        ("x" * (MAX_TEMPLATE_CHARS + 1), "has 1,048,577 characters"),
    ],
)
def test_a_broken_template_is_named_with_its_line(source: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        _render(source)


def test_long_conversations_are_within_the_budget() -> None:
    source = (
        "{% for m in messages %}{% if messages | length > loop.index0 %}"
        "{{ m.role ~ ': ' ~ m.content | trim ~ '\n' }}{% endif %}{% endfor %}"
    )
    messages = as_messages([{"role": "user", "content": "word " * 200}] * 1000)
    assert len(_render(source, *messages)) == 1000 * 1006
    one = Message("user", "x" * 10_000_000)
    assert len(_render(CHATML, one)) > 10_000_000


def test_output_is_data_even_if_it_looks_like_a_template() -> None:
    text = "{{ 7 * 7 }}{% raw %}"
    assert text in _render(CHATML, Message("user", text))
    assert json.dumps(text) in _render(
        "{{ messages[0].content | tojson }}", Message("user", text)
    )
