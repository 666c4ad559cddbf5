"""The Python half of the view of a comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter

from localkit.evals.comparing.compare import compare
from localkit.evals.comparing.standing import Pending, Standing
from localkit.evals.report import plots
from localkit.events import Progress
from localkit.widgets.comparison.actions import AnyAction
from localkit.widgets.comparison.cells import key_of, sheet
from localkit.widgets.comparison.explore import explore
from localkit.widgets.comparison.measuring import Measuring
from localkit.widgets.panel import MAX_STATE_CHARS
from tests.evals.constructed import comparison as constructed
from tests.evals.constructed import ladder, reference, row, widened
from tests.render.inspect_html import active_parts
from tests.widgets.comparison.family import HOSTILE, TEXT, N, rows, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.comparing.comparison import Comparison
    from localkit.widgets.comparison.view import ComparisonView


@pytest.fixture(scope="module", autouse=True)
def no_plots() -> Iterator[None]:
    """Draw nothing: figures take a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "draw", lambda *_, **__: ())
        yield


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    """Return a comparison whose answers can be read."""
    with scripted(tmp_path_factory.mktemp("family")) as kit:
        yield compare("tiny", task=rows(), text=TEXT, effort="quick", kit=kit)


@pytest.fixture
def view(compared: Comparison) -> ComparisonView:
    """Return a view that shows a page of all samples."""
    view = explore(compared)
    view.look()
    assert view.wait(10)
    return view


def found(view: ComparisonView) -> list[int]:
    """Return the places of the samples on the page."""
    assert view.wait(10)
    assert view.panel.error == ""
    return [item["index"] for item in view.state()["samples"]["items"]]


def test_samples_come_in_pages(view: ComparisonView) -> None:
    assert found(view) == list(range(25))
    view.look(page=2)
    assert found(view) == list(range(50, N))
    view.look(page=1000)
    assert view.wait(10)
    assert view.state()["samples"]["page"] == 2


@pytest.mark.parametrize(
    ("show", "label", "indices"),
    [
        ("wrong", "Q4_0", [7, 11]),
        ("flips", "Q4_0", [5, 7, 11]),
        ("lost", "Q2_K", [3, 7, 11, 13, 17]),
        ("gained", "Q2_K", [5]),
        ("differ", "Q8_0", []),
        ("differ", "Q4_0", [5, 7, 11]),
        ("unscored", "Q2_K", []),
    ],
)
def test_samples_are_found_by_what_a_candidate_made_of_them(
    view: ComparisonView, show: str, label: str, indices: list[int]
) -> None:
    view.act(action({"do": "look", "task": "own-data", "show": show, "label": label}))
    assert found(view) == indices


def test_a_search_reads_questions_and_answers(view: ComparisonView) -> None:
    view.look(text="COMES AFTER 41?")
    assert found(view) == [41]
    view.look(text="nine hundred")
    assert found(view) == [3, 5, 7, 11, 13, 17]
    view.look(text="nowhere")
    assert found(view) == []


def test_an_opened_sample_has_both_answers_and_their_difference(
    view: ComparisonView,
) -> None:
    view.look("lost", "Q2_K")
    view.open(7)
    assert view.wait(10)
    sample = view.state()["sample"]
    assert [one["label"] for one in sample["answers"]] == ["F16", "Q2_K"]
    assert [one["value"] for one in sample["answers"]] == [1.0, 0.0]
    assert sample["right"] == "8"
    assert HOSTILE in sample["prompt"]
    left = "".join(text for op, text in sample["diff"] if op != "+")
    right = "".join(text for op, text in sample["diff"] if op != "-")
    assert left == sample["answers"][0]["text"] == "It is 8."
    assert right == sample["answers"][1]["text"]
    view.shut()
    assert view.state()["sample"] is None
    view.open(10**6)
    assert view.wait(10)
    assert view.state()["sample"] is None


def action(message: object) -> AnyAction:
    """Return what a message asks for, as the panel reads it."""
    adapter: TypeAdapter[AnyAction] = TypeAdapter(AnyAction)
    return adapter.validate_python(message)


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        "freeze",
        {"do": "look"},
        {"do": "rm", "index": 0},
        {"do": "open", "index": -1},
        {"do": "open", "index": "0"},
        {"do": "open", "index": 10**30},
        {"do": "table", "index": 0, "more": 1},
        {"do": "send", "what": "/etc/passwd"},
        {"do": "look", "task": "x" * 10**6, "show": "all", "label": ""},
        {"do": "look", "task": "", "show": "all", "label": "", "text": "x" * 301},
    ],
)
def test_N3_a_forged_message_is_ignored(view: ComparisonView, message: object) -> None:
    before = json.dumps(view.state())
    view.panel.hear(message)
    assert view.panel.n_ignored == 1
    assert json.dumps(view.state()) == before


def test_N3_a_task_or_candidate_that_is_not_there_means_the_first(
    view: ComparisonView,
) -> None:
    view.panel.hear({"do": "look", "task": "x", "show": "lost", "label": "' OR 1"})
    assert view.wait(10)
    assert view.state()["samples"]["asked"]["task"] == "own-data"
    assert view.state()["samples"]["asked"]["label"] == "Q2_K"
    view.panel.hear({"do": "table", "index": 999})
    assert view.state()["sheet"]["place"] == 0


def test_the_record_is_the_static_report(
    view: ComparisonView, compared: Comparison
) -> None:
    record = view.panel.record
    data, metadata = compared._repr_mimebundle_()
    assert record.plain == data["text/plain"]
    assert str(record.html) == data["text/html"]
    assert record.metadata == metadata["localkit"]
    assert "<script" not in str(record.html)
    assert "<style" not in str(record.html)


def test_N4_no_path_is_in_the_state(view: ComparisonView, compared: Comparison) -> None:
    assert compared.samples is not None
    state = json.dumps(view.state())
    assert str(compared.samples.path.parent) not in state
    assert len(state) < 40_000


def test_without_a_front_end_the_report_is_all_there_is(
    compared: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    explore(compared)._ipython_display_()
    assert repr(compared) in capsys.readouterr().out
    assert repr(explore(compared)).startswith("<ComparisonView of Comparison of tiny")


def test_a_comparison_without_answers_shows_its_figures() -> None:
    view = explore(constructed([widened(one) for one in ladder()]))
    view.look()
    state = view.state()
    assert state["samples"] is None
    assert len(state["sheet"]["lines"]) == len(ladder())
    assert len(json.dumps(state)) < MAX_STATE_CHARS


def test_every_table_of_the_report_can_be_sorted() -> None:
    measured = [widened(one) for one in ladder()]
    titles = sheet(measured).titles
    assert len(titles) > 4
    for index in range(len(titles)):
        one = sheet(measured, index)
        assert one.place == index
        for line in one.lines:
            for cell in line:
                assert cell.key is None or isinstance(cell.key, str | int | float)
    sizes = [line[2].key for line in sheet(measured).lines]
    assert sizes == [one.file_size for one in measured]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("–", None),
        ("", None),
        ("1.5 GiB", 1.5 * 2**30),
        ("−2.1 (−4.0 to 0.1)", -2.1),
        ("< 0.001", 0.001),
        ("floor 0.0003", 0.0003),
        ("131,072", 131072),
        ("31 ms", 0.031),
        ("none fits", "none fits"),
    ],
)
def test_a_cell_is_sorted_by_its_number(text: str, key: object) -> None:
    assert key_of(text) == key


class Heard:
    """A panel that only counts."""

    def __init__(self) -> None:
        self.messages: list[object] = []
        self.n_drawn = self.n_kept = 0

    def tell(self, message: object) -> None:
        self.messages.append(message)

    def refresh(self) -> None:
        self.n_drawn += 1

    def keep(self) -> None:
        self.n_kept += 1


def test_N2_an_hour_of_measuring_is_told_in_a_megabyte() -> None:
    now, panel = [0.0], Heard()
    measuring = Measuring(panel, clock=lambda: now[0])  # type: ignore[arg-type]
    times = []
    for tick in range(36_000):
        now[0] = tick / 10
        n = len(panel.messages)
        measuring.on_progress(Progress("perplexity and KL", tick, 36_000, "chunks"))
        times += [now[0]] * (len(panel.messages) - n)
    assert sum(len(json.dumps(one)) for one in panel.messages) < 500_000
    assert sum(10 <= time < 11 for time in times) <= 5
    assert times[-1] > 3590


def test_a_table_on_its_way_says_what_waits_and_what_runs() -> None:
    panel = Heard()
    measuring = Measuring(panel)  # type: ignore[arg-type]
    half = row(HOSTILE, quality=None, speed=None, memory=None)
    measuring.on_rows(
        Standing(
            model="tiny",
            reference="F16",
            rows=(reference(speed=None), half),
            pending={
                ("F16", "speed"): Pending(),
                (HOSTILE, "memory"): Pending(),
                (HOSTILE, "text"): Pending(running=True, done=3, total=40),
                (HOSTILE, "task hellaswag"): Pending(),
            },
        )
    )
    drawn = measuring.state()["sheet"]
    columns = zip(*drawn["lines"], strict=True)
    cells = dict(zip([head for head, _ in drawn["heads"]], columns, strict=True))
    assert cells["mean KL, nats"][1] == ["3/40", None, "runs"]
    assert cells["memory"][1] == ["…", None, "waits"]
    assert cells["decode tok/s"][0] == ["…", None, "waits"]
    assert cells["hellaswag, Δ points"][1][0] == "…"
    measuring.stop()
    record = measuring.record(is_whole=False)
    assert "3/40" in record.plain
    assert active_parts(str(record.html)) == []
    assert "stopped" in record.title
    assert not record.folds
    assert "goes on from here" in measuring.state()["live"]["text"]


def test_a_sample_opened_while_a_search_goes_on_is_read_after_it(
    view: ComparisonView,
) -> None:
    for _ in range(20):
        view.look("lost", "Q2_K")
        view.open(7)
        assert view.wait(10)
        state = view.state()
        assert state["sample"]["answers"][1]["label"] == "Q2_K"
        assert 7 in found(view)
