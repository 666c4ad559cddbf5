"""`localkit lm-eval` and `%llm lm-eval`, on the real engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from IPython.core.interactiveshell import InteractiveShell

from localkit.cli import main
from localkit.evals.harnesses import extras
from localkit.magics.llm import LlmMagic

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["lm-eval", *words])


def test_without_the_extra_it_says_in_one_line_what_to_install(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    found = run("tiny:f16", "--tasks", "arc_easy")
    assert found.exit_code == 1
    assert found.stderr.splitlines() == [
        "Error: lm_eval is not installed → pip install 'localkit[lm-eval]'"
    ]


def test_it_prints_figures_with_intervals_and_writes_what_lm_eval_writes(
    kit: Kit, tasks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = run(
        *("tiny:f16", "--tasks", "arc,wiki", "--include-path", str(tasks)),
        *("--limit", "2", "--output", str(out), "--seed", "3"),
    )
    assert found.exit_code == 0, found.output
    assert "95 % interval" in found.stdout
    assert "acc_norm" in found.stdout
    assert "word_perplexity" in found.stdout
    assert "--limit: the first items only" in found.stdout
    (results,) = out.glob("*/results_*.json")
    record = json.loads(results.read_text(encoding="utf-8"))
    assert record["config"]["model_name"] == "tiny:f16"
    assert record["config"]["random_seed"] == 3
    metrics = record["results"]["arc"]
    assert isinstance(metrics["acc_stderr,none"], float)
    interval = record["localkit_intervals"]["arc"]["acc,none"]
    assert interval["low"] <= metrics["acc,none"] <= interval["high"]
    (samples,) = out.glob("*/samples_arc_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text("utf-8").splitlines()]
    assert [row["doc_id"] for row in rows] == [0, 1]
    assert {"doc_hash", "prompt_hash", "target_hash", "resps", "acc"} <= rows[0].keys()


def test_a_notebook_keeps_the_run_in_a_name(kit: Kit, tasks: Path) -> None:
    shell: InteractiveShell = InteractiveShell()  # type: ignore[no-untyped-call]
    LlmMagic(shell).llm(
        f"lm-eval tiny:f16 --tasks arc --limit 1 --include_path {tasks} -o found"
    )
    made = shell.user_ns["found"]
    frame = made.to_frame()
    assert list(frame["metric"]) == ["acc", "acc_norm"]
    assert set(frame["n"]) == {1}
    assert made.digest == kit.resolve("tiny:f16").weights_digest


def test_a_cache_belongs_to_one_model(kit: Kit, tasks: Path, tmp_path: Path) -> None:
    # lm-eval's keys do not name the model: another quant would be answered from it.
    cache = tmp_path / "cache"
    words = ("--tasks", "arc", "--include_path", str(tasks), "--use_cache", str(cache))
    assert run("tiny:f16", *words).exit_code == 0
    assert run("tiny:f16", "--n-ctx", "256", *words).exit_code == 0
    assert len({*tmp_path.glob("cache-*")}) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--taks", "arc"), "unrecognized arguments: --taks arc"),
        ((), "no task is named"),
        (("--tasks", "arc", "--device", "cuda"), "means nothing here"),
        (("--tasks", "arc", "--model", "hf"), "means nothing here"),
        (("--tasks", "arc", "--num_fewshot", "x"), "invalid int value"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_a_model_is_loaded(
    needs_lm_eval: None, kit: Kit, words: tuple[str, ...], said: str
) -> None:
    found = run("tiny:f16", *words)
    assert found.exit_code == 1
    assert said in found.stderr
    assert kit.ps() == []


@pytest.mark.thorough  # lm-eval reads its 14,000 task files: 8 s
def test_a_task_that_is_none_ends_in_one_line(needs_lm_eval: None, kit: Kit) -> None:
    found = run("tiny:f16", "--tasks", "no_such_task")
    assert found.exit_code == 1
    assert "Tasks not found: no_such_task" in found.stderr
    assert "--include_path" in found.stderr


def test_a_group_has_its_value_and_no_interval(kit: Kit, tasks: Path) -> None:
    group = {
        "group": "both",
        "task": ["arc", "wiki"],
        "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
    }
    (tasks / "both.yaml").write_text(json.dumps(group), encoding="utf-8")
    found = run("tiny:f16", "--tasks", "both", "--include_path", str(tasks))
    assert found.exit_code == 0, found.output
    (line,) = [line for line in found.stdout.splitlines() if "both" in line]
    assert "–" in line
