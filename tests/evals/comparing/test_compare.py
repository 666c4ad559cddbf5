from __future__ import annotations

import json
from pathlib import Path

import pytest

from localkit.config import Settings
from localkit.errors import (
    Cancelled,
    DatasetInvalid,
    LoadFailed,
    UsageError,
    WorkerDied,
)
from localkit.evals.comparing.compare import compare
from localkit.evals.memory import kinds as memory_module
from localkit.evals.tasks.catalog import Text
from localkit.evals.tasks.task import task_from_data
from localkit.events import CancelToken, Progress
from localkit.kit import Kit
from localkit.runtime.memory.probe import MemoryProbe
from localkit.runtime.protocol import MemoryUse
from tests.evals.tiny_family import add_tiny, tiny_kit

MIB = 2**20
TEXT = Text("squares", "".join(chr(97 + (i * i) % 26) for i in range(6000)), "sha256:0")
TASK = task_from_data(
    "letters",
    [
        {"q": f"After {a} comes", "a": ["b", "c", "d"], "right": i % 3}
        for i, a in enumerate("abcdefghij")
    ],
    prompt="{q}",
    choices="a",
    answer="right",
)


@pytest.fixture
def probed(monkeypatch):
    """Measure memory without a child: sizes by quant, and failures on demand."""
    failures = {}

    def probe(info, params, **_):
        if info.quant in failures:
            raise failures[info.quant]
        use = MemoryUse(info.weights_size, 1024 * (params.n_ctx or 0), MIB, {})
        return MemoryProbe(use, info.weights_size, 2 * MIB, None)

    monkeypatch.setattr(memory_module, "probe", probe)
    return failures


def measured(kit: Kit, **changes):
    arguments = {"task": TASK, "text": TEXT, "effort": "quick", "kit": kit}
    return compare("tiny", **(arguments | changes))


def test_every_candidate_has_all_its_figures(tmp_path, probed):
    comparison = measured(tiny_kit(tmp_path))
    frame = comparison.to_frame()
    assert set(frame.index) == {"F16", "Q8_0", "Q4_0", "Q2_K"}
    for column in (
        "kld_nats_low",
        "same_top_share",
        "ln_ppl_ratio",
        "perplexity",
        "accuracy_share",
        "decode_tokens_per_s",
        "prefill_tokens_per_s",
        "weights_bytes",
    ):
        assert frame[column].notna().all(), column
    assert frame.loc["F16", "reference"]
    klds = frame.loc[["F16", "Q8_0", "Q4_0", "Q2_K"], "kld_nats"]
    assert klds.is_monotonic_increasing


def test_a_finished_comparison_is_shown_again_without_loading_a_model(tmp_path, probed):
    kit = tiny_kit(tmp_path)
    first = measured(kit, budget="1GiB")
    n_loads = len(kit.runtime.loaded)
    again = measured(kit, budget="1GiB")
    assert len(kit.runtime.loaded) == n_loads
    assert again.rows == first.rows
    assert again.setup == first.setup


def test_E1_a_stopped_comparison_goes_on_where_it_was(tmp_path, probed):
    kit, stop = tiny_kit(tmp_path), CancelToken()

    def stop_in_the_task(progress: Progress) -> None:
        if progress.step == "letters" and progress.done == 15:
            stop.cancel()

    with pytest.raises(Cancelled):
        measured(kit, cancel=stop, on_progress=stop_in_the_task)
    fresh: list[Progress] = []
    assert measured(kit, on_progress=fresh.append).pick
    letters = [progress for progress in fresh if progress.step == "letters"]
    assert letters[-1].done == letters[-1].total == 40


def test_E3_other_weights_under_the_same_tag_are_measured_anew(tmp_path, probed):
    kit = tiny_kit(tmp_path)
    before = {row.label: row.weights_digest for row in measured(kit).rows}
    n_loads = len(kit.runtime.loaded)
    add_tiny(kit, tmp_path, "tiny:q4_0", "Q4_0", seed=77)
    after = {row.label: row.weights_digest for row in measured(kit).rows}
    assert after["Q4_0"] != before["Q4_0"]
    scored_again = {
        session.info.path.name
        for session in kit.runtime.loaded[n_loads:]
        if session.n_ctx == 512  # the context for scoring; speeds take less
    }
    assert len(scored_again) == 1


def test_ctrl_c_keeps_what_is_measured(tmp_path, probed):
    kit = tiny_kit(tmp_path)

    def interrupt(progress: Progress) -> None:
        if progress.step == "tok/s" and progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(kit, on_progress=interrupt)
    assert all(session.closed for session in kit.runtime.loaded)
    assert measured(kit).pick


def test_progress_names_its_steps_and_their_totals(tmp_path, probed):
    seen: list[Progress] = []
    measured(tiny_kit(tmp_path), on_progress=seen.append)
    last = {progress.step: progress for progress in seen}
    assert {p.step: (p.done, p.total, p.unit) for p in last.values()} == {
        "memory": (4, 4, "models"),
        "logits of F16": (4, 4, "chunks"),
        "perplexity and KL": (16, 16, "chunks"),
        "letters": (40, 40, "items"),
        "tok/s": (12, 12, "reps"),
    }


def test_the_budget_decides_and_is_named(tmp_path, probed):
    comparison = measured(tiny_kit(tmp_path), budget=2 * MIB, n_ctx=128)
    assert comparison.pick
    assert "within the 2.0 MiB of memory asked for" in comparison.verdict
    assert "at 128 tokens of context" in comparison.verdict
    small = measured(tiny_kit(tmp_path / "again"), budget=MIB, n_ctx=128)
    assert small.pick is None
    assert small.verdict.startswith("No candidate fits the 1.0 MiB of memory asked")


@pytest.mark.parametrize(
    "failure", [LoadFailed("an architecture nobody knows"), WorkerDied("killed")]
)
def test_a_candidate_that_does_not_load_is_excluded_with_the_reason(
    tmp_path, probed, failure
):
    probed["Q4_0"] = failure
    kit = tiny_kit(tmp_path)
    comparison = measured(kit)
    row = next(row for row in comparison.rows if row.label == "Q4_0")
    assert row.excluded is not None
    assert str(failure) in row.excluded.text
    assert row.quality is None
    # It is never loaded in this process.
    assert "Q4_0" not in {session.info.quant for session in kit.runtime.loaded}


def test_a_reference_that_does_not_load_ends_the_comparison(tmp_path, probed):
    probed["F16"] = LoadFailed("no")
    with pytest.raises(LoadFailed):
        measured(tiny_kit(tmp_path))


def test_a_comparison_without_questions_says_nothing_about_them(tmp_path, probed):
    comparison = measured(tiny_kit(tmp_path), task=None)
    assert comparison.setup.task is None
    assert comparison.flips == ()
    assert "--task none" in comparison.setup.command
    drawn = {plot.name for plot in comparison.plots}
    assert {"kld_vs_size", "kld_vs_decode", "dp", "memory"} <= drawn
    assert not drawn & {"accuracy", "tasks"}


def test_flips_and_passages_carry_the_case_itself(tmp_path, probed):
    comparison = measured(tiny_kit(tmp_path))
    labels = {passage.label for passage in comparison.passages}
    assert labels == {"Q2_K"}
    assert all("".join(p.pieces) in TEXT.text for p in comparison.passages)
    for flip in comparison.flips:
        assert flip.right in (flip.reference_choice, flip.candidate_choice)
        assert flip.reference_choice != flip.candidate_choice


def test_a_lossy_reference_is_said_in_verdict_and_method(tmp_path, probed):
    kit = tiny_kit(tmp_path, localkit__lossy_origin="Q4_1")
    comparison = measured(kit)
    assert comparison.setup.remarks[0] == (
        "The F16 reference is expanded from published Q4_1 weights, whose own loss is "
        "in none of these figures."
    )


def test_one_model_alone_is_compared_with_itself(tmp_path, probed):
    comparison = measured(tiny_kit(tmp_path, {"f16": "F16"}))
    assert comparison.pick == "F16"
    drawn = {plot.name for plot in comparison.plots}
    assert drawn - {"memory_by_context", "decode_vs_size"} == {"memory", "accuracy"}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"quants": ["Q5_K_M"]}, UsageError, "no Q5_K_M of tiny is in the store"),
        ({"effort": "heroic"}, UsageError, "effort 'heroic' is unknown"),
        ({"max_kld": 0.0}, UsageError, "a tolerance is above 0"),
        ({"budget": "plenty"}, UsageError, "no amount of memory"),
        ({"budget": 0}, UsageError, "holds nothing"),
        ({"task": "helloswag"}, DatasetInvalid, "no task 'helloswag'"),
        ({"text": Path("/nowhere/x.txt")}, DatasetInvalid, "x.txt"),
    ],
)
def test_a_bad_argument_is_one_line_and_measures_nothing(
    tmp_path, probed, changes, error, words
):
    kit = tiny_kit(tmp_path)
    with pytest.raises(error, match=words):
        measured(kit, **changes)
    assert kit.runtime.loaded == []


def test_a_text_too_short_to_score_says_how_long_it_is(tmp_path, probed):
    with pytest.raises(DatasetInvalid, match="at least 1024 are needed"):
        measured(tiny_kit(tmp_path), text=Text("short", "hello", "sha256:1"))


@pytest.mark.model
@pytest.mark.timeout(900)
def test_the_real_model_is_compared_and_reported_end_to_end(tmp_path, smollm2_gguf):
    kit = Kit(Settings(home=tmp_path, n_threads=1))
    kit.store.add(smollm2_gguf, "smollm2:q4_1")
    kit.quantize("smollm2:q4_1", "Q2_K", allow_requantize=True)
    comparison = compare("smollm2", effort="quick", kit=kit)
    assert comparison.reference.label == "Q4_1"
    lossy = next(row for row in comparison.rows if row.label == "Q2_K")
    assert lossy.quality is not None
    assert lossy.task is not None
    assert 0.2 < lossy.quality.kld.low < lossy.quality.kld.high < 1.5
    assert lossy.quality.same_top.value < 0.9
    assert lossy.task.n_items == 20
    assert all(row.memory and row.memory.kv > 80 * MIB for row in comparison.rows)
    assert all(row.decode_per_s > 0 for row in comparison.rows)
    assert any("Q4_1" in remark for remark in comparison.setup.remarks)
    files = comparison.save(tmp_path / "report")
    assert {"kld_vs_size", "dp", "accuracy"} <= {path.stem for path in files.plots}
    assert json.loads(files.json.read_text(encoding="utf-8"))["decision"]["pick"]


def test_a_grid_of_cache_types_is_measured_against_the_first(tmp_path, probed):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    comparison = measured(kit, kv_type=["f16", "q8_0"])
    assert [row.label for row in comparison.rows] == [
        "F16, f16 KV",
        "F16, q8_0 KV",
        "Q8_0, f16 KV",
        "Q8_0, q8_0 KV",
    ]
    assert comparison.reference.label == "F16, f16 KV"
    assert all(row.quality and row.speed and row.task for row in comparison.rows)
    assert "--kv-type f16,q8_0" in comparison.setup.command


def test_several_texts_and_tasks_stand_in_one_table(tmp_path, probed):
    other = Text(
        "cubes", "".join(chr(97 + (i**3) % 26) for i in range(6000)), "sha256:1"
    )
    words = task_from_data(
        "words",
        [{"q": f"Say {n}", "right": str(n)} for n in range(6)],
        prompt="{q}",
        target="right",
    )
    comparison = measured(
        tiny_kit(tmp_path, {"f16": "F16", "q4_0": "Q4_0"}),
        text=[TEXT, other],
        task=[TASK, words],
    )
    row = comparison.rows[1]
    assert [one.text for one in row.by_text] == ["squares", "cubes"]
    assert row.quality is not None
    assert row.quality.n_chunks == sum(one.n_chunks for one in row.by_text)
    assert [one.name for one in row.tasks] == ["letters", "words"]
    assert [one.name for one in comparison.setup.corpora] == ["squares", "cubes"]


def test_samples_grow_until_the_difference_is_settled(tmp_path, probed):
    rows = [{"q": f"Is {n} odd", "a": ["yes", "no"], "right": n % 2} for n in range(80)]
    task = task_from_data("parity", rows, prompt="{q}", choices="a", answer="right")
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    comparison = measured(kit, task=task, precision=0.9)
    used = comparison.setup.task
    assert used is not None
    assert used.n_items < 80
    assert any("within 90 points" in remark for remark in comparison.setup.remarks)
