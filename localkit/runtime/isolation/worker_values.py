"""The runtime's values as JSON, to a worker and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from localkit.events import Timings, Usage
from localkit.runtime.params import (
    Adapter,
    LoadParams,
    SamplingParams,
    ServeParams,
    Structure,
)
from localkit.runtime.values import (
    Generation,
    MemoryUse,
    Piece,
    PromptLogprob,
    TokenLogprob,
)
from localkit.runtime.vision.images import Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_PATHS = ("draft", "projector")


def load_params_out(params: LoadParams) -> dict[str, Any]:
    """Return load params as JSON."""
    fields = asdict(params)
    return {**fields, **{name: fields[name] and str(fields[name]) for name in _PATHS}}


def load_params_in(fields: Mapping[str, Any]) -> LoadParams:
    """Return load params from JSON."""
    paths = {name: fields[name] and Path(fields[name]) for name in _PATHS}
    return LoadParams(**{**fields, **paths})


def sampling_in(fields: Mapping[str, Any]) -> SamplingParams:
    """Return sampling params from what ``asdict`` made of them."""
    structure = fields["structure"]
    return SamplingParams(
        **{
            **fields,
            "dry_sequence_breakers": tuple(fields["dry_sequence_breakers"]),
            "logit_bias": tuple((token, bias) for token, bias in fields["logit_bias"]),
            "stop": tuple(fields["stop"]),
            "structure": None if structure is None else Structure(**structure),
        }
    )


def serve_out(serve: ServeParams) -> dict[str, Any]:
    """Return serve params as JSON."""
    adapters = [[str(adapter.path), adapter.scale] for adapter in serve.adapters]
    return {**asdict(serve), "adapters": adapters}


def serve_in(fields: Mapping[str, Any]) -> ServeParams:
    """Return serve params from JSON."""
    adapters = tuple(Adapter(Path(path), scale) for path, scale in fields["adapters"])
    return ServeParams(**{**fields, "adapters": adapters})


def piece_in(fields: Any) -> Piece:
    """Return a piece from JSON."""
    text, token, logprob = fields
    return Piece(text, token, None if logprob is None else _logprob_in(logprob))


def generation_in(fields: Mapping[str, Any]) -> Generation:
    """Return an answer from what ``asdict`` made of it."""
    return Generation(
        **{
            **fields,
            "tokens": tuple(fields["tokens"]),
            "usage": Usage(**fields["usage"]),
            "timings": Timings(**fields["timings"]),
            "logprobs": tuple(_logprob_in(one) for one in fields["logprobs"]),
            "prompt_logprobs": tuple(
                PromptLogprob(token, *_logprob_in((logprob, top)))
                for token, logprob, top in fields["prompt_logprobs"]
            ),
            "token_s": tuple(fields["token_s"]),
            "notes": tuple(fields["notes"]),
        }
    )


def _logprob_in(fields: Any) -> TokenLogprob:
    logprob, top = fields
    return TokenLogprob(logprob, tuple((token, value) for token, value in top))


def prompt_out(
    prompt: Sequence[int], images: Sequence[Image]
) -> tuple[list[int] | None, list[NDArray[Any]]]:
    """Return a prompt as JSON and arrays: the tokens, then each image's pixels.

    What stands for an image in a prompt is a number of 256 bits, which no array
    holds: such a prompt goes as JSON.
    """
    pixels = [
        np.frombuffer(image.rgb, np.uint8).reshape(image.height, image.width, 3)
        for image in images
    ]
    if images or any(token < 0 for token in prompt):
        return list(prompt), [np.empty(0, np.int64), *pixels]
    return None, [np.array(prompt, np.int64)]


def prompt_in(
    tokens: list[int] | None, arrays: Sequence[NDArray[Any]]
) -> tuple[list[int], list[Image]]:
    """Return a prompt and its images from what `prompt_out` made of them."""
    first, *pixels = arrays
    return first.tolist() if tokens is None else tokens, [image_in(a) for a in pixels]


def image_in(pixels: NDArray[np.uint8]) -> Image:
    """Return an image from its pixels, shape (height, width, 3)."""
    height, width, _ = pixels.shape
    return Image(width, height, pixels.tobytes())


def memory_out(memory: MemoryUse) -> dict[str, Any]:
    """Return memory use as JSON."""
    return {
        "weights": memory.weights,
        "kv": memory.kv,
        "compute": memory.compute,
        "by_device": dict(memory.by_device),
    }
