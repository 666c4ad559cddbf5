from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from matplotlib.image import imread

from localkit.evals.report import plots
from localkit.evals.report.plot_labels import Point, place_labels
from localkit.evals.report.plot_style import canvas
from tests.evals.constructed import BUDGET, estimate, ladder, quality, reference, row


def drawn(rows, *, pick="Q4_K_M", max_kld=0.05):
    return {
        plot.name: plot
        for plot in plots.draw(
            rows, pick=pick, budget=BUDGET, max_kld=max_kld, task="hellaswag"
        )
    }


def test_titles_state_the_finding():
    titles = [plot.title for plot in drawn(ladder()).values()]
    assert titles == [
        "Q4_K_M is the smallest file within 0.05 nats of the reference",
        "Q4_K_M has the fastest median decode within 0.05 nats",
        "From 272 MiB (Q2_K) to 446 MiB (F16) at 4,096 tokens of context",
        "hellaswag: Q2_K differs from F16",
    ]


def test_figures_are_144_dpi_png_and_equal_for_equal_rows():
    first, second = drawn(ladder()), drawn(ladder())
    for name, plot in first.items():
        assert plot.png == second[name].png
        height, width = imread(io.BytesIO(plot.png), format="png").shape[:2]
        assert width == int(6.4 * 144)
        assert height > 300


def test_what_was_not_measured_has_no_figure():
    bare = [replace(one, tasks=(), memory=None, speed=None) for one in ladder()]
    assert set(drawn(bare)) == {"kld_vs_size"}
    assert drawn([reference(memory=None)]) == {}


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -0.001])
def test_figures_are_drawn_around_a_candidate_that_a_log_axis_cannot_show(bad):
    rows = [*ladder(), row("Q9_X", quality=quality(bad, 0.001))]
    assert "kld_vs_size" in drawn(rows)


def test_a_candidate_without_an_interval_is_drawn_as_a_point():
    lone = replace(quality(0.02, 0.01), kld=estimate(0.02, math.nan))
    assert "kld_vs_size" in drawn([reference(), row("Q8_0", quality=lone)])


def test_no_quant_within_the_tolerance_is_said_in_the_title():
    title = drawn(ladder(), max_kld=0.001)["kld_vs_size"].title
    assert title == "No quant stays within 0.001 nats of the reference"


def test_labels_of_eight_crowded_points_do_not_cover_each_other():
    figure, axes = canvas("t", "s")
    points = [
        Point(80 + 5 * i, 0.01 * (1 + i % 3), f"Q{i}_K_M, 6.17 bpw") for i in range(8)
    ]
    axes.set_xlim(70, 180)
    axes.set_ylim(0, 0.05)
    place_labels(axes, points)
    figure.draw_without_rendering()
    boxes = [
        text.get_window_extent().padded(-1) for text in axes.texts if text.get_text()
    ]
    assert len(boxes) == 8
    for index, box in enumerate(boxes):
        assert box.count_overlaps(boxes[index + 1 :]) == 0
