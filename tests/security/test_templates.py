"""R5: a template nobody knows is tried in a limited child, and harms nobody."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from localkit.chat.messages import as_messages
from localkit.chat.template import ChatTemplate
from localkit.chat.template_proof import is_proved
from localkit.errors import TemplateError
from tests.chat.test_sandbox import BOMBS, ESCAPES, MIB_A

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1024  # in units of ru_maxrss on Linux
TALK = as_messages("hi")
HOSTILE = {
    **{
        name: ESCAPES[name]
        for name in ("CVE-2024-34359", "CVE-2024-56326", "CVE-2025-27516", "globals")
    },
    **{
        name: BOMBS[name]
        for name in (
            "nested-loops",
            "repeat",
            "repeat-left",
            "power",
            "center",
            "percent",
            "double-tilde",
            "double-list",
            "join",
            "recursion",
            "fork-recursion",
            "output",
            "parser",
        )
    },
    "refusal": "{{ raise_exception('x' * 1000000) }}",
    # The compiler has no budget: these end by the child's limits.
    "many-terms": "{{ " + "+".join(["1"] * 300_000) + " }}",
    "many-outputs": "{{a}}" * 150_000,
    "many-macros": "{% macro m() %}{% endmacro %}" * 20_000,
    "many-filters": "{{ a" + "|upper" * 100_000 + " }}",
    "many-attributes": "{{ a" + ".b" * 200_000 + " }}",
}


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


@pytest.fixture
def kernel_unharmed() -> Iterator[None]:
    """Check what a test cost this process and its children."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    here, there = _cpu_s(resource.RUSAGE_SELF), _cpu_s(resource.RUSAGE_CHILDREN)
    yield
    # Processor time, as the machine's other work does not count in it.
    assert _cpu_s(resource.RUSAGE_CHILDREN) - there <= 2.5
    assert _cpu_s(resource.RUSAGE_SELF) - here <= 2.5
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown < 16 * _MIB


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_R5_a_hostile_template_is_refused(source: str, kernel_unharmed: None) -> None:
    template = ChatTemplate(source, "<s>", "</s>")
    with pytest.raises(TemplateError) as caught:
        template.render(TALK)
    assert caught.value.hint
    assert len(str(caught.value)) < 500
    assert not is_proved(template.digest)


def test_R5_there_are_at_least_twelve_attacks() -> None:
    assert len(HOSTILE) >= 12


def test_R5_what_withstood_the_child_is_rendered_here_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    template = ChatTemplate("proved once: {{ messages[0].content }}")
    assert not is_proved(template.digest)
    assert template.render(TALK) == "proved once: hi"
    assert is_proved(template.digest)
    monkeypatch.setattr(sys, "executable", os.devnull)
    assert template.render(as_messages("again")) == "proved once: again"


SLEEPERS = {
    "loops": BOMBS["nested-loops"],
    "memory": MIB_A + "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}"
    "{% set ns.x = ns.x + [x ~ i] %}{% endfor %}",
    "doubling": BOMBS["double-tilde"],
}


@pytest.mark.parametrize("source", SLEEPERS.values(), ids=SLEEPERS.keys())
def test_R5_a_template_that_waits_for_its_second_turn_meets_the_budget(
    source: str,
) -> None:
    template = ChatTemplate("{% if messages | length > 1 %}" + source + "{% endif %}x")
    assert template.render(TALK) == "x"
    cpu_s = _cpu_s(resource.RUSAGE_SELF)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateError, match="not safe to render"):
        template.render([*TALK, *TALK])
    assert _cpu_s(resource.RUSAGE_SELF) - cpu_s <= 2.5
    # The budget is 64 Mi characters (`MAX_WORK`); the child would have stopped it
    # at the first turn.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 96 * _MIB


_LIMITED = "from localkit.chat.template_child import _limit; _limit(); "


def test_R5_the_child_gets_no_more_than_512_mib() -> None:
    code = _LIMITED + "print(len('a' * (256 << 20))); 'a' * (600 << 20)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == str(256 << 20)
    assert "MemoryError" in done.stderr


def test_R5_the_child_gets_no_more_than_two_seconds() -> None:
    before = _cpu_s(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED + "\nwhile True: pass"], check=False
    )
    assert done.returncode == -signal.SIGXCPU
    assert _cpu_s(resource.RUSAGE_CHILDREN) - before <= 2.5


def test_R5_a_conversation_goes_to_the_child_and_back_whole() -> None:
    source = (
        "{% for m in messages %}[{{ m.role }}|{{ m.content }}|{{ m.thinking }}|"
        "{{ m.tool_calls }}|{{ m.tool_call_id }}]{% endfor %}"
        "{{ tools | tojson }}{{ enable_thinking }}{{ bos_token }}{{ eos_token }}"
    )
    messages = as_messages(
        [
            {"role": "user", "content": "🦙\x00\n\U000f1234"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "so",
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": ""}}],
            },
            {"role": "tool", "content": "", "name": "f", "tool_call_id": "1"},
        ]
    )
    tools = [{"type": "function", "function": {"name": "f"}}]
    template = ChatTemplate(source, "<s>", "</s>")
    there = template.render(messages, tools=tools, think=True)
    assert is_proved(template.digest)
    assert template.render(messages, tools=tools, think=True) == there
    assert "🦙\x00\n\U000f1234" in there
    assert there.endswith("True<s></s>")
