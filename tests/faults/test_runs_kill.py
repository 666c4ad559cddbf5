"""Runs that are killed, and disks that fill up, while answers are stored."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localkit.config import Settings
from localkit.errors import DiskFull, ResultsInvalid
from localkit.evals.running.evaluate import evaluate
from localkit.evals.runs.evaluation import read_evaluation
from localkit.evals.runs.listing import read_runs
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime
from tests.faults.disks import leave_free
from tests.faults.killed_runs import tasks

if TYPE_CHECKING:
    import pandas as pd

    from localkit.evals.runs.evaluation import Evaluation

pytestmark = pytest.mark.faults
MIB = 1 << 20


def home_with_model(home: Path, gguf: Path) -> Settings:
    settings = Settings(home=home)
    with closing(Kit(settings, runtime=FakeRuntime())) as kit:
        kit.store.add(gguf, "tiny:f16")
    return settings


def run_killed(home: Path, n_samples: int, n_kills: int) -> int:
    """Evaluate in children of which ``n_kills`` are killed; return how many were."""
    result = subprocess.run(
        [
            *(sys.executable, "-m", "tests.faults.killed_runs"),
            *(str(n_samples), str(n_kills), "7"),
        ],
        env=os.environ | {"LOCALKIT_HOME": str(home)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


def only_run(settings: Settings) -> Evaluation:
    (run,) = read_runs(settings.runs_db)
    assert run.status == "done"
    return read_evaluation(settings.runs_db, run.id)


def table(evaluation: Evaluation) -> pd.DataFrame:
    """Return all that is known of each answer, but for how long it took."""
    return evaluation.to_frame().drop(columns=["ttft_s", "total_s"])


@pytest.mark.parametrize(
    ("n_samples", "n_kills"),
    [(120, 6), pytest.param(2_000, 20, marks=pytest.mark.thorough)],
)
def test_E1_a_run_that_is_killed_again_and_again_ends_with_the_same_table(
    tmp_path, tiny_gguf, n_samples, n_kills
):
    calm = home_with_model(tmp_path / "calm", tiny_gguf)
    hunted = home_with_model(tmp_path / "hunted", tiny_gguf)
    assert run_killed(calm.home, n_samples, 0) == 0
    n_killed = run_killed(hunted.home, n_samples, n_kills)
    assert n_killed > n_kills // 2
    whole, pieced = only_run(calm), only_run(hunted)
    assert len(table(whole)) == n_samples // 2 * 3
    assert table(whole)["score"].nunique() == 2
    assert pieced.id == whole.id
    assert pieced.scores == whole.scores
    assert table(pieced).equals(table(whole))


def evaluated(settings: Settings, n_samples: int = 60) -> Evaluation:
    with closing(Kit(settings, runtime=FakeRuntime())) as kit:
        return evaluate("tiny:f16", tasks(n_samples), kit=kit)


def test_E1_a_torn_write_ahead_log_loses_its_end_and_nothing_else(tmp_path, tiny_gguf):
    settings = home_with_model(tmp_path / "home", tiny_gguf)
    whole = table(evaluated(settings))
    path = settings.runs_db
    # What a kernel leaves that dies before the log is taken into the database.
    kept = tmp_path / "kept"
    kept.mkdir()
    with closing(_opened(path)) as runs:
        runs.select("PRAGMA wal_autocheckpoint = 0")
        with runs.transaction() as db:
            db.execute("DELETE FROM samples WHERE item LIKE 'c1%'")
        _copy(path, kept / path.name)
    log = Path(f"{kept / path.name}-wal")
    content = log.read_bytes()
    assert content
    for size in (len(content) - 1, len(content) // 2, 40, 0):
        log.write_bytes(content[:size])
        torn = settings.model_copy(update={"home": tmp_path / f"torn{size}"})
        _copy(kept / path.name, torn.runs_db)
        with closing(_opened(torn.runs_db)) as runs:
            assert runs.select("PRAGMA integrity_check") == [("ok",)]
        (run,) = read_runs(torn.runs_db)
        assert table(read_evaluation(torn.runs_db, run.id)).equals(whole)


def test_E1_a_full_disk_stops_the_run_and_keeps_its_answers(small_disk, tiny_gguf):
    settings = home_with_model(small_disk / "home", tiny_gguf)
    settings.runs_db.parent.mkdir(parents=True, exist_ok=True)
    leave_free(small_disk, 150_000)
    with pytest.raises(DiskFull, match="MiB free"):
        evaluated(settings, 2_000)
    (small_disk / "filler").unlink()
    (run,) = read_runs(settings.runs_db)
    stopped = read_evaluation(settings.runs_db, run.id)
    assert run.status in ("interrupted", "running")
    done = [one for one in stopped.scores.values() if one.n_scored]
    assert done, "what was answered before is kept"
    assert stopped.run.parts


def test_E1_a_damaged_answer_is_named_and_removing_the_run_repairs(tmp_path, tiny_gguf):
    from localkit.evals.runs.removing import remove_run

    settings = home_with_model(tmp_path / "home", tiny_gguf)
    before = evaluated(settings)
    with closing(_opened(settings.runs_db)) as runs, runs.transaction() as db:
        db.execute("UPDATE samples SET value = x'00' WHERE item = 'c3'")
    with pytest.raises(ResultsInvalid, match="'c3'") as caught:
        table(before)
    assert "runs rm" in caught.value.hint
    remove_run(settings.runs_db, before.id)
    assert table(evaluated(settings))["unscored"].eq("").all()


def _opened(path: Path):
    from localkit.evals.runs.database import Runs

    return Runs(path)


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    for ending in ("", "-wal"):
        source = Path(f"{path}{ending}")
        if source.exists():
            Path(f"{to}{ending}").write_bytes(source.read_bytes())
