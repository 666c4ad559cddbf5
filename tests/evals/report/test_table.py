from __future__ import annotations

import math
from dataclasses import replace

import pytest

from localkit.evals.comparing.row import Exclusion
from localkit.evals.report import table
from localkit.evals.report.columns import overview
from tests.evals.constructed import ladder, reference, row, widened


def test_the_overview_marks_the_pick_and_the_reference():
    lines = table.plain(ladder(), pick="Q4_K_M").splitlines()
    (chosen,) = (line for line in lines if line.startswith("→  "))
    assert chosen.split()[1] == "Q4_K_M"
    assert "F16 ◇" in lines[2]
    assert "F16 (from Q4_1) ◇" in table.html(ladder())


def test_a_column_that_nobody_filled_is_left_out():
    rows = [reference(), row("Q8_0")]
    assert "Δ" not in table.plain(rows)
    assert "hellaswag Δ" in table.plain(ladder())


def test_E2_what_was_not_measured_is_a_dash_and_nan_never_zero():
    rows = [reference(), row("Q8_0")]
    assert " – " in table.plain(rows)
    frame = table.to_frame(rows)
    assert math.isnan(frame.loc["Q8_0", "kld_nats"])
    assert math.isnan(frame.loc["Q8_0", "decode_tokens_per_s"])
    assert math.isnan(frame.loc["Q8_0", "accuracy_share"])
    assert math.isnan(frame.loc["Q8_0", "peak_bytes"])


def test_the_frame_has_a_row_a_candidate_and_units_in_its_columns():
    frame = table.to_frame(ladder())
    assert list(frame.index) == [row.label for row in ladder()]
    assert frame.loc["Q4_K_M", "kld_nats"] == 0.0412
    assert frame.loc["Q4_K_M", "kld_nats_high"] == 0.0412 + 0.0060
    assert frame.loc["Q4_K_M", "file_bytes"] == 100 << 20
    assert frame.loc["Q2_K", "holm_p"] == 0.012
    assert {"weights_bytes", "kv_bytes", "vram_bytes", "bits_per_weight"} <= set(frame)


def test_the_frame_names_text_task_depth_clients_and_context_length():
    frame = table.to_frame([widened(one) for one in ladder()])
    for column in (
        "kld_nats@german",
        "score_share@json",
        "difference_share@json_low",
        "holm_p@hellaswag",
        "decode_tokens_per_s@4096",
        "ttft_p95_s@4 clients",
        "plan_bytes@8192",
        "max_ctx_tokens",
        "energy_j_per_token",
        "load_s",
    ):
        assert frame[column].notna().all(), column


def test_a_terminal_of_100_columns_holds_the_table_and_is_told_what_it_does_not():
    rows = [widened(one) for one in ladder()]
    reason = Exclusion("unmeasured", "the child that tried to load it was killed " * 3)
    rows[3] = replace(
        rows[3], label="registry.example/someone/a-rival-model:q4_k_m", excluded=reason
    )
    lines = table.plain(rows, pick="Q4_K_M").splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1].startswith("no room for ")
    assert "max ctx" in lines[-1]
    assert any("a-rival" in line or "…" in line for line in lines)


def test_the_overview_has_ten_columns_at_most_whatever_was_measured():
    rows = [widened(one) for one in ladder()]
    assert len(overview(rows)) <= 10
    varied = [
        replace(one, variant="q8_0 KV", label=f"{one.label}, q8_0 KV") for one in rows
    ]
    cells = table.grid(varied, overview(varied))
    assert len(cells.heads) <= 10
    assert cells.cells[1][:2] == ["Q8_0", "q8_0 KV"]


def test_every_subject_that_was_measured_has_a_table_and_no_other():
    full = dict(table.details([widened(one) for one in ladder()]))
    assert list(full) == [
        "Quality on all texts",
        "Quality by text",
        "Task: hellaswag",
        "Task: json",
        "Speed",
        "Speed under load",
        "Memory by kind",
        "Memory by context",
        "Files and weight types",
    ]
    assert "decode @ 4k" in full["Speed"].heads
    assert "4 clients: TTFT 50/95 %" in full["Speed under load"].heads
    assert "exact" in full["Task: json"].heads
    assert list(dict(table.details([reference(), row("Q8_0")]))) == [
        "Quality on text",
        "Speed",
        "Memory by kind",
        "Files and weight types",
    ]


@pytest.mark.parametrize("rows", [ladder(), [widened(one) for one in ladder()]])
def test_a_screen_reader_is_told_what_each_cell_belongs_to(rows):
    page = table.html(rows, pick="Q4_K_M")
    assert page.count('<th scope="row"') == len(rows)
    heads = table.grid(rows, overview(rows)).heads
    assert page.count('<th scope="col"') == len(heads)


def test_a_label_out_of_a_hostile_file_is_escaped():
    page = table.html([reference(), row("<script>alert(1)</script>")])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
