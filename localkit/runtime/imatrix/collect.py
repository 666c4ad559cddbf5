"""Collect an importance matrix from a text, in a child process.

The text is tokenized and cut as llama-imatrix does: chunks of 512 tokens from its
beginning, BOS in place of the first token of each where the model wants one, what is
left over at the end unused. See design/035.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from localkit.config import settings
from localkit.errors import QuantizeFailed, Unsupported
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.gguf import read_info
from localkit.gguf.imatrix import Imatrix, read_imatrix, write_imatrix
from localkit.gguf.preflight import check
from localkit.runtime import library
from localkit.runtime.engine.context import Context
from localkit.runtime.imatrix.collector import Collector
from localkit.runtime.isolation.child import run_in_child
from localkit.runtime.memory.fit import plan_load
from localkit.runtime.pacing import threads
from localkit.runtime.params import LoadParams
from localkit.runtime.vocabulary import Vocabulary
from localkit.runtime.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHUNK: Final = 512
"""Tokens computed together, as llama-imatrix."""


def collect_imatrix(
    model: Path,
    text: str,
    target: Path,
    *,
    dataset: str,
    n_chunks: int | None = None,
    n_threads: int | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Imatrix:
    """Run ``model`` over ``text`` and write the importance of its weights.

    Args:
        model: A GGUF; one of full precision shows the most.
        text: Of the kind that the model will meet; at least 1024 tokens.
        target: The file to write: GGUF, as llama-imatrix's.
        dataset: What the file calls the text.
        n_chunks: Most chunks of 512 tokens; default: the whole text.
        n_threads: Engine threads; default: chosen from what is free.
        on_progress: Told after each chunk.
        cancel: Ends the child; ``target`` is not written.

    Returns:
        What was written.

    Raises:
        GGUFError: ``model`` is no model that may be loaded.
        QuantizeFailed: the text is too short, or the model computes nonsense.
        Unsupported: the model is an encoder.
        DoesNotFit: memory would not hold it.
        LoadFailed: llama.cpp refuses it.
        Cancelled: ``cancel`` was raised.
        WorkerDied: the child crashed.
    """
    check(model)
    if n_chunks is not None and n_chunks < 1:
        msg = f"{n_chunks} chunks of text tell nothing"
        raise QuantizeFailed(msg, hint="give n_chunks of 1 or more")
    request = {
        "model": str(model),
        "text": text,
        "target": str(target),
        "dataset": dataset,
        "n_chunks": n_chunks,
        "n_threads": n_threads,
    }
    run_in_child("collect-imatrix", request, on_progress=on_progress, cancel=cancel)
    return read_imatrix(target)


def work(request: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Load, compute every chunk, and write the file; runs in the child."""
    engine = library.library()
    info = read_info(request["model"])
    params = LoadParams(n_ctx=CHUNK, n_batch=CHUNK, n_ubatch=CHUNK, n_seq_max=1)
    plan = plan_load(info, params)
    plan.check()
    model = load_weights(
        engine,
        info,
        n_gpu_layers=plan.n_gpu_layers,
        on_progress=on_progress,
        cancel=CancelToken(),
    )
    collector = Collector(engine)
    context = Context(
        engine,
        model,
        params,
        n_ctx=plan.n_ctx,
        n_threads=request["n_threads"]
        or settings().n_threads
        or threads.choose_threads(),
        observer=collector.callback,
    )
    if not context.has_memory:
        msg = f"{info.name} is an encoder: an importance matrix is made by a decoder"
        raise Unsupported(msg, hint="quantize it without an importance matrix")
    chunks = list(_chunks(Vocabulary(engine, model), request["text"]))
    chunks = chunks[: request["n_chunks"]]
    for done, chunk in enumerate(chunks):
        step = f"collecting importance from {request['dataset']}"
        on_progress(Progress(step, done, len(chunks), "chunks"))
        _compute(context, chunk)
        collector.raise_failure()
    imatrix = Imatrix(
        collector.entries(), (str(request["dataset"]),), len(chunks), CHUNK
    )
    context.close()
    engine.llama_model_free(model)
    write_imatrix(Path(request["target"]), imatrix)
    on_progress(Progress(step, len(chunks), len(chunks), "chunks"))
    return {}


def _chunks(vocabulary: Vocabulary, text: str) -> Iterator[list[int]]:
    """Yield whole chunks of the text's tokens.

    Raises:
        QuantizeFailed: there are fewer than two.
    """
    tokens = vocabulary.tokenize(text, add_special=True, parse_special=False)
    if len(tokens) < 2 * CHUNK:
        msg = f"the text is {len(tokens)} tokens; at least {2 * CHUNK} are needed"
        raise QuantizeFailed(msg, hint="take a longer text")
    for start in range(0, len(tokens) - CHUNK + 1, CHUNK):
        chunk = tokens[start : start + CHUNK]
        if vocabulary.adds_bos and vocabulary.bos is not None:
            chunk[0] = vocabulary.bos
        yield chunk


def _compute(context: Context, chunk: Sequence[int]) -> None:
    """Compute a chunk with the output of every token wanted.

    For a token whose output nobody wants, the last layer's feed-forward is left
    out, and its importance with it.
    """
    context.clear()
    step = context.n_outputs_max
    for start in range(0, len(chunk), step):
        part = chunk[start : start + step]
        context.decode(part, start=start, outputs=slice(None))
