from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from localkit.widgets.playground.state import MAX_SHOWN_CHARS
from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime
    from localkit.widgets.playground.playground import Playground

    Make = Callable[..., Playground]

HOSTILE = "<script>x=1</script><img src=http://beacon/x onerror=x>\x1b[31m"


def test_the_record_says_everything_and_is_the_same_for_the_same_answers(
    make: Make, runtime: FakeRuntime
) -> None:
    plain = []
    for name in ("first", "second"):
        runtime.replies = ["a fox", "a vixen"]
        pg = make(
            name=name,
            prompt="Name a {{what}}",
            variables={"what": "fox"},
            system="Be brief.",
            examples=[("x", "y")],
            params=[{"temperature": 0.5}, {}],
        )
        pg.desk._kit.unload()
        pg.run()
        pg.rate(1, 1, "nice")
        plain.append(pg.panel.record.plain)
    assert plain[0] == plain[1]
    for part in (
        "System\nBe brief.",
        "Example\nx\n→ y",
        "Prompt\nName a {{what}}",
        "what = fox",
        "── A: tiny:f16 · temperature 0.5 ──\na fox\n",
        "a vixen",
        "[liked: nice]",
        "· stop]",
    ):
        assert part in plain[0]
    assert "tok/s" not in plain[0]


def test_figures_are_in_the_metadata(make: Make) -> None:
    pg = make()
    pg.run()
    answers = pg.panel.record.metadata["answers"]
    assert [one["receipt"]["ref"] for one in answers] == ["tiny:f16", "other:f16"]
    json.dumps(pg.panel.record.metadata)


def test_the_record_is_there_before_anything_is_asked(make: Make) -> None:
    plain = make(MODEL, prompt="{{missing}}").panel.record.plain
    assert "(no answer yet)" in plain
    assert "missing = (no value)" in plain


def test_N1_hostile_text_is_shown_and_never_markup(
    make: Make, runtime: FakeRuntime
) -> None:
    runtime.replies = [HOSTILE, HOSTILE]
    pg = make(MODEL, prompt=HOSTILE, system=HOSTILE, examples=[(HOSTILE, "x")])
    pg.run()
    pg.say("<svg>")
    pg.rate(0, 1, HOSTILE)
    html = str(pg.panel.record.html)
    assert "&lt;script&gt;" in html
    assert not re.search(r"<(?:script|img|style|svg|link|iframe)\b", html)
    columns = json.dumps(pg.state()["columns"], ensure_ascii=False)
    assert "\x1b" not in html + pg.panel.record.plain + columns


def test_N4_no_path_and_nothing_of_other_playgrounds_is_in_the_state(
    make: Make, kit: Kit
) -> None:
    other = make(name="private", prompt="canary")
    other.run()
    other.rate(0, 1, "canary")
    pg = make(name="shared")
    pg.run()
    state = json.dumps(pg.state())
    assert "canary" not in state
    assert str(kit.settings.home) not in state
    assert str(kit.store.layout.root) not in state


def test_N2_long_answers_are_cut_in_the_widget_and_said(
    make: Make, runtime: FakeRuntime
) -> None:
    pg = make(MODEL)
    pg.run()
    turn = pg.turns[0]
    assert turn is not None
    turn.answer.text = "x" * (MAX_SHOWN_CHARS + 5)
    shown = pg.state()["columns"][0]["turns"][0]["text"]
    assert shown.endswith("… 5 more characters: see .answers")
    assert len(str(pg.panel.record.html)) < 1 << 20
    assert pg.panel._whole_state()["frozen"] is False


def test_a_cell_that_nobody_watches_shows_the_record_alone(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    pg = make(MODEL)
    pg.run()
    pg._ipython_display_()
    assert "── A: tiny:f16 ──\\none" in capsys.readouterr().out
    assert pg.panel.face is None


def test_a_face_is_made_and_frozen(make: Make) -> None:
    pg = make(MODEL)
    pg.panel._face = pg.panel._make_face()
    pg.run()
    face = pg.panel.face
    assert face is not None
    assert face.state["columns"][0]["turns"][0]["text"] == "one"
    assert face.state["busy"] is False
    pg.freeze()
    assert face.state["frozen"] is True
