"""The command that measures perplexity, and KL divergence against a base file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.kit import default_kit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.cli.screen import Screen
    from localkit.evals.statistics.estimates import Estimate
    from localkit.evals.text.divergence import DivergenceSummary
    from localkit.evals.text.measure import TextMeasure

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@command("perplexity")
@model_argument()
@click.option(
    "--text",
    metavar="FILE",
    help="UTF-8 text to score; default: the one that comes with localkit.",
)
@click.option(
    "--kl-divergence-base",
    "base",
    type=_EXISTING,
    metavar="FILE",
    help="Compare with the log-probabilities in FILE, ours or llama-perplexity's.",
)
@click.option(
    "--save-logits",
    "save",
    type=_FILE,
    metavar="FILE",
    help="Write MODEL's log-probabilities to FILE; llama-perplexity reads it too.",
)
@click.option(
    "--n-ctx",
    type=click.IntRange(min=8),
    metavar="N",
    help="Tokens of a chunk. [default: the base file's, else 512]",
)
@click.option(
    "--chunks",
    type=click.IntRange(min=1),
    metavar="N",
    help="Score at most N chunks. [default: the base file's, else the whole text]",
)
def perplexity(
    screen: Screen,
    model: str,
    text: str | None,
    base: Path | None,
    save: Path | None,
    n_ctx: int | None,
    chunks: int | None,
) -> TextMeasure:
    """Measure how well MODEL predicts a text, as llama-perplexity does.

    With `--save-logits` for the reference, then `--kl-divergence-base` for a
    quant: the whole table of `llama-perplexity --kl-divergence`, to its digits,
    and the same figures with intervals that allow for tokens of one chunk being
    alike. A base file of another vocabulary, text or engine build is refused.
    """
    from localkit.evals.tasks.catalog import load_text
    from localkit.evals.text.logits_file import open_logits
    from localkit.evals.text.measure import CHUNK, measure_text
    from localkit.runtime.protocol import LoadParams

    kit = default_kit()
    chosen = load_text(text) if text else load_text()
    length = n_ctx or (open_logits(base).n_ctx if base else CHUNK)
    with screen.progress() as on_progress:
        session = kit.load_apart(
            kit.store.resolve(model),
            LoadParams(n_ctx=length, n_seq_max=1),
            on_progress=on_progress,
        )
        with closing(session):
            measured = measure_text(
                session,
                chosen.text,
                n_ctx=length,
                max_chunks=chunks,
                base=base,
                save=save,
                on_progress=on_progress,
            )
    for line in _lines(measured, chosen.name):
        screen.say(line)
    if save is not None:
        screen.say(f"log-probabilities: {save}")
    return measured


def _lines(measured: TextMeasure, name: str) -> Iterator[str]:
    yield (
        f"{measured.n_tokens} tokens in {measured.n_chunks} chunks of "
        f"{measured.n_ctx} of {name}"
    )
    if measured.against is None:
        yield f"llama-perplexity prints: {measured.printed}"
    else:
        from localkit.evals.text.llama_perplexity import llama_perplexity_lines

        yield llama_perplexity_lines(measured.against)
        yield "With intervals clustered by chunk, 95 %:"
    yield f"perplexity: {_interval(measured.perplexity, '.4f')}"
    yield f"bits per byte: {measured.bits_per_byte:.4f}"
    if measured.against is not None:
        yield from _loss(measured.against)
    for note in measured.notes:
        yield f"note: {note}"


def _loss(summary: DivergenceSummary) -> Iterator[str]:
    yield f"perplexity of the base: {_interval(summary.perplexity_base, '.4f')}"
    yield f"ln(PPL/PPL of the base): {_interval(summary.ln_ppl_ratio, '.5f')}"
    yield f"mean KL divergence, nats per token: {_interval(summary.kld, '.6f')}"
    yield f"RMS Δp: {_interval(summary.rms_dp, '.3%')}"
    yield f"same top token: {_interval(summary.same_top, '.2%')}"


def _interval(figure: Estimate, form: str) -> str:
    # Of one chunk alone no interval can be told.
    if figure.low != figure.low:
        return f"{figure.value:{form}} (no interval: {figure.n} chunk)"
    return f"{figure.value:{form}} [{figure.low:{form}}, {figure.high:{form}}]"
