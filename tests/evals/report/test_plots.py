from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from matplotlib.image import imread

from localkit.evals.report import plots
from localkit.evals.report.plot_kld import kld_vs_size
from localkit.evals.report.plot_labels import Point, place_labels
from localkit.evals.report.plot_speed import decode_vs_size
from localkit.evals.report.plot_style import canvas
from tests.evals.constructed import (
    BUDGET,
    estimate,
    ladder,
    quality,
    reference,
    row,
    task,
    widened,
)


def drawn(rows, *, pick="Q4_K_M", max_kld=0.05, **more):
    return {
        plot.name: plot
        for plot in plots.draw(rows, pick=pick, budget=BUDGET, max_kld=max_kld, **more)
    }


@pytest.fixture(scope="module")
def usual():
    return drawn(ladder())


@pytest.fixture(scope="module")
def full():
    return drawn([widened(one) for one in ladder()])


def test_titles_state_the_finding(usual):
    titles = [plot.title for plot in usual.values()]
    assert titles == [
        "Q4_K_M is the smallest file within 0.05 nats of the reference",
        "Q4_K_M has the fastest median decode within 0.05 nats",
        "From 272 MiB (Q2_K) to 446 MiB (F16) at 4,096 tokens of context",
        "hellaswag: Q2_K differs from F16",
    ]


def test_everything_that_was_measured_is_drawn_and_says_what_it_shows(full):
    titles = {name: plot.title for name, plot in full.items()}
    assert list(titles) == [
        "kld_vs_size",
        "kld_vs_decode",
        "decode_vs_size",
        "dp",
        "kld_by_text",
        "memory",
        "memory_by_context",
        "tasks",
    ]
    assert titles["decode_vs_size"] == "Behind 4,096 tokens Q4_K_M decodes 40 % slower"
    assert titles["dp"].startswith("Q5_K_M, Q4_K_M, Q4_0, Q3_K_M and Q2_K lean to loss")
    assert titles["kld_by_text"] == (
        "Q4_K_M loses most on german: 0.091 nats, on prose 0.033"
    )
    assert titles["memory_by_context"] == (
        "In 512 MiB there is room for 8,192 tokens with Q4_K_M, 4,096 with F16"
    )


def test_the_alternative_text_gives_the_finding_and_the_figures(full):
    for plot in full.values():
        assert plot.alt.startswith(plot.title)
        assert "Q4_K_M" in plot.alt.removeprefix(plot.title)
    assert "Q8_0: 138 MiB, 0.0044" in full["kld_vs_size"].alt


def test_figures_are_144_dpi_png_and_equal_for_equal_rows(usual, full):
    for name, plot in drawn(ladder()).items():
        assert plot.png == usual[name].png
    for plot in full.values():
        height, width = imread(io.BytesIO(plot.png), format="png").shape[:2]
        assert width == int(6.4 * 144)
        assert height > 300


def test_what_was_not_measured_has_no_figure():
    bare = [replace(one, tasks=(), memory=None, speed=None) for one in ladder()]
    assert set(drawn(bare)) == {"kld_vs_size"}
    assert drawn([reference(memory=None)]) == {}


def test_tasks_alone_are_drawn_alone():
    rows = [replace(one, quality=None, memory=None, speed=None) for one in ladder()]
    assert set(drawn(rows)) == {"accuracy"}


def test_a_roofline_is_drawn_where_the_bandwidth_is_known():
    assert decode_vs_size(ladder(), None) is None
    assert decode_vs_size(ladder(), None, bandwidth_per_s=8e9) is not None


def test_tasks_that_tell_nothing_apart_say_at_which_n():
    rows = [reference(tasks=(task(42),)), row("Q8_0", tasks=(task(41),))]
    assert drawn(rows)["accuracy"].title == (
        "hellaswag: no difference from F16 that n=100 could detect"
    )


def test_a_reference_asked_alone_shows_its_score():
    alone = replace(task(42), difference=None)
    assert drawn([reference(tasks=(alone,))])["accuracy"].title == (
        "F16 scores 42 % on hellaswag"
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -0.001])
def test_figures_are_drawn_around_a_candidate_that_a_log_axis_cannot_show(bad):
    rows = [*ladder()[:2], row("Q9_X", quality=quality(bad, 0.001))]
    assert kld_vs_size(rows, None, 0.05) is not None


def test_a_candidate_without_an_interval_is_drawn_as_a_point():
    lone = replace(quality(0.02, 0.01), kld=estimate(0.02, math.nan))
    texts = tuple(replace(lone, text=text) for text in ("prose", "code"))
    rows = [reference(), row("Q8_0", quality=lone, by_text=texts)]
    assert {"kld_vs_size", "kld_by_text"} <= set(drawn(rows))


def test_unscored_tasks_and_percentiles_are_drawn_around():
    nowhere = estimate(math.nan, math.nan)
    blank = replace(task(42), score=nowhere, difference=nowhere, p_holm=math.nan)
    dp = replace(quality(0.02, 0.01), dp_percentiles=((50.0, math.nan), (5.0, -0.1)))
    rows = [*ladder()[:2], row("Q9_X", tasks=(blank,), quality=dp)]
    assert {"accuracy", "dp"} <= set(drawn(rows))


def test_no_quant_within_the_tolerance_is_said_in_the_title():
    plot = kld_vs_size(ladder(), None, 0.001)
    assert plot is not None
    assert plot.title == "No quant stays within 0.001 nats of the reference"


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


def test_long_names_and_titles_stay_inside_the_figure():
    name = "registry.example/a-very-long-model-name:q4_k_m, q8_0 KV"
    figure, axes = canvas("A finding of many words " * 6, "s", names=[name])
    figure.draw_without_rendering()
    width = figure.get_window_extent().width
    assert all(text.get_window_extent().x1 <= width for text in figure.texts)
    assert axes.get_position().x0 < 0.5
