"""Our accuracy on multiple-choice questions against llama-perplexity's, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.evals.tasks.catalog import load_task
from tests.parity import tool
from tests.parity.choice_files import write_hellaswag, write_multiple_choice
from tests.parity.questions import LABELS, N_LIVE, TIE, gap, our_answers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.parity,
    pytest.mark.model,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not tool.PROGRAM.exists(), reason="no llama-perplexity here: run make parity"
    ),
]


@pytest.mark.parametrize("quant", LABELS)
def test_accuracy_is_llama_perplexitys_on_the_same_questions(
    quant: str, files: dict[str, Path], tmp_path: Path
) -> None:
    samples = load_task("hellaswag").samples[:N_LIVE]
    binary = write_multiple_choice(tmp_path / "items.bin", samples)
    text = write_hellaswag(tmp_path / "items.txt", samples)
    answers = our_answers(files[quant], N_LIVE)
    n_right = sum(bool(answer.correct("token")) for answer in answers)
    in_order = tool.multiple_choice(files[quant], binary)
    shuffled = tool.hellaswag(files[quant], text, N_LIVE)
    close = sum(gap(answer) <= TIE for answer in answers)
    for answer, theirs in zip(answers, in_order.right, strict=True):
        assert answer.correct("token") == theirs or gap(answer) <= TIE, answer.id
    # A question whose best choices tie may fall either way with the batch's shape.
    for theirs in (in_order, shuffled):
        assert abs(n_right - sum(theirs.right)) <= close
    if quant == "F16":
        accuracy = f"{100 * n_right / N_LIVE:.8f}"
        assert accuracy == in_order.accuracy == shuffled.accuracy
