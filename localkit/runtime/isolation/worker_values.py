"""The runtime's values as JSON, to a worker and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.events import Timings, Usage
from localkit.runtime.params import (
    Adapter,
    LoadParams,
    SamplingParams,
    ServeParams,
    Structure,
)
from localkit.runtime.values import Generation, MemoryUse, Piece, TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Mapping


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
            "notes": tuple(fields["notes"]),
        }
    )


def _logprob_in(fields: Any) -> TokenLogprob:
    logprob, top = fields
    return TokenLogprob(logprob, tuple((token, value) for token, value in top))


def memory_out(memory: MemoryUse) -> dict[str, Any]:
    """Return memory use as JSON."""
    return {
        "weights": memory.weights,
        "kv": memory.kv,
        "compute": memory.compute,
        "by_device": dict(memory.by_device),
    }
