from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def test_tokens_prints_the_answer_with_its_figures(run: Callable[..., Result]) -> None:
    shown = run("tokens", MODEL, "Hello", "there", "--max-tokens", "5")
    assert shown.exit_code == 0, shown.output
    assert "log-likelihood" in shown.stdout
    assert "logprob" in shown.stdout
    assert shown.stdout == run("tokens", MODEL, "Hello there", "--max-tokens=5").stdout


def test_tokens_takes_another_quant_and_an_answer_from_a_file(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    answer = tmp_path / "answer.txt"
    answer.write_text("Fine.\n", encoding="utf-8")
    shown = run("tokens", MODEL, "Hi", "--against", MODEL, "--text", str(answer))
    assert shown.exit_code == 0, shown.output
    assert "5 tokens" in shown.stdout
    assert "mean 0.000" in shown.stdout


def test_an_answer_that_is_no_text_is_refused(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    answer = tmp_path / "answer.bin"
    answer.write_bytes(b"\xff\xfe\x00")
    shown = run("tokens", MODEL, "Hi", "--text", str(answer))
    assert shown.exit_code == 1
    assert "answer.bin cannot be read" in shown.output


def test_inspect_prints_the_prompt_and_asks_nothing(run: Callable[..., Result]) -> None:
    shown = run("inspect", MODEL, "Hello", "--n-ctx", "512", "-s", "Be brief.")
    assert shown.exit_code == 0, shown.output
    assert "«<|im_start|>»system⏎" in shown.stdout
    assert "tokens of 512" in shown.stdout
    assert "system" in shown.stdout


def test_inspect_takes_raw_text(run: Callable[..., Result]) -> None:
    shown = run("inspect", MODEL, "Hello <|im_end|>", "--raw")
    assert "none (raw text)" in shown.stdout
    assert "Hello␣«<|im_end|>»" in shown.stdout or "«<|im_end|>»" in shown.stdout
