"""What a run found, as one page that needs no other file."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from localkit.io.atomic import write_atomic
from localkit.io.disk import explained_write_errors
from localkit.io.shown import shown
from localkit.render.page import details, header, html_page, section
from localkit.render.regression import finding_html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ORDER = ("changed", "within", "noted", "same")
_WORDS = {
    "changed": "changed",
    "within": "within the bands",
    "noted": "not judged",
    "same": "the same",
}


def write_report(path: Path, found: Sequence[Mapping[str, Any]]) -> str:
    """Write the page; return its path for people.

    Raises:
        DiskFull: there is no room for it.
        StoreError: the place may not be written.
    """
    data = report_html(found).encode()
    target = path.expanduser()
    with explained_write_errors(len(data), target.parent):
        write_atomic(target, data)
    return shown(target)


def report_html(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the page: a part a notebook, its changed cells first and open."""
    n_changed = sum(one["standing"] == "changed" for one in found)
    title = f"{n_changed} of {len(found)} cells changed"
    parts = [header(title, kicker="localkit · saved notebooks against fresh runs")]
    by_name = sorted(found, key=lambda one: str(one["notebook"]))
    for name, cells in groupby(by_name, key=lambda one: str(one["notebook"])):
        ordered = sorted(
            cells, key=lambda one: (_ORDER.index(one["standing"]), one["cell"])
        )
        shown_cells = [one for one in ordered if one["findings"]]
        quiet = len(ordered) - len(shown_cells)
        note = f"{quiet} cells ran and had nothing to compare" if quiet else ""
        body = Markup("").join(_cell(one) for one in shown_cells)
        parts.append(section(name, body, note=note))
    return html_page(title, Markup("").join(parts))


def _cell(cell: Mapping[str, Any]) -> Markup:
    standing = str(cell["standing"])
    summary = f"{_WORDS[standing]} · {cell['title']}"
    body = Markup("").join(finding_html(*finding) for finding in cell["findings"])
    return details(summary, body, is_open=standing == "changed")
