"""What a front end sends is checked, and what it means is done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from localkit.widgets.playground.playground import Playground

    Make = Callable[..., Playground]


def ids(pg: Playground) -> tuple[str, str]:
    column = pg.state()["columns"][0]
    return column["id"], column["turns"][-1]["id"] if column["turns"] else ""


FORGED: list[Any] = [
    None,
    [],
    "run",
    {},
    {"do": "explode"},
    {"do": "run"},
    {"do": "run", "draft": []},
    {"do": "run", "draft": {}, "extra": 1},
    {"do": "stop", "now": True},
    {"do": "add", "ref": ""},
    {"do": "add", "ref": "x" * 401},
    {"do": "set", "column": "../../etc", "setup": {}},
    {"do": "continue", "column": 3, "text": "x"},
    {"do": "continue", "column": None, "text": "x" * 200_001},
    {"do": "rate", "turn": "t1", "score": 5, "comment": ""},
    {"do": "rate", "turn": "t1", "score": 1, "comment": "x" * 2001},
    {"do": "pick", "turn": "t1", "by": 2},
    {"do": "vote", "verdict": -1},
    {"do": "vote", "verdict": "everybody"},
    {"do": "open", "version": 0},
    {"do": "open", "version": 2**63},
    {"do": "preset", "what": "drop", "name": "x"},
    {"do": "task", "name": "../x", "scorer": "", "model": ""},
    {"do": "task", "name": "/tmp/x", "scorer": "", "model": ""},
]


def test_N3_forged_messages_are_ignored_and_counted(make: Make) -> None:
    pg = make(MODEL)
    before = pg.state()
    for number, message in enumerate(FORGED, 1):
        pg.panel.hear(message)
        assert pg.panel.n_ignored == number, repr(message)[:80]
    assert pg.state() == before


OUT_OF_ORDER: list[dict[str, Any]] = [
    {"do": "remove", "column": "c99"},
    {"do": "set", "column": "c1", "setup": {"ref": MODEL, "seed": -1}},
    {"do": "set", "column": "c1", "setup": {"ref": MODEL, "seed": "x" * 10_000}},
    {"do": "set", "column": "c1", "setup": {"ref": "../../etc/passwd"}},
    {"do": "regenerate", "turn": "t99"},
    {"do": "vote", "verdict": 7},
    {"do": "open", "version": 99},
    {"do": "preset", "what": "load", "name": "nobody's"},
    {"do": "run", "draft": {"prompt": "x" * 200_001}},
    {"do": "run", "draft": {"columns": []}},
    {"do": "run", "draft": {"prompt": "{{a}}", "variables": {"a\n": "b"}}},
    {"do": "run", "draft": {"prompt": "half \ud800 a pair"}},
    {"do": "cell", "column": "c99"},
    {"do": "task", "name": "x", "scorer": "nobody", "model": ""},
]


def test_N3_messages_out_of_order_are_errors_in_the_widget(make: Make) -> None:
    pg = make(MODEL)
    for message in OUT_OF_ORDER:
        pg.panel.refresh()
        pg.panel.hear(message)
        assert pg.panel.error, repr(message)[:80]
        assert not pg.busy


def test_N3_a_closed_widget_does_nothing(make: Make) -> None:
    pg = make(MODEL)
    pg.close()
    pg.panel.hear({"do": "run", "draft": {"prompt": "Name a fox"}})
    assert not pg.busy
    assert pg.answers == [""]
    assert pg.panel.n_ignored == 1


def test_the_buttons_do_what_the_methods_do(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pg = make(MODEL)

    def do(action: str, **more: Any) -> dict[str, Any]:
        pg.panel.hear({"do": action, **more})
        pg.wait()
        assert (pg.panel.error, pg.panel.n_ignored) == ("", 0)
        return pg.state()

    column, _ = ids(pg)
    do("write", draft={"prompt": "Name a {{what}}", "variables": {"what": "fern"}})
    assert do("run", draft={"variables": {"what": "fox"}})["columns"][0]["turns"]
    assert pg.turns[0].said == "Name a fox"  # type: ignore[union-attr]
    do("set", column=column, setup={"ref": MODEL, "temperature": 1, "seed": 4})
    assert pg.desk.shown[0].setup.temperature == 1.0
    do("regenerate", turn=ids(pg)[1])
    do("pick", turn=ids(pg)[1], by=-1)
    assert pg.answers == ["one"]
    do("continue", column=column, text="And {{what}}?")
    do("continue", column=None, text="More?")
    assert pg.turns[0].depth == 3  # type: ignore[union-attr]
    do("edit", turn=ids(pg)[1], text="Less?")
    do("rate", turn=pg.turns[0].path[0].id, score=1, comment="good")  # type: ignore[union-attr]
    assert do("cell", column=column)["cell"].startswith("import localkit")
    assert do("cell", column="")["cell"] == ""
    state = do("task", name="mine", scorer="includes", model="")
    assert state["told"].startswith("1 prompt in mine.toml")
    assert (tmp_path / "mine.jsonl").exists()
    do("preset", what="save", name="p")
    do("preset", what="load", name="p")
    assert do("preset", what="delete", name="p")["presets"] == []
    assert do("differ", version=1)["difference"]["version"] == 1
    assert do("differ", version=0)["difference"] is None
    do("open", version=1)
    do("add", ref="other:f16")
    do("blind", on=True)
    assert do("run", draft={})["hidden"]
    assert not do("vote", verdict="tie")["hidden"]
    do("remove", column=pg.desk.columns[0].id)
    do("stop")


def test_what_is_typed_is_not_drawn_again_over_the_typist(make: Make) -> None:
    pg = make(MODEL)
    revision = pg.state()["revision"]
    pg.panel.hear({"do": "write", "draft": {"prompt": "half a wo"}})
    assert pg.state()["revision"] == revision
    pg.write(prompt="from the kernel")
    assert pg.state()["revision"] == revision + 1


def test_an_action_returns_before_the_answer_is_there(make: Make) -> None:
    pg = make(MODEL)
    started = time.monotonic()
    pg.panel.hear({"do": "run", "draft": {}})
    assert time.monotonic() - started < 1
    pg.wait()
    assert pg.answers == ["one"]
