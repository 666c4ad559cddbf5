"""Go templates come out as Ollama and Go write them (``recorded.json``)."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from localkit.chat.budget import Budget, OverBudget
from localkit.chat.go import reading
from localkit.chat.go.evaluation import Run
from localkit.chat.go.failure import GoTemplateFault
from localkit.chat.go.parser import parse
from localkit.chat.go.template import GoTemplate
from localkit.chat.messages import as_messages
from tests.chat.go.conversations import CASES
from tests.chat.go.fuzz import DATA, typed
from tests.chat.go.models import TEMPLATES
from tests.chat.go.record import RECORDED


@cache
def recorded() -> Any:
    return json.loads(RECORDED.read_text())


def ours(template: str, case: dict[str, Any]) -> str:
    return GoTemplate(template).render(
        as_messages(case["messages"]),
        tools=case.get("tools", ()),
        think=case.get("think"),
    )


def ours_of_random(source: str) -> str | None:
    """Return what a template writes; None if it fails, as Go's does."""
    try:
        parsed = parse(source)
        run = Run(parsed.root, parsed.defined, Budget(1000), 1 << 20)
        return run.text(typed(DATA))
    except GoTemplateFault as fault:
        return "unsupported" if "does not know" in fault.reason else None
    except OverBudget:
        return "over budget"


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_of_a_family_comes_out_as_in_ollama(name: str) -> None:
    for case, text in recorded()["models"][name]["texts"].items():
        assert ours(TEMPLATES[name], CASES[case]) == text, case


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_a_template_shows_is_what_ollama_reads_off(name: str) -> None:
    template, record = GoTemplate(TEMPLATES[name]), recorded()["models"][name]
    assert sorted(template.variables) == record["vars"]
    assert reading.call_tag(template.parsed) == record["call_tag"]
    assert list(reading.thinking_tags(template.parsed)) == record["thinking"]


def test_every_conversation_was_recorded_for_every_template() -> None:
    models = recorded()["models"]
    assert models.keys() == TEMPLATES.keys()
    assert all(record["texts"].keys() == CASES.keys() for record in models.values())


def test_random_templates_come_out_as_in_go() -> None:
    cases = recorded()["random"]
    found = [(source, text, ours_of_random(source)) for source, text in cases]
    wrong = [one for one in found if one[2] not in (one[1], "unsupported")]
    assert wrong == []
    assert sum(text is not None for _, text in cases) > 500
    assert sum(one[2] == "unsupported" for one in found) < len(found) / 20
