"""Every exception that localkit raises on purpose, in one tree.

::

    * LocalkitError
      x RefError                  the text is not a model ref
      x StoreError
        + ModelNotFound           no such ref here; carries the nearest names
        + ManifestInvalid         a manifest on disk cannot be trusted
        + BlobCorrupt             a blob's bytes do not match its digest
        + StoreLocked             another process holds the lock
        + DiskFull                not enough room for what has to be written
        + SourceNotFound          a file, package or URL to take a model from is missing
        + DigestMismatch          the bytes that came are not those that were asked for
        + RegistryError           a registry or hub refuses, fails or cannot be reached
        + ModelfileInvalid        a Modelfile breaks the grammar; names the line
        + ConvertFailed           a folder of weights cannot be made into a GGUF
        + LockDrift               a ref no longer means what localkit.lock says
        + HistoryInvalid          the history of chats and answers cannot be read
      x GGUFError                 the file is not a GGUF that may be loaded
      x RuntimeFailure
        + EngineMissing           llama-cpp-python is not installed or does not load
        + LoadFailed              llama.cpp refused the model
        + DoesNotFit              memory would not hold it
        + ContextTooLong          more tokens than the context window
        + TemplateError           a chat template is missing, broken or refuses
        + QuantizeFailed          the requested file type cannot be made
        + SessionClosed           the model was unloaded
        + Unsupported             the model cannot do what was asked of it
        + GrammarInvalid          a schema, regex or grammar cannot be compiled
        + AdapterInvalid          a LoRA adapter does not belong to the model
        + Overloaded              too many requests wait already
        + RuntimeForked           the process was forked from one with a model loaded
        + WorkerDied              a child process was killed or crashed
        + RemoteError             a model behind a URL refuses or cannot be reached
        + Cancelled               the caller asked to stop
      x EvalError
        + DatasetInvalid          a data or task file does not hold what it must
        + ResultsInvalid          stored results cannot be read
        + NotComparable           two results do not measure the same thing
      x UsageError                a command or magic was called wrongly

Catch the root to handle anything localkit reports::

    try:
        model = localkit.load("smollm2")
    except localkit.LocalkitError as error:
        print(error.one_line())

Every error says what happened with the value in its message, and what to do next
in ``hint``. ``retryable`` says whether the same call may succeed later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class LocalkitError(Exception):
    """Root of everything that localkit raises on purpose."""

    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the message and attach the way out as a note."""
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"→ {hint}")

    def one_line(self) -> str:
        """Return what happened and what to do, without a line break."""
        text = f"{self} → {self.hint}" if self.hint else str(self)
        return " ".join(text.split())


class RefError(LocalkitError):
    """The text is not a model ref."""


class StoreError(LocalkitError):
    """The model store cannot do what was asked."""


class ModelNotFound(StoreError):
    """No model of that name is in the store, or several and none was chosen."""

    def __init__(
        self,
        ref: str,
        *,
        nearest: Sequence[str] = (),
        tags: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        """Name the ref, and either its tags or up to three names that look like it.

        ``hint`` takes the place of the names.
        """
        self.ref = ref
        self.nearest = tuple(tags or nearest)
        if tags:
            message = f"model '{ref}' has {len(tags)} tags and none is 'latest'"
            hint = hint or f"name one: {', '.join(tags)}"
        else:
            message = f"model '{ref}' is not in the store"
            hint = hint or (
                f"did you mean {', '.join(self.nearest[:3])}?"
                if nearest
                else "`%llm list` shows what is here; `%llm pull` gets more"
            )
        super().__init__(message, hint=hint)


class ManifestInvalid(StoreError):
    """A manifest on disk cannot be trusted."""


class BlobCorrupt(StoreError):
    """A blob's bytes do not match its digest."""

    def __init__(
        self, digest: str, path: Path, *, hint: str, found: str | None = None
    ) -> None:
        """Name the digest that the bytes should have, and the one they have."""
        self.digest = digest
        self.path = path
        self.found = found
        name = f"{digest[:19]}…" if found is None else digest
        message = f"blob {name} does not hash to its name"
        super().__init__(
            message if found is None else f"{message}: found {found}", hint=hint
        )


class StoreLocked(StoreError):
    """Another process holds the store's lock."""

    retryable = True


class DiskFull(StoreError):
    """Not enough room for what has to be written."""

    retryable = True

    def __init__(self, needed: int, free: int, where: Path) -> None:
        """Name both amounts in bytes."""
        self.needed = needed
        self.free = free
        super().__init__(
            f"{needed / 2**20:.0f} MiB needed on {where} "
            f"but {free / 2**20:.0f} MiB free",
            hint="free some space (`%llm rm`), or set LOCALKIT_HOME to a larger disk",
        )


class SourceNotFound(StoreError):
    """The place to take a model from does not exist or holds none."""


class DigestMismatch(StoreError):
    """The bytes that came are not those that were asked for."""

    retryable = True


class RegistryError(StoreError):
    """A registry or hub refuses, fails, or cannot be reached."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        """Keep the HTTP status, None when no answer came, and the pause asked for."""
        super().__init__(message, hint=hint)
        self.status = status
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class ModelfileInvalid(StoreError):
    """A Modelfile breaks the grammar."""

    def __init__(
        self, message: str, *, hint: str = "", line: int | None = None
    ) -> None:
        """Keep the line it is about, counted from 1."""
        super().__init__(message, hint=hint)
        self.line = line


class ConvertFailed(StoreError):
    """A folder of weights cannot be made into a GGUF."""


class LockDrift(StoreError):
    """A ref no longer means what ``localkit.lock`` says."""

    def __init__(
        self, message: str, *, expected: str = "", found: str = "", hint: str = ""
    ) -> None:
        """Add both digests to what happened, where there are two."""
        self.expected = expected
        self.found = found
        if expected:
            message += f": expected {expected}, found {found or 'none'}"
        super().__init__(message, hint=hint)


class HistoryInvalid(StoreError):
    """The history of chats and answers cannot be read."""


class GGUFError(LocalkitError):
    """The file is not a GGUF that may be loaded."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        offset: int | None = None,
        field: str = "",
    ) -> None:
        """Say where in the file the trouble is, when that is known."""
        self.offset = offset
        self.field = field
        super().__init__(
            message, hint=hint or "get the file again, or check how it was made"
        )


class RuntimeFailure(LocalkitError):
    """The engine cannot do what was asked."""


class EngineMissing(RuntimeFailure):
    """llama-cpp-python is not installed, or its library does not load."""


class LoadFailed(RuntimeFailure):
    """The engine refused the model."""


class DoesNotFit(RuntimeFailure):
    """Memory would not hold the model at the asked context length."""

    def __init__(
        self,
        needed: int,
        available: int,
        *,
        n_ctx_that_fits: int,
        offload_that_fits: int | None = None,
    ) -> None:
        """Name the bytes on both sides and what would fit.

        Args:
            needed: Estimated bytes.
            available: Bytes free, on the GPU where one was asked for.
            n_ctx_that_fits: Longest context length; 0 when none does.
            offload_that_fits: Most layers on the GPU; None without one.
        """
        self.needed = needed
        self.available = available
        self.n_ctx_that_fits = n_ctx_that_fits
        self.offload_that_fits = offload_that_fits
        way_out = (
            f"load with n_ctx<={n_ctx_that_fits}, or take a smaller quant"
            if n_ctx_that_fits
            else "take a smaller quant, or unload another model"
        )
        super().__init__(
            f"needs an estimated {needed / 2**20:.0f} MiB "
            f"but {available / 2**20:.0f} MiB are available",
            hint=way_out,
        )


class ContextTooLong(RuntimeFailure):
    """The prompt has more tokens than the context window."""

    def __init__(self, n_tokens: int, n_ctx: int, *, hint: str = "") -> None:
        """Name both token counts."""
        self.n_tokens = n_tokens
        self.n_ctx = n_ctx
        wanted = -(-(n_tokens + 256) // 256) * 256
        super().__init__(
            f"prompt is {n_tokens} tokens but n_ctx is {n_ctx}",
            hint=hint or f"load with n_ctx>={wanted}, or shorten the prompt",
        )


class TemplateError(RuntimeFailure):
    """A chat template is missing, broken or refuses the input."""


class QuantizeFailed(RuntimeFailure):
    """The requested file type cannot be made from this file."""


class SessionClosed(RuntimeFailure):
    """The model was unloaded while it was in use, or before."""


class Unsupported(RuntimeFailure):
    """The model cannot do what was asked: embed, see images, pool so."""


class GrammarInvalid(RuntimeFailure):
    """A JSON Schema, regular expression or grammar cannot be compiled."""


class AdapterInvalid(RuntimeFailure):
    """A LoRA adapter is missing, broken or made for another model."""


class Overloaded(RuntimeFailure):
    """Too many requests wait already; none was dropped."""

    retryable = True


class RuntimeForked(RuntimeFailure):
    """The process was forked from one that had a model loaded."""


class WorkerDied(RuntimeFailure):
    """A child process was killed or crashed."""

    retryable = True


class RemoteError(RuntimeFailure):
    """A model behind a URL refuses, fails, or cannot be reached."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        retryable: bool = False,
    ) -> None:
        """Keep the HTTP status, None when no answer came."""
        super().__init__(message, hint=hint)
        self.status = status
        self.retryable = retryable


class Cancelled(RuntimeFailure):
    """The caller asked to stop."""

    retryable = True


class EvalError(LocalkitError):
    """An evaluation cannot be run or read."""


class DatasetInvalid(EvalError):
    """A data or task file does not hold what it must."""


class ResultsInvalid(EvalError):
    """Stored results cannot be read."""


class NotComparable(EvalError):
    """Two results do not measure the same thing."""


class UsageError(LocalkitError):
    """A command or magic was called wrongly."""
