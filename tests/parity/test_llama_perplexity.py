"""Our perplexity and KL divergence against the real llama-perplexity, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.evals.text.divergence import reference_chunk
from localkit.evals.text.logits_file import open_logits, write_logits
from localkit.evals.text.windows import cut_windows
from tests.parity import ladder, tool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.parity,
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not tool.PROGRAM.exists(), reason="no llama-perplexity here: run make parity"
    ),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("base") / "base.logits"


@pytest.fixture(scope="module")
def tool_lines(files: dict[str, Path], base: Path) -> dict[str, list[str]]:
    return tool.tool_lines(files, base)


@pytest.fixture(scope="module")
def gemma3_tool_lines(
    gemma3_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    base = tmp_path_factory.mktemp("gemma3-base") / "base.logits"
    return tool.tool_lines(gemma3_files, base, ladder.GEMMA3)


@pytest.mark.parametrize("quant", ladder.SMOLLM2.labels)
def test_every_printed_digit_is_the_same(
    quant: str, our_lines: dict[str, list[str]], tool_lines: dict[str, list[str]]
) -> None:
    assert our_lines[quant] == tool_lines[quant]


@pytest.mark.parametrize("quant", ladder.GEMMA3.labels)
def test_every_printed_digit_is_the_same_with_another_architecture(
    quant: str,
    our_gemma3_lines: dict[str, list[str]],
    gemma3_tool_lines: dict[str, list[str]],
) -> None:
    assert our_gemma3_lines[quant] == gemma3_tool_lines[quant]


def test_the_program_reads_a_base_file_that_we_wrote(
    files: dict[str, Path], tool_lines: dict[str, list[str]], tmp_path: Path
) -> None:
    session = ladder.load(files[ladder.REFERENCE])
    windows = cut_windows(
        session,
        ladder.TEXT.read_text(encoding="utf-8"),
        n_ctx=ladder.N_CTX,
        max_chunks=ladder.N_CHUNKS,
    )
    ours = tmp_path / "ours.logits"
    with write_logits(ours, windows, session.n_vocab) as writer:
        for index in range(windows.n_chunks):
            writer.append(reference_chunk(session, windows, index))
    session.close()
    assert tool.compare(files["Q2_K"], ours) == tool_lines["Q2_K"]


def test_we_read_a_base_file_that_the_program_wrote(
    files: dict[str, Path], base: Path, tool_lines: dict[str, list[str]]
) -> None:
    assert tool_lines
    theirs = open_logits(base)
    session = ladder.load(files[ladder.REFERENCE])
    windows = cut_windows(
        session,
        ladder.TEXT.read_text(encoding="utf-8"),
        n_ctx=ladder.N_CTX,
        max_chunks=ladder.N_CHUNKS,
    )
    theirs.require_match(windows, session.n_vocab)
    ours = reference_chunk(session, windows, 1)
    session.close()
    assert (theirs.chunk(1).record == ours.record).all()
