from __future__ import annotations

import html
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from localkit.evals.report import report
from localkit.evals.report.evidence import Flip, Passage
from localkit.evals.report.page import RECORD_ID, record
from localkit.render.text import AS_WRITTEN
from tests.evals.constructed import comparison, ladder, reference, row, widened

HOSTILE = "</pre></script><script>alert(1)</script><!--<img src=http://x/>"


class Links(HTMLParser):
    """Everything that a browser would fetch or run, but for data."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        data = ("type", "application/json") in attrs
        if tag in ("script", "iframe", "object", "link") and not data:
            self.found.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action") or name.startswith("on"):
                self.found.append(f"{name}={value[:40]}")


def links(page: str) -> list[str]:
    parser = Links()
    parser.feed(page)
    return parser.found


def embedded(page: str) -> str:
    """Return the text of the record's element, ended where a browser ends it."""
    return page.partition(f'id="{RECORD_ID}">')[2].partition("</script")[0]


@pytest.fixture(scope="module")
def one():
    found = comparison()
    assert found.plots
    return found


@pytest.fixture(scope="module")
def full():
    return comparison([widened(each) for each in ladder()])


@pytest.fixture(scope="module")
def hostile(one):
    found = replace(
        one,
        passages=(Passage("Q2_K", 0, 2.0, (HOSTILE, "b"), (5.0, math.nan)),),
        flips=(Flip("Q2_K", HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE + "!"),),
    )
    task = replace(found.rows[1].tasks[0], name=HOSTILE)
    rows = (
        replace(found.rows[0], ref=HOSTILE),
        replace(found.rows[1], tasks=(task,), note=HOSTILE),
        *found.rows[2:],
    )
    found = replace(found, rows=rows)
    assert found.plots
    return found


def test_the_page_stands_alone_and_runs_nothing(one):
    found = links(report.page_html(one))
    assert len(found) == 4
    assert all(link.startswith("src=data:image/png;base64,") for link in found)


def test_page_plots_record_markdown_and_card_are_written_side_by_side(one, tmp_path):
    files = one.save(tmp_path / "new" / "folder")
    assert files.html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {path.suffix for path in files.plots} == {".png"}
    assert {path.parent for path in files.plots} == {files.html.parent / "plots"}
    names = {path.name for path in files.html.parent.iterdir()}
    assert names == {"report.html", "report.md", "record.json", "card.md", "plots"}
    linked = re.findall(r"\]\((.*?)\)", files.markdown.read_text(encoding="utf-8"))
    assert {files.html.parent / link for link in linked} == set(files.plots)


def test_the_record_is_strict_json_with_null_for_unscored(tmp_path):
    files = comparison([reference(), row("Q8_0")]).save(tmp_path)
    found = json.loads(
        files.json.read_text(encoding="utf-8"),
        parse_constant=lambda name: pytest.fail(f"{name} in the record"),
    )
    assert found["version"] == 1
    assert [one["label"] for one in found["rows"]] == ["F16", "Q8_0"]
    assert found["rows"][1]["quality"] is None


def test_the_record_inside_the_page_is_the_record(full):
    assert json.loads(embedded(report.page_html(full))) == json.loads(record(full))


def test_N1_no_text_ends_the_record_inside_the_page(hostile):
    inside = json.loads(embedded(report.page_html(hostile)))
    assert inside["flips"][0]["context"] == HOSTILE


def test_the_page_names_all_that_makes_a_result_comparable(one):
    page = report.page_html(one)
    for needed in (
        "smollm2:f16",
        "0123456789abcdef",
        "sha256",
        "16 chunks of 512 tokens",
        "100 items",
        "localkit compare smollm2",
        "expanded from published Q4_1 weights",
        "Not measured",
        "McNemar",
    ):
        assert needed in page, needed


def test_what_was_measured_is_not_said_to_be_missing(one, full):
    bare, whole = (
        dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", report.page_html(each)))
        for each in (one, full)
    )
    for part in ("energy", "several streams", "behind a long context", "written"):
        assert part in bare["Not measured"].lower()
        assert part not in whole["Not measured"].lower()
    assert "behind 0 and 4,096 tokens" in whole["Speed"]


@pytest.mark.parametrize("render", [report.page_html, report.notebook_html])
def test_N1_text_of_models_and_data_never_becomes_markup(render, hostile):
    page = render(hostile)
    assert "<script>" not in page
    assert [link for link in links(page) if "data:image" not in link] == []


def test_N1_text_of_models_and_data_never_becomes_markup_in_markdown(hostile):
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    whole = report.to_markdown(hostile, images="plots")
    for text in (whole, report.model_card(hostile)):
        page = parser.render(text)
        assert "<script" not in page
        assert all(link.startswith("src=plots/") for link in links(page))


def test_the_notebook_output_uses_nothing_that_an_untrusted_notebook_strips(full):
    page = report.notebook_html(full)
    assert not re.search(r"<(style|svg|script|link|button)\b", page)
    # The sanitizer keeps classes; no style sheet is left that could give one a look.
    assert set(re.findall(r'class="([^"]*)"', page)) == {AS_WRITTEN}


@pytest.mark.parametrize("render", [report.page_html, report.notebook_html])
def test_every_picture_has_a_text_and_every_wide_table_takes_the_focus(render, full):
    page = render(full)
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert [html.unescape(alt) for alt in alts] == [plot.alt for plot in full.plots]
    assert page.count('role="region" tabindex="0" aria-label=') == 1 + len(
        re.findall(r"<summary>(?:Quality|Task|Speed|Memory|Files)", page)
    )


def test_markdown_says_what_the_page_says(full):
    text = report.to_markdown(full)
    for heading in ("candidates", "pictures", "breaks", "measured", "read it", "Again"):
        assert re.search(rf"^## .*{heading}$", text, re.MULTILINE), heading
    assert text.startswith("# Which quant of smollm2?\n")
    assert "> **Run Q4_K_M (6.17 bits per weight" in text
    assert text.count("](data:image/png;base64,") == len(full.plots)
    assert "| **Q4_K_M** |" in text


def test_a_comparison_of_tasks_alone_shows_no_empty_part():
    rows = [replace(each, quality=None, speed=None, memory=None) for each in ladder()]
    lone = comparison(rows)
    lone = replace(lone, setup=replace(lone.setup, corpora=()), passages=())
    page = report.page_html(lone)
    for absent in (
        "Quality on text",
        "Memory by kind",
        "KL divergence</dt>",
        "Passages",
    ):
        assert absent not in page
    assert "Task: hellaswag" in page


def test_the_plain_output_is_the_same_at_every_run(one):
    data, metadata = one._repr_mimebundle_()
    slower = [replace(each, speed=None) for each in ladder()]
    assert data["text/plain"] == repr(comparison(slower))
    assert data["text/plain"] == (
        "Comparison of smollm2: Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, Q3_K_M, Q2_K "
        "against F16"
    )
    json.dumps(metadata, allow_nan=False)


def test_a_comparison_printed_shows_verdict_table_and_rule(one):
    text = str(one)
    assert text.startswith("Run Q4_K_M")
    assert "→  Q4_K_M" in text
    assert "Rule: of the candidates" in text


def test_a_model_behind_a_url_is_shown_with_dashes_where_nothing_is_known():
    far = row(
        "model@http://127.0.0.1:1/v1",
        ref="",
        weights_digest="",
        quant="",
        bits_per_weight=math.nan,
        type_mix="",
        file_size=0,
        lossy_origin=None,
        tasks=ladder()[2].tasks,
    )
    one = comparison([*ladder()[:2], far])
    line = next(
        line for line in report.to_markdown(one).splitlines() if "model@" in line
    )
    assert line.count("| – ") == 5
    assert "nan" not in report.page_html(one)
    assert "nan" not in str(one)
    assert math.isnan(one.to_frame().loc[far.label, "bits_per_weight"])
