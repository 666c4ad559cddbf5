"""The token view without a browser: what its buttons do, and what it leaves behind."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import NotComparable, UsageError
from localkit.evals.token_views.answer_tokens import AnswerTokens, shown_tokens
from localkit.evals.token_views.answering import Looked
from localkit.evals.token_views.look import look
from localkit.runtime.protocol import SamplingParams
from localkit.widgets.tokens.tokens import MAX_BRANCHES, TokenView, tokens
from localkit.widgets.tokens.words import named
from tests.evals.tiny_family import tiny_kit
from tests.render.inspect_html import active_parts, characters_that_act
from tests.render.payloads import PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.kit import Kit

HARMLESS = {"<span title>", "<div dir>", "<details open>"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    folder = tmp_path_factory.mktemp("fakes")
    kit = tiny_kit(folder, {"f16": "F16", "q2_k": "Q2_K"})
    yield kit
    kit.close()


@pytest.fixture
def view(kit: Kit) -> TokenView:
    return tokens("tiny:f16", "hi", max_tokens=6, kit=kit)


def heard_by(view: TokenView, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the list that messages to the front end go to."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(view.panel, "tell", lambda message: told.append(dict(message)))
    monkeypatch.setattr(view._feed, "_send", told.append)
    return told


def test_the_view_has_all_figures_and_names_itself(view: TokenView) -> None:
    n = len(view.answer.tokens)
    assert repr(view) == f"<TokenView tiny:f16 n={n}>"
    frame = view.to_frame()
    assert list(frame["rank"]) == [1] * n
    assert frame["logprob"].sum() == pytest.approx(view.answer.logprob)
    state = view.state()
    assert len(state["tokens"]) == state["n_tokens"] == n
    assert len(state["tokens"][0][5]) == 5
    json.dumps(state, allow_nan=False)


def test_two_quants_are_compared_token_by_token(kit: Kit) -> None:
    view = tokens("tiny:f16", "hi", against="tiny:q2_k", max_tokens=6, kit=kit)
    assert repr(view).startswith("<TokenView tiny:f16 against tiny:q2_k n=")
    assert (view.to_frame()["kl"] > 0).all()
    plain = view.panel.record.plain
    assert "KL from tiny:f16 to tiny:q2_k: mean" in plain
    assert "their own answers part at token" in plain
    assert "tiny:q2_k answers (" in plain
    html = view.panel.record.html
    assert "⚑" in html
    assert "rgba(0,114,178," in html
    assert "| tiny:q2_k: " in html
    json.dumps(view.state(), allow_nan=False)


def test_the_record_is_the_same_each_time_and_has_a_receipt(
    view: TokenView, kit: Kit
) -> None:
    again = tokens("tiny:f16", "hi", max_tokens=6, kit=kit)
    assert view.panel.record.plain == again.panel.record.plain
    assert view.panel.record.html == again.panel.record.html
    (receipt,) = view.panel.record.metadata["receipts"]
    assert receipt["ref"] == "tiny:f16"
    assert receipt["weights_digest"].startswith("sha256:")


def test_hovering_in_the_record_tells_what_else_might_have_come(
    view: TokenView,
) -> None:
    one = view.answer.tokens[0]
    html = view.panel.record.html
    assert f'title="{named(one.spelling)} −' in html
    assert "nats · p 0" in html
    assert f"also: {named(one.top[1].spelling)} 0" in html
    assert "dotted: p below 0.1" in view.panel.record.html


def test_another_token_leads_to_a_branch(view: TokenView) -> None:
    other = view.answer.tokens[2].top[1]
    branch = view.what_if(2, other.token)
    assert branch.first.figures.token == other.token
    assert view.branches == (branch,)
    assert "at token 2 instead of" in view.panel.record.plain
    assert branch.text() in view.panel.record.plain
    by_text = view.what_if(2, other.spelling.text)
    assert by_text.tokens == branch.tokens
    with pytest.raises(UsageError, match="is 2 tokens"):
        view.what_if(2, "zz")
    with pytest.raises(UsageError, match="there is no other model"):
        view.what_if(2, other.token, against=True)
    view.forget("branch 1")
    assert len(view.branches) == 1


def test_the_other_model_goes_on_where_it_is_asked_to(kit: Kit) -> None:
    view = tokens("tiny:f16", "hi", against="tiny:q2_k", max_tokens=4, kit=kit)
    assert view.what_if(1, 65, against=True).ref == "tiny:q2_k"
    assert view.what_if(1, 65).ref == "tiny:f16"


def test_a_button_grows_a_branch_and_its_text_streams(
    view: TokenView, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = heard_by(view, monkeypatch)
    view.panel.hear({"do": "what_if", "at": 1, "token": 65})
    assert view.worker.wait(10)
    (branch,) = view.branches
    assert view.panel.error == ""
    streamed = "".join(one["add"]["branch 1"] for one in told if one["kind"] == "text")
    assert streamed.startswith("A")
    assert view.state()["branches"][0]["at"] == 1
    assert view.state()["growing"] is None
    assert branch.text() in view.panel.record.plain


def test_stop_ends_a_branch_and_keeps_what_there_is(
    view: TokenView, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait_at_the_second(index: int) -> None:
        if index == 1:
            begun.set()
            assert go_on.wait(10)

    monkeypatch.setattr(kit.runtime, "before_token", wait_at_the_second)
    view.panel.hear({"do": "what_if", "at": 0, "token": 65})
    assert begun.wait(10)
    assert view.state()["busy"]
    view.panel.hear({"do": "what_if", "at": 0, "token": 66})
    assert "a branch is growing" in view.panel.error
    view.panel.hear({"do": "stop"})
    go_on.set()
    assert view.worker.wait(10)
    (branch,) = view.branches
    assert branch.finish_reason == "interrupted"
    assert len(branch.tokens) == 2


def test_an_error_stays_to_be_read(view: TokenView, kit: Kit) -> None:
    view._models[0].close()
    view.panel.hear({"do": "what_if", "at": 0, "token": 65})
    assert view.worker.wait(10)
    assert view.panel.error != ""
    assert view.branches == ()
    assert not view.state()["busy"]


@pytest.mark.parametrize(
    "message",
    [
        {"do": "what_if", "at": -1, "token": 5},
        {"do": "what_if", "at": 0, "token": "5"},
        {"do": "what_if", "at": 0, "token": 5, "model": 2},
        {"do": "what_if", "at": 1 << 40, "token": 5},
        {"do": "what_if", "at": 0, "token": 5, "more": 1},
        {"do": "forget", "branch": "x" * 10_000},
        {"do": "forget", "branch": None},
        {"do": "run", "code": "1"},
        {"at": 1},
        [],
        None,
        "stop",
        {"do": ["stop"]},
    ],
)
def test_N3_a_forged_message_is_ignored(view: TokenView, message: object) -> None:
    before = view.state()
    view.panel.hear(message)
    assert view.panel.n_ignored == 1
    assert view.state() == before


@pytest.mark.parametrize(("at", "token"), [(900, 5), (0, 300), (0, 1 << 31)])
def test_N3_a_token_that_is_not_there_is_refused_without_work(
    view: TokenView, at: int, token: int
) -> None:
    view.panel.hear({"do": "what_if", "at": at, "token": token})
    assert "there is no token" in view.panel.error
    assert not view.worker.busy


def test_there_are_only_so_many_branches(view: TokenView) -> None:
    for _ in range(MAX_BRANCHES):
        view.what_if(0, 65)
    with pytest.raises(UsageError, match=f"there are {MAX_BRANCHES} branches"):
        view.what_if(0, 65)


def long_view(view: TokenView, n: int, *, two: bool) -> TokenView:
    model = view._models[0]
    figures = look(
        model.session, [1], [65, 10, 32], against=model.session if two else None
    )
    figures[1] = figures[1]._replace(
        here=figures[1].here._replace(top=figures[1].here.top * 4)
    )
    shown = shown_tokens(model.session, figures)
    answer = AnswerTokens(
        ref="tiny:f16",
        label="F16",
        prompt=(1,),
        tokens=shown * (n // 3),
        against="tiny:f16" if two else None,
    )
    return TokenView(Looked(answer, SamplingParams(), ()), model)


@pytest.mark.parametrize("two", [False, True])
def test_N2_a_long_answer_is_cut_in_state_and_record_and_says_so(
    view: TokenView, two: bool
) -> None:
    long = long_view(view, 30_000, two=two)
    state = long.state()
    assert len(repr(state)) < 1 << 20
    assert 500 < len(state["tokens"]) <= 2000
    assert state["n_tokens"] == 30_000
    record = long.panel.record
    assert len(record.html.encode()) < 1 << 20
    assert "more tokens are not shown" in record.html
    assert len(record.plain) < 100_000
    assert "the 10 strangest of 30000 tokens" in record.plain


def test_N1_a_hostile_answer_is_shown_and_does_nothing(kit: Kit) -> None:
    for payload in PAYLOADS.values():
        text = payload.encode("utf-8", "replace").decode()
        view = tokens("tiny:f16", "hi", text=text, top=1, kit=kit)
        record = view.panel.record
        assert set(active_parts(record.html)) <= HARMLESS, payload
        assert characters_that_act(record.plain) == [], payload
        shown = "".join(one[0] for one in view.state()["tokens"])
        assert characters_that_act(shown) == [], payload


def test_what_makes_no_sense_is_refused(kit: Kit, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="top is 21"):
        tokens("tiny:f16", "hi", top=21, kit=kit)
    from tests.fixtures.gguf import write_tiny_llama

    kit.store.add(write_tiny_llama(tmp_path / "spm.gguf", vocab="spm"), "spm:f16")
    with pytest.raises(NotComparable, match="has another tokenizer"):
        tokens("tiny:f16", "hi", against="spm:f16", kit=kit)


def test_freezing_takes_the_controls_away(view: TokenView) -> None:
    view.panel.show("front end")
    assert view.panel.face is not None
    view.panel.hear({"do": "freeze"})
    assert view.panel.face.state["frozen"]
    view.close()
    assert view.panel.face is None
