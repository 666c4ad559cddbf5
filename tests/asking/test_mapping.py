"""One question per row: order, bad rows, progress, Ctrl-C."""

from __future__ import annotations

import json
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from localkit.errors import (
    GrammarInvalid,
    SessionClosed,
    TemplateError,
)
from tests.fixtures.asking import GREEDY
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.events import Progress
    from localkit.model import Model
    from localkit.runtime.fake import FakeRuntime

COLUMNS = [
    "answer",
    "finish_reason",
    "n_prompt",
    "n_generated",
    "decode_per_s",
    "note",
    "error",
]


def test_a_frame_comes_back_in_order_with_its_index_and_the_answers(
    model: Model,
) -> None:
    frame = pd.DataFrame(
        {"text": list("abcdefgh"), "label": range(8)}, index=list("stuvwxyz")
    )
    out = model.map(frame, "Say {text} {label:02d}", params=GREEDY)
    assert list(out.columns) == ["text", "label", *COLUMNS]
    assert list(out.index) == list(frame.index)
    assert list(out["text"]) == list(frame["text"])
    for row in out.itertuples():
        alone = model.chat(f"Say {row.text} {row.label:02d}", params=GREEDY)
        assert row.answer == alone.text
        assert row.n_prompt == alone.usage.n_prompt
        assert row.n_generated == alone.usage.n_generated
        assert row.finish_reason == alone.finish_reason
    assert out["error"].isna().all()
    assert "answer" not in frame.columns


def test_a_list_of_dicts_and_a_dataset_are_rows_too(model: Model) -> None:
    import datasets

    rows = [{"text": "a"}, {"text": "b"}]
    of_list = model.map(rows, "{text}!", params=GREEDY)
    of_dataset = model.map(datasets.Dataset.from_list(rows), "{text}!", params=GREEDY)
    pd.testing.assert_frame_equal(of_list, of_dataset)
    assert list(of_list["text"]) == ["a", "b"]


def test_no_rows_give_an_empty_frame_of_the_same_columns(model: Model) -> None:
    out = model.map(pd.DataFrame({"text": []}), "{text}", params=GREEDY)
    assert list(out.columns) == ["text", *COLUMNS]
    assert len(out) == 0


def test_one_bad_row_does_not_lose_the_others(model: Model) -> None:
    rows = [
        {"text": "fine"},
        {"text": None},
        {"text": "long " * 400},
        {"text": float("nan")},
        {"other": 1},
        {"text": "fine too"},
    ]
    out = model.map(rows, "{text}", params=GREEDY)
    assert list(out["finish_reason"] == "error") == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    assert out["answer"].notna().tolist() == [True, False, False, False, False, True]
    assert "has no 'text'" in out["error"][1]
    assert "n_ctx is 512" in out["error"][2]
    assert pd.isna(out["n_generated"][2])


def test_raw_text_goes_without_the_template(model: Model) -> None:
    out = model.map([{"text": "ab"}], "{text}", chat=False, params=GREEDY)
    assert out["answer"][0] == model.generate("ab", params=GREEDY).text


def test_a_model_without_a_chat_template_is_refused_at_once(tmp_path: Path) -> None:
    path = write_tiny_llama(
        tmp_path / "t.gguf", metadata={"tokenizer.chat_template": ""}
    )
    with fake_kit(path) as kit, pytest.raises(TemplateError) as caught:
        kit.load(MODEL).map([{"text": "a"}], "{text}")
    assert "chat=False" in caught.value.hint


def test_progress_counts_rows(model: Model) -> None:
    seen: list[Progress] = []
    model.map([{"text": "a"}] * 3, "{text}", params=GREEDY, on_progress=seen.append)
    assert [report.done for report in seen] == [0, 1, 2, 3]
    assert {(report.total, report.unit) for report in seen} == {(3, "rows")}


def test_rows_are_asked_side_by_side_as_bulk(
    model: Model, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, most, lock = [0], [0], threading.Lock()
    served: list[Any] = []
    stream = model.session.stream

    def watch(*given: object, **options: object) -> object:
        served.append(options["serve"])
        return stream(*given, **options)  # type: ignore[arg-type]

    def busy(index: int) -> None:
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
        time.sleep(0.002)
        with lock:
            together[0] -= 1

    monkeypatch.setattr(model.session, "stream", watch)
    runtime.before_token = busy
    model.map([{"text": "a"}] * 12, "{text}", params=GREEDY)
    assert 2 <= most[0] <= 6  # four slots, and two at the door
    assert {serve.priority for serve in served} == {"bulk"}


def test_ctrl_c_returns_the_rows_that_are_answered(
    model: Model, runtime: FakeRuntime
) -> None:
    main = threading.main_thread().ident
    assert main is not None
    n_started, lock = [0], threading.Lock()

    def interrupt(index: int) -> None:
        with lock:
            n_started[0] += index == 0
            send = n_started[0] == 9 and index == 0
        if send:
            signal.pthread_kill(main, signal.SIGINT)
        if n_started[0] >= 9:
            time.sleep(0.3)

    runtime.before_token = interrupt
    rows = [{"text": str(number)} for number in range(30)]
    out = model.map(rows, "{text}", params=GREEDY)
    interrupted = out["finish_reason"] == "interrupted"
    assert interrupted.any()
    assert not interrupted.all()
    assert out["answer"][~interrupted].notna().all()


def test_what_fails_for_all_rows_is_raised(model: Model) -> None:
    with pytest.raises(GrammarInvalid):
        model.map([{"text": "a"}], "{text}", structure=object())
    model.close()
    with pytest.raises(SessionClosed):
        model.map([{"text": "a"}] * 3, "{text}", params=GREEDY)


def test_the_receipt_goes_with_the_frame(model: Model) -> None:
    out = model.map([{"text": "a"}], "{text}", params=GREEDY)
    receipt = out.attrs["localkit"]
    assert receipt["weights_digest"] == model.stored.weights_digest
    json.dumps(receipt, default=str)
