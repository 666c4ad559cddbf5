from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from localkit.evals.report import report
from localkit.evals.report.evidence import Flip, Passage, worst_passages
from tests.evals.constructed import comparison, ladder, reference, row

HOSTILE = "</pre><script>alert(1)</script><img src=http://x/>"


class Links(HTMLParser):
    """Everything that a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "iframe", "object", "link"):
            self.found.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action") or name.startswith("on"):
                self.found.append(f"{name}={value[:40]}")


def links(page: str) -> list[str]:
    parser = Links()
    parser.feed(page)
    return parser.found


def test_the_page_stands_alone_and_runs_nothing():
    found = links(report.page_html(comparison()))
    assert len(found) == 4
    assert all(link.startswith("src=data:image/png;base64,") for link in found)


def test_page_plots_and_record_are_written_side_by_side(tmp_path):
    files = comparison().save(tmp_path / "new" / "folder")
    assert files.html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.suffix for path in files.plots] == [".png"] * 4
    assert {path.parent for path in (*files.plots, files.json)} == {files.html.parent}


def test_the_record_is_strict_json_with_null_for_unscored(tmp_path):
    rows = [reference(), row("Q8_0")]
    files = comparison(rows).save(tmp_path)
    record = json.loads(
        files.json.read_text(encoding="utf-8"),
        parse_constant=lambda name: pytest.fail(f"{name} in the record"),
    )
    assert record["version"] == 1
    assert [one["label"] for one in record["rows"]] == ["F16", "Q8_0"]
    assert record["rows"][1]["quality"] is None
    assert record["setup"]["corpus"]["digest"].startswith("sha256:")


def test_the_page_names_all_that_makes_a_result_comparable():
    page = report.page_html(comparison())
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


@pytest.mark.parametrize("render", [report.page_html, report.notebook_html])
def test_N1_text_of_models_and_data_never_becomes_markup(render):
    one = replace(
        comparison(),
        passages=(Passage("Q2_K", 0, 2.0, (HOSTILE, "b"), (5.0, math.nan)),),
        flips=(Flip("Q2_K", HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE + "!"),),
    )
    page = render(replace(one, rows=(replace(one.rows[0], ref=HOSTILE), *one.rows[1:])))
    assert "<script" not in page
    assert [link for link in links(page) if "data:image" not in link] == []


def test_the_notebook_output_uses_nothing_that_an_untrusted_notebook_strips():
    page = report.notebook_html(comparison())
    assert not re.search(r"<(style|svg|script|link|button)\b", page)
    assert "class=" not in page


def test_the_plain_output_is_the_same_at_every_run():
    data, metadata = comparison()._repr_mimebundle_()
    slower = [replace(one, speed=None) for one in ladder()]
    other, _ = comparison(slower)._repr_mimebundle_()
    assert data["text/plain"] == other["text/plain"]
    assert data["text/plain"] == (
        "Comparison of smollm2: Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, Q3_K_M, Q2_K "
        "against F16"
    )
    json.dumps(metadata, allow_nan=False)


def test_a_comparison_printed_shows_verdict_table_and_rule():
    text = str(comparison())
    assert text.startswith("Run Q4_K_M")
    assert "→  Q4_K_M" in text
    assert "Rule: of the candidates" in text


def test_the_worst_passage_of_each_chunk_is_where_its_kl_is_highest():
    import numpy as np

    kld = np.zeros(60)
    kld[30:54] = 1.0
    pieces = [[f"w{i}" for i in range(60)]] * 2
    found = worst_passages("Q2_K", [kld, kld / 2], pieces, count=2)
    assert [passage.chunk for passage in found] == [0, 1]
    assert found[0].pieces[0] == "w30"
    assert found[0].kld == pytest.approx(1.0)
