from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from localkit.cli.hub import show_pulled
from localkit.cli.terminal import TerminalScreen
from tests.fixtures.gguf import F32, tiny_llama
from tests.fixtures.hub import FakeHub, HubRepo, fake_hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(monkeypatch, tmp_path / "huggingface") as hub:
        hub.repos["org/Tiny-GGUF"] = HubRepo(
            {
                "Tiny-Q8_0.gguf": tiny_llama(type_id=F32).build(),
                "Tiny-Q4_K_M.gguf": tiny_llama().build(),
            },
            card={"license": "apache-2.0"},
            downloads=1234567,
            likes=42,
        )
        yield hub


def test_search_shows_what_to_pull_next(run: Run, hub: FakeHub) -> None:
    shown = run("search", "tiny").stdout
    assert "hf.co/org/Tiny-GGUF" in shown
    assert "1,234,567" in shown
    assert "apache-2.0" in shown


def test_a_search_without_a_hit_says_what_to_try(run: Run, hub: FakeHub) -> None:
    result = run("search", "no", "such", "thing")
    assert result.exit_code == 0
    assert "try fewer words" in result.stdout


def test_quants_says_what_fits_and_which_a_pull_would_take(
    run: Run, hub: FakeHub, kit: Kit
) -> None:
    result = run("quants", "hf.co/org/Tiny-GGUF", "--n-ctx", "256")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    chosen = next(line for line in lines if "Q8_0" in line)
    assert chosen.startswith("→")
    assert "yes" in chosen
    assert "free for a load" in result.stdout
    assert "Q8_0 is the largest of the 2 of 2 that fit" in result.stdout
    assert [str(one.ref) for one in kit.store.list()] == ["tiny:f16"]


def test_quants_of_a_stored_model_need_no_network(run: Run) -> None:
    shown = run("quants", "tiny").stdout
    assert "f16" in shown
    assert "yes" in shown


def test_P5_without_a_network_a_command_ends_in_one_line(run: Run) -> None:
    for line in (["search", "x"], ["quants", "hf.co/org/x"]):
        result = run(*line)
        assert result.exit_code == 1
        (only,) = result.stderr.splitlines()
        assert "HF_HUB_OFFLINE is set" in only


def test_the_environment_of_the_hubs_library_is_honoured(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.repos["org/Tiny-GGUF"].gated = "manual"
    hub.repos["org/Tiny-GGUF"].token = "hf_fromTheEnvironment"
    environment = {
        name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"
    }
    environment |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "own"),
        "HF_TOKEN": "hf_fromTheEnvironment",
        "LOCALKIT_HOME": str(tmp_path / "home"),
    }
    pull = "import localkit; print(localkit.pull('hf.co/org/Tiny-GGUF').source)"
    done = subprocess.run(
        [sys.executable, "-c", pull],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "hf.co/org/Tiny-GGUF:Q8_0\n", done.stderr
    assert done.stderr == ""
    assert list((tmp_path / "own" / "hub").glob("models--org--Tiny-GGUF/blobs/*"))


def test_a_pulled_model_is_said_with_what_it_was_chosen_from(
    hub: FakeHub, kit: Kit, capsys: pytest.CaptureFixture[str]
) -> None:
    show_pulled(TerminalScreen(), kit.pull("hf.co/org/Tiny-GGUF"))
    shown = capsys.readouterr().out
    assert "Q4_K_M" in shown
    assert "Q8_0 is the largest" in shown
    assert "hf.co/org/Tiny-GGUF:Q8_0: F32" in shown
    assert "0.3 MiB downloaded, " in shown
    assert "no bytes copied" in shown
