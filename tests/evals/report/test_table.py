from __future__ import annotations

import math

from localkit.evals.report import table
from tests.evals.constructed import ladder, reference, row


def test_the_overview_marks_the_pick_and_the_reference():
    lines = table.plain(ladder(), pick="Q4_K_M").splitlines()
    (chosen,) = (line for line in lines if line.startswith("→"))
    assert chosen.split()[1] == "Q4_K_M"
    assert "F16 (from Q4_1) ◇" in lines[2]


def test_a_column_that_nobody_filled_is_left_out():
    rows = [reference(), row("Q8_0")]
    assert "accuracy" not in table.plain(rows)
    assert "accuracy" in table.plain(ladder())


def test_E2_what_was_not_measured_is_a_dash_and_nan_never_zero():
    rows = [reference(), row("Q8_0")]
    assert " – " in table.plain(rows)
    frame = table.to_frame(rows)
    assert math.isnan(frame.loc["Q8_0", "kld_nats"])
    assert math.isnan(frame.loc["Q8_0", "decode_tokens_per_s"])
    assert math.isnan(frame.loc["Q8_0", "accuracy_share"])


def test_the_frame_has_a_row_a_candidate_and_units_in_its_columns():
    frame = table.to_frame(ladder())
    assert list(frame.index) == [row.label for row in ladder()]
    assert frame.loc["Q4_K_M", "kld_nats"] == 0.0412
    assert frame.loc["Q4_K_M", "kld_nats_high"] == 0.0412 + 0.0060
    assert frame.loc["Q4_K_M", "file_bytes"] == 100 << 20
    assert frame.loc["Q2_K", "holm_p"] == 0.012
    assert {"weights_bytes", "kv_bytes", "vram_bytes", "bits_per_weight"} <= set(frame)


def test_a_label_out_of_a_hostile_file_is_escaped():
    page = table.html([reference(), row("<script>alert(1)</script>")])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
