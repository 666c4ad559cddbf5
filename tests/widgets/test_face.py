from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from localkit.config import settings
from localkit.widgets.face import Face, module, style

ROOT = Path(__file__).parents[2]
ESM = ROOT / "localkit/widgets/esm"
SCRIPTS = sorted(path.name for path in ESM.glob("*.js"))
SHEETS = sorted(path.name for path in ESM.glob("*.css"))
VIEWS = [
    path.stem
    for path in sorted(ESM.glob("*.js"))
    if "function view(ui)" in path.read_text("utf-8")
]
# Whatever parses HTML, runs text, or asks a network.
FORBIDDEN = (
    *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser"),
    *("createContextualFragment", "srcdoc", "setHTML", "eval(", "new Function"),
    *("import(", "import ", "http://", "https://", "fetch(", "XMLHttpRequest"),
    *("WebSocket", "sendBeacon", "localStorage", "document.cookie", "javascript:"),
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_N1_no_script_parses_html_runs_text_or_asks_a_network(name: str) -> None:
    text = (ESM / name).read_text("utf-8")
    code = re.sub(r"(?m)^\s*//.*$|/\*\*.*?\*/", "", text)
    found = [word for word in FORBIDDEN if word in code]
    assert not re.search(r"setTimeout\(\s*[\"'`]|setInterval\(\s*[\"'`]", code)
    assert found == []


@pytest.mark.parametrize("name", SHEETS)
def test_N1_no_style_sheet_asks_for_anything(name: str) -> None:
    text = (ESM / name).read_text("utf-8")
    assert not re.search(r"url\(|@import|expression\(|</", text)


@pytest.mark.parametrize("view", VIEWS)
def test_the_module_of_a_view_is_javascript(view: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = tmp_path / "view.mjs"
    script.write_text(module(view), "utf-8")
    done = subprocess.run(
        [node, "--check", str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_the_style_of_the_frame_and_balanced_braces(view: str) -> None:
    text = style(view)
    assert ".lk-root" in text
    assert text.count("{") == text.count("}")


def test_every_script_and_style_sheet_travels_in_the_wheel() -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    builder = wheel.WheelBuilder(str(ROOT))
    packed = {
        Path(one.distribution_path).name for one in builder.recurse_included_files()
    }
    assert {*SCRIPTS, *SHEETS} <= packed
    installed = {
        one.name for one in files("localkit.widgets").joinpath("esm").iterdir()
    }
    assert {*SCRIPTS, *SHEETS} <= installed


def test_N4_what_is_synced_is_the_state_and_our_own_files() -> None:
    face = Face("monitor", {"count": 1})
    try:
        synced = face.get_state()
        ours = {"_esm", "_css", "state", "_anywidget_id"}
        assert {
            name for name in synced if not name.startswith(("_model", "_view"))
        } <= {
            *ours,
            *("_dom_classes", "layout", "tabbable", "tooltip", "comm", "keys"),
        }
        everything = repr(synced)
        for folder in (str(ROOT), str(Path.home()), str(settings().models_dir)):
            assert folder not in everything
    finally:
        face.close()


def test_a_face_represents_itself_without_an_address() -> None:
    face = Face("monitor", {})
    try:
        assert repr(face) == "<localkit monitor>"
    finally:
        face.close()


def test_two_views_on_a_page_keep_a_style_sheet_each() -> None:
    faces = [Face("models", {}), Face("monitor", {})]
    try:
        # anywidget replaces the style element whose id is the same.
        assert len({face.get_state()["_anywidget_id"] for face in faces}) == 2
    finally:
        for face in faces:
            face.close()
