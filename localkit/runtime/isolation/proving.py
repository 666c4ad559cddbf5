"""The first load of a file, in a child: what would crash the kernel crashes there.

The preflight refuses what is known to abort llama.cpp. For what nobody knows yet,
a file that was never loaded before is loaded in a child first, with a small
context, and computes one token there. Success is remembered for the digest and the
engine's version; a crash is a `LoadFailed` and leaves the file unproved.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from localkit.config import settings
from localkit.errors import ContextTooLong, Unsupported, WorkerDied
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.gguf import read_info
from localkit.gguf.checked import check_once
from localkit.gguf.projector import check_projector
from localkit.io.atomic import write_atomic
from localkit.runtime import library
from localkit.runtime.isolation import forks
from localkit.runtime.isolation.child import run_in_child
from localkit.runtime.isolation.isolated import crashed
from localkit.runtime.isolation.worker_values import load_params_in, load_params_out
from localkit.runtime.params import LoadParams, SamplingParams
from localkit.runtime.vision.images import Image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.protocol import Runtime, Session

N_CTX: Final = 64
"""Context of the trial load; its size makes no difference to what crashes."""
N_CTX_SEEING: Final = 1024
"""Context of a trial that looks at an image as well: most take 256 or 576 tokens."""
_BLOB: Final = re.compile(r"sha256-[0-9a-f]{64}")
_MAX_PROOF_SIZE: Final = 4096
# What this process has proved or found proved: another folder of caches, or one
# that cannot be written, costs no second trial.
_here: set[tuple[str, str]] = set()


class Proof(BaseModel):
    """That one file was loaded by one engine; a JSON file in the cache."""

    digest: str
    """What was loaded, see `identity`."""
    engine: str
    """Versions of the binding and of llama.cpp that loaded it."""


class ProvingRuntime:
    """Loads through another runtime, after a trial in a child where there was none."""

    def __init__(self, inner: Runtime) -> None:
        """Wrap what loads in this process."""
        self._inner = inner

    def load(
        self,
        info: ModelInfo,
        params: LoadParams,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Session:
        """Load the file that ``info`` describes, once it is proved.

        Raises:
            GGUFError: the file would abort llama.cpp.
            LoadFailed: llama.cpp refuses the model, or crashed on it; says how.
            DoesNotFit: estimated memory exceeds what is available.
            Cancelled: ``cancel`` was raised, or Ctrl-C.
        """
        forks.check()
        check_once(info.path)
        digest = identity(info.path)
        if params.projector is not None:
            check_projector(params.projector)
            digest = _pair(digest, identity(params.projector))
        if not proved(digest):
            prove(info, params, digest=digest, on_progress=on_progress, cancel=cancel)
        return self._inner.load(info, params, on_progress=on_progress, cancel=cancel)


def identity(path: Path) -> str:
    """Return what stands for the bytes of a file: the digest of a blob.

    A file outside the store is known by its place, inode, size and time of change,
    so that it need not be read whole.
    """
    if _BLOB.fullmatch(path.name):
        return path.name.replace("-", ":")
    stat = path.stat()
    told = (path.resolve(), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return f"file:{hashlib.sha256(repr(told).encode()).hexdigest()}"


def proved(digest: str) -> bool:
    """Return whether this engine has loaded the file before."""
    engine = library.version()
    if (digest, engine) in _here:
        return True
    try:
        with _proof_file(digest).open("rb") as stream:
            proof = Proof.model_validate_json(stream.read(_MAX_PROOF_SIZE))
    except (OSError, ValidationError):  # not there, or nothing to rely on
        return False
    if proof != Proof(digest=digest, engine=engine):
        return False
    _here.add((digest, engine))
    return True


def prove(
    info: ModelInfo,
    params: LoadParams | None = None,
    *,
    digest: str,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> None:
    """Load the file in a child, compute one token, and remember that it went well.

    Raises:
        LoadFailed: llama.cpp refuses the model, or crashed on it; says how.
        DoesNotFit: estimated memory exceeds what is available.
        Cancelled: ``cancel`` was raised.
    """
    params = params or LoadParams()
    n_ctx = N_CTX if params.projector is None else N_CTX_SEEING
    trial = dataclasses.replace(params, n_ctx=n_ctx, n_threads=1, draft=None)
    request = {"path": str(info.path), "params": load_params_out(trial)}
    on_progress(Progress(f"trying {info.name} in a child", 0.0, 1.0))
    try:
        run_in_child("prove", request, on_progress=on_progress, cancel=cancel)
    except WorkerDied as died:
        raise crashed(info, died) from died
    _remember(Proof(digest=digest, engine=library.version()))


def work(request: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Load, compute one token, free; runs in the child."""
    from localkit.runtime.llama import LlamaRuntime

    params = load_params_in(request["params"])
    info = read_info(request["path"])

    def report(progress: Progress) -> None:
        step = f"trying {info.name} in a child"
        on_progress(dataclasses.replace(progress, step=step))

    session = LlamaRuntime().load(info, params, on_progress=report)
    prompt = [session.bos or 0]
    try:
        # The first token comes out of the prefill, the second out of a decode.
        session.stream(prompt, SamplingParams(temperature=0, max_tokens=2)).wait()
    except Unsupported:
        session.embed([prompt])
    if params.projector is not None:
        _look(session, prompt)
    session.close()
    return {}


def _look(session: Session, text: list[int]) -> None:
    """Show a black square; where it takes more than the context, encode nothing."""
    image = Image(64, 64, bytes(3 * 64 * 64))
    prompt = [*text, *session.see(image), *text]
    with suppress(ContextTooLong):
        session.stream(prompt, SamplingParams(max_tokens=1), images=[image]).wait()


def _pair(model: str, projector: str) -> str:
    """Return what stands for a model together with its projector."""
    return f"pair:{hashlib.sha256(f'{model} {projector}'.encode()).hexdigest()}"


def _proof_file(digest: str) -> Path:
    return settings().cache_dir / "proved" / f"{digest.replace(':', '-')}.json"


def _remember(proof: Proof) -> None:
    _here.add((proof.digest, proof.engine))
    # A home that cannot be written costs a trial in each process, no more.
    with suppress(OSError):
        data = proof.model_dump_json().encode()
        write_atomic(_proof_file(proof.digest), data)
