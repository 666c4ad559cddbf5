from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localkit.chat.harmony import HarmonySplitter
from localkit.chat.thinking import ThinkingSplitter, detect_thinking
from tests.chat.conversing import cuts

FAMILIES = {
    "think": "{{ '<think>' }}{% if '</think>' in m.content %}",
    "granite-3.3": "between <think></think> and between <response></response>",
    "mistral": "[THINK] {{ thinking }} [/THINK]",
    "seed-oss": "<seed:think></seed:think>",
    "cohere": "<|START_THINKING|><|END_THINKING|><|START_RESPONSE|>",
    "gemma-4": "<|channel>thought\n<channel|>",
    "apriel": "Here are my reasoning steps:\n[BEGIN FINAL RESPONSE]",
    "apertus": "<|inner_prefix|><|inner_suffix|>",
}
# Of 70 templates that llama.cpp ships, 41 think; this is how their answers look.
ANSWERS = [
    (
        "think",
        "<think>\nHm.\n\nYes.\n</think>\n\nIt is so.",
        "Hm.\n\nYes.",
        "It is so.",
    ),
    ("think", "No thought.\n", "", "No thought.\n"),
    ("think", "  \n", "", "  \n"),
    ("think", "", "", ""),
    ("think", "<think></think>x", "", "x"),
    ("think", "<think>\n\n</think>\n\nx", "", "x"),
    ("think", "<think>a<b</thin</think>c", "a<b</thin", "c"),
    ("think", "<thinker>", "", "<thinker>"),
    ("think", "What <think>a</think> means", "", "What <think>a</think> means"),
    ("think", "<think>a</think>b</think>c", "a", "b</think>c"),
    ("granite-3.3", "<think>a</think>\n<response>b</response>", "a", "b"),
    ("granite-3.3", "<response>b\n</response>\n", "", "b"),
    ("mistral", "[THINK]a[/THINK]b", "a", "b"),
    ("cohere", "<|START_RESPONSE|>b<|END_RESPONSE|>", "", "b"),
    (
        "cohere",
        "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>",
        "a",
        "b",
    ),
    (
        "apriel",
        "Here are my reasoning steps:\na\n[BEGIN FINAL RESPONSE]\nb\n"
        "[END FINAL RESPONSE]\n",
        "a",
        "b",
    ),
    ("gemma-4", "<|channel>thought\na\n<channel|>b", "a", "b"),
]


def _split(
    splitter: ThinkingSplitter | HarmonySplitter, pieces: list[str]
) -> tuple[str, str]:
    deltas = [splitter.add(piece) for piece in pieces]
    deltas.append(splitter.finish())
    return "".join(d.thinking for d in deltas), "".join(d.text for d in deltas)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_found_by_its_template(name: str) -> None:
    style = detect_thinking(FAMILIES[name], ())
    assert style is not None
    assert style.name == name


def test_a_template_without_tags_may_belong_to_a_model_that_has_them() -> None:
    assert detect_thinking("{{ messages }}", ()) is None
    assert detect_thinking("{{ messages }}", ("<think>",)) is None
    style = detect_thinking("{{ messages }}", ("<think>", "</think>"))
    assert style is not None
    assert style.name == "think"


@pytest.mark.parametrize(("name", "text", "thinking", "answer"), ANSWERS)
def test_thinking_and_answer_are_told_apart_however_the_text_is_cut(
    name: str, text: str, thinking: str, answer: str
) -> None:
    style = detect_thinking(FAMILIES[name], ())
    for sizes in ([], [1], [2], [3], [7], [1, 5]):
        found = _split(ThinkingSplitter(style), cuts(text, sizes))
        assert found == (thinking, answer)


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("so\n</think>\n\nyes", "so", "yes"),
        ("<think>\nso</think>yes", "so", "yes"),  # the tag, repeated
        ("</think>yes", "", "yes"),
        ("cut sho", "cut sho", ""),
        ("cut </thi", "cut </thi", ""),
        ("cut \n", "cut", ""),
        ("", "", ""),
    ],
)
def test_a_prompt_that_ends_inside_thinking_is_continued_there(
    text: str, thinking: str, answer: str
) -> None:
    style = detect_thinking(FAMILIES["think"], ())
    assert style is not None
    assert style.is_open_at_end("<|assistant|><think>\n")
    assert not style.is_open_at_end("<|assistant|><think>\n\n</think>\n\n")
    for sizes in ([], [1], [3]):
        splitter = ThinkingSplitter(style, inside=True)
        assert _split(splitter, cuts(text, sizes)) == (thinking, answer)
        assert splitter.is_thinking == ("</think>" not in text)


@given(st.text(alphabet="<>/thinkre s\n|", max_size=60), st.lists(st.integers(1, 9)))
def test_any_cut_gives_what_the_whole_text_gives(text: str, sizes: list[int]) -> None:
    for name in FAMILIES:
        for inside in (False, True):
            style = detect_thinking(FAMILIES[name], ())
            whole = _split(ThinkingSplitter(style, inside=inside), [text])
            pieces = cuts(text, sizes)
            assert _split(ThinkingSplitter(style, inside=inside), pieces) == whole


def test_a_model_that_never_thinks_is_passed_through_as_it_is() -> None:
    assert _split(ThinkingSplitter(None), ["<think>", " a", "\n"]) == (
        "",
        "<think> a\n",
    )


CHANNELS = [
    (
        "<|channel|>analysis<|message|>Hm. <|end|><|start|>assistant<|channel|>analysis"
        "<|message|>More.<|end|><|start|>assistant<|channel|>final<|message|>a < b\n",
        "Hm.\n\nMore.",
        "a < b\n",
        [],
    ),
    (
        "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant"
        " to=functions.f<|channel|>commentary json<|message|>{}<|call|>",
        "",
        "I look.",
        [("f", "{}")],
    ),
    (
        "<|channel|>commentary to=functions.g <|constrain|>json<|message|>[1",
        "",
        "",
        [("g", "[1")],
    ),
    ("no channel at all", "", "no channel at all", []),
    ("<|channel|>analysis<|message|>cut <|en", "cut <|en", "", []),
    ("<|channel|>fin", "", "", []),
]


@pytest.mark.parametrize(("text", "thinking", "answer", "calls"), CHANNELS)
def test_channels_are_told_apart_however_the_text_is_cut(
    text: str, thinking: str, answer: str, calls: list[tuple[str, str]]
) -> None:
    for sizes in ([], [1], [4], [1, 9]):
        splitter = HarmonySplitter()
        assert _split(splitter, cuts(text, sizes)) == (thinking, answer)
        assert splitter.calls == calls
