"""Images as positions of a prompt, through llama.cpp's projector (libmtmd).

An image becomes tokens of text (what the model's family writes around it) and runs
of positions that hold embeddings. In a list of tokens each such position is the
same negative number, made from the image's digest: two prompts share a prefix
where they show the same image, so the slots cache images as they cache text.
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from localkit.errors import LoadFailed, RuntimeFailure, Unsupported
from localkit.gguf.projector import check_projector
from localkit.runtime import library, logs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from localkit.runtime.engine.context import Context
    from localkit.runtime.vision.images import Image

_PREPARED_CELLS: Final = 4096
"""Scaled pixels are kept for images of so many cells: 2 KiB each at patches of 14."""
_EMBEDDED_BYTES: Final = 64 << 20
"""Embeddings kept for prompts that come again: 576 positions of 4096 take 9 MiB."""


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """Positions of a prompt that hold a part of an image."""

    token: int
    """What stands for each of them in a list of tokens; negative."""
    n_positions: int
    n_cells: int
    """Cells of the KV cache; more than positions where those have two dimensions."""
    chunk: _Chunk
    projector: Projector

    def compute(self, *, sequence: int, start: int) -> int:
        """Put it into the KV cache; return llama_decode's code. Owner thread only.

        Raises:
            RuntimeFailure: the image could not be encoded.
        """
        return self.projector.compute(self, sequence=sequence, start=start)


Seen = list["int | Media"]


class Projector:
    """One projector and the context it feeds; closed with its model."""

    def __init__(
        self,
        engine: Any,
        model: Any,
        context: Context,
        path: Path,
        *,
        n_threads: int,
        use_gpu: bool,
    ) -> None:
        """Load the file.

        Raises:
            GGUFError: it is no projector that may be loaded.
            Unsupported: it is of a kind that cannot be used here.
            LoadFailed: llama.cpp refuses it, or it is another model's; says why.
        """
        header = check_projector(path)
        self.n_bytes = sum(tensor.n_bytes for tensor in header.tensors)
        self._mtmd = _library()
        self._context = context
        self._width: int = engine.llama_model_n_embd_inp(model)
        # Protects the native context from being freed under a preparation.
        self._lock = threading.Lock()
        self._prepared: OrderedDict[str, Seen] = OrderedDict()
        self._embedded: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        params = self._mtmd.mtmd_context_params_default()
        params.use_gpu = use_gpu
        params.print_timings = False
        params.n_threads = n_threads
        params.warmup = False  # the first image allocates as much
        with logs.captured() as lines:
            self._native = self._mtmd.mtmd_init_from_file(
                str(path).encode(), model, params
            )
        if not self._native:
            told = "; ".join(logs.errors(lines)) or "no reason given"
            msg = f"{library.version()} refused the projector {path.name}: {told}"
            hint = "give the mmproj file that was published with the model"
            raise LoadFailed(" ".join(msg.split()), hint=hint)

    def see(self, image: Image) -> Seen:
        """Return what stands for ``image`` in a prompt. Any thread.

        Raises:
            Unsupported: llama.cpp cannot prepare it, or it needs a larger n_ubatch.
            RuntimeFailure: the projector was closed.
        """
        with self._lock:
            found = self._prepared.pop(image.digest, None)
            if found is None:
                if not self._native:
                    msg = "the projector was freed with its model"
                    raise RuntimeFailure(msg, hint="load the model again")
                found = self._prepare(image)
            self._prepared[image.digest] = found
            while len(self._prepared) > 1 and self._n_prepared() > _PREPARED_CELLS:
                self._prepared.popitem(last=False)
            return found

    def _n_prepared(self) -> int:
        parts = (part for seen in self._prepared.values() for part in seen)
        return sum(part.n_cells for part in parts if isinstance(part, Media))

    def _prepare(self, image: Image) -> Seen:
        mtmd = self._mtmd
        chunks = mtmd.mtmd_input_chunks_init()
        pixels = (ctypes.c_uint8 * len(image.rgb)).from_buffer_copy(image.rgb)
        bitmap = mtmd.mtmd_bitmap_init(image.width, image.height, pixels)
        try:
            part = mtmd.mtmd_input_part(text=None, bitmap=bitmap)
            parts = (ctypes.POINTER(mtmd.mtmd_input_part) * 1)(ctypes.pointer(part))
            with logs.captured() as lines:
                code = mtmd.mtmd_tokenize_from_parts(
                    self._native, chunks, parts, 1, False
                )
            if code:
                told = "; ".join(logs.errors(lines)) or f"code {code}"
                size = f"{image.width} by {image.height} pixels"
                msg = f"llama.cpp cannot prepare an image of {size}: {told}"
                raise Unsupported(msg, hint="give it in another size")
            seen: Seen = []
            for index in range(mtmd.mtmd_input_chunks_size(chunks)):
                chunk = mtmd.mtmd_input_chunks_get(chunks, index)
                seen += self._part(chunk, f"{image.digest} {index}")
            return seen
        finally:
            mtmd.mtmd_bitmap_free(bitmap)
            mtmd.mtmd_input_chunks_free(chunks)

    def _part(self, chunk: Any, name: str) -> Seen:
        mtmd = self._mtmd
        n_cells: int = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            count = ctypes.c_size_t()
            tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
            return [int(tokens[index]) for index in range(count.value)]
        most = self._context.n_ubatch
        if n_cells > most and mtmd.mtmd_decode_use_non_causal(self._native, chunk):
            # llama.cpp asserts that such an image fits one micro-batch.
            msg = f"the image takes {n_cells} tokens at once, n_ubatch is {most}"
            raise Unsupported(msg, hint=f"load with n_ubatch>={n_cells}")
        digest = hashlib.sha256(name.encode()).digest()
        media = Media(
            token=-1 - int.from_bytes(digest, "big"),
            n_positions=mtmd.mtmd_input_chunk_get_n_pos(chunk),
            n_cells=n_cells,
            chunk=_Chunk(mtmd, chunk),
            projector=self,
        )
        return [media]

    def compute(self, media: Media, *, sequence: int, start: int) -> int:
        """See `Media.compute`."""
        embeddings = self._embed(media)
        end = ctypes.c_int32()
        code: int = self._mtmd.mtmd_helper_decode_image_chunk(
            self._native,
            self._context.native,
            media.chunk.native,
            embeddings.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            start,
            sequence,
            self._context.n_ubatch,
            ctypes.byref(end),
            self._mtmd.mtmd_helper_post_decode_callback(),
            None,
        )
        return code

    def _embed(self, media: Media) -> NDArray[np.float32]:
        found = self._embedded.pop(media.token, None)
        if found is None:
            with logs.captured() as lines:
                code = self._mtmd.mtmd_encode_chunk(self._native, media.chunk.native)
            if code:
                told = "; ".join(logs.errors(lines)) or f"code {code}"
                msg = f"llama.cpp could not encode the image: {told}"
                raise RuntimeFailure(msg, hint="`%llm log` has the engine's own words")
            pointer = self._mtmd.mtmd_get_output_embd(self._native)
            shape = (media.n_cells, self._width)
            found = np.ctypeslib.as_array(pointer, shape=shape).copy()
        self._embedded[media.token] = found
        while (
            len(self._embedded) > 1
            and sum(one.nbytes for one in self._embedded.values()) > _EMBEDDED_BYTES
        ):
            self._embedded.popitem(last=False)
        return found

    def close(self) -> None:
        """Free the projector. Owner thread only."""
        with self._lock:
            self._mtmd.mtmd_free(self._native)
            self._native = None
            self._prepared.clear()
            self._embedded.clear()


class _Chunk:
    """A copy of libmtmd's chunk, freed with the last prompt that holds it."""

    def __init__(self, mtmd: Any, chunk: Any) -> None:
        self._mtmd = mtmd
        self.native = mtmd.mtmd_input_chunk_copy(chunk)

    def __del__(self) -> None:
        """Free the copy: its own memory, whether or not the model still is."""
        self._mtmd.mtmd_input_chunk_free(self.native)


def _library() -> Any:
    """Return the bindings of libmtmd, with its log routed to `logs`.

    Raises:
        Unsupported: this build of llama-cpp-python comes without it.
    """
    try:
        from llama_cpp import mtmd_cpp
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        msg = f"{library.version()} comes without libmtmd: {error}"
        raise Unsupported(msg, hint="install a build of it with vision") from error
    mtmd_cpp.mtmd_helper_log_set(logs.receiver(), None)
    return mtmd_cpp
