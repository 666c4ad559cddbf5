from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.evals.text.logits_file import open_logits, sidecar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def text(tmp_path: Path) -> str:
    file = tmp_path / "words.txt"
    file.write_text("the hello thin and there, in her then; " * 60, encoding="utf-8")
    return str(file)


def test_perplexity_is_shown_as_llama_perplexity_prints_it_and_with_an_interval(
    run: Run, text: str
) -> None:
    result = run("perplexity", "tiny:f16", "--text", text, "--n-ctx", "64")
    assert result.exit_code == 0, result.stderr
    out = result.stdout
    assert "chunks of 64 of words.txt" in out
    assert "llama-perplexity prints: PPL = " in out
    assert "perplexity: " in out
    assert "bits per byte: " in out
    one = run(
        "perplexity", "tiny:f16", "--text", text, "--n-ctx", "64", "--chunks", "1"
    )
    assert "31 tokens in 1 chunks of 64" in one.stdout
    assert "no interval: 1 chunk" in one.stdout


def test_a_base_file_is_written_and_compared_with(
    run: Run, text: str, tmp_path: Path
) -> None:
    base = tmp_path / "base.logits"
    words = ("perplexity", "tiny:f16", "--text", text)
    result = run(*words, "--n-ctx", "64", "--chunks", "3", "--save-logits", str(base))
    assert result.exit_code == 0, result.stderr
    assert open_logits(base).n_chunks == 3
    result = run(*words, "--kl-divergence-base", str(base))
    assert result.exit_code == 0, result.stderr
    assert "in 3 chunks of 64" in result.stdout
    assert "====== KL divergence statistics ======" in result.stdout
    assert "Same top p: 100.000 ± 0.000 %" in result.stdout
    assert "mean KL divergence, nats per token: 0.00000" in result.stdout
    assert "note:" not in result.stdout
    sidecar(base).unlink()
    result = run(*words, "--kl-divergence-base", str(base), "--chunks", "2")
    assert "in 2 chunks of 64" in result.stdout
    assert "does not say which tokenizer and engine made it" in result.stdout


def test_E2_a_base_file_of_something_else_is_refused(
    run: Run, text: str, tmp_path: Path
) -> None:
    base = tmp_path / "base.logits"
    words = ("perplexity", "tiny:f16", "--text", text)
    assert run(*words, "--n-ctx", "64", "--save-logits", str(base)).exit_code == 0
    against = ("--kl-divergence-base", str(base))
    result = run(*words, *against, "--n-ctx", "32")
    assert result.exit_code == 1
    assert "the reference's chunks are 64 tokens, not 32" in result.stderr
    result = run("perplexity", "tiny:f16", *against)
    assert "measured on other tokens (chunk 0)" in result.stderr
    result = run(*words, *against, "--save-logits", str(tmp_path / "x"))
    assert "either compared with a base file or writes one" in result.stderr
    base.write_bytes(b"_logits_")
    assert "does not hold log-probabilities" in run(*words, *against).stderr
