"""What kernel and worker say to each other, and what neither believes."""

from __future__ import annotations

import io
import json
import math
import struct
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.errors import RuntimeFailure
from localkit.runtime.isolation import worker_wire as wire
from localkit.runtime.isolation.worker_values import (
    load_params_in,
    load_params_out,
    sampling_in,
    serve_in,
    serve_out,
)
from localkit.runtime.isolation.worker_wire import Message
from localkit.runtime.params import (
    Adapter,
    LoadParams,
    SamplingParams,
    ServeParams,
    Structure,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_every_param_survives_the_way_to_a_worker(tmp_path: Path) -> None:
    sampling = SamplingParams(
        logit_bias=((5, -math.inf), (6, 1.5)),
        stop=("a", "é"),
        structure=Structure("regex", "[ab]"),
    )
    assert sampling_in(json.loads(json.dumps(asdict(sampling)))) == sampling
    serve = ServeParams(priority="bulk", adapters=(Adapter(tmp_path, 0.5),))
    assert serve_in(json.loads(json.dumps(serve_out(serve)))) == serve
    load = LoadParams(n_ctx=9, draft=tmp_path)
    assert load_params_in(json.loads(json.dumps(load_params_out(load)))) == load


def _frame(head: bytes, body: bytes = b"") -> io.BytesIO:
    return io.BytesIO(struct.pack("<II", len(head), len(body)) + head + body)


@pytest.mark.parametrize(
    "head",
    [b"", b"[]", b"nul", b"\xff", b"[" * 100_000],
    ids=["empty", "list", "text", "binary", "deep"],
)
def test_a_frame_that_is_no_object_is_refused(head: bytes) -> None:
    with pytest.raises(RuntimeFailure, match="between kernel and worker"):
        wire.read(_frame(head))


def test_a_length_beyond_the_cap_is_refused_before_it_is_read() -> None:
    with pytest.raises(RuntimeFailure, match="announces 4294967295 bytes"):
        wire.read(io.BytesIO(b"\xff" * 8))


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 12])
def test_a_frame_cut_short_is_the_end(cut: int) -> None:
    stream = io.BytesIO()
    wire.write(stream, Message({"a": 1}, b"body"))
    assert wire.read(io.BytesIO(stream.getvalue()[:cut])) is None


@pytest.mark.parametrize(
    "kinds",
    [
        None,
        [["<f4", [1 << 40, 1 << 40]]],
        [["<f4", [-1]]],
        [["<f4", [True]]],
        [["|O", [1]]],
        [["<f4"]],
        [["<f4", [1] * 5]],
        [["<f4", [3]]],
        "x",
    ],
)
def test_an_array_that_its_bytes_do_not_hold_is_refused(kinds: Any) -> None:
    with pytest.raises(RuntimeFailure, match="between kernel and worker"):
        wire.arrays(Message({"arrays": kinds}, bytes(8)))


def test_arrays_of_every_kind_make_the_round_trip() -> None:
    sent = [np.arange(6, dtype=kind).reshape(2, 3) for kind in ("<f4", "<f8", "<i8")]
    stream = io.BytesIO()
    wire.write(stream, wire.with_arrays({"x": 1}, [*sent, np.zeros((0, 4), "<f4")]))
    stream.seek(0)
    message = wire.read(stream)
    assert message is not None
    *received, empty = wire.arrays(message)
    for ours, theirs in zip(received, sent, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert empty.shape == (0, 4)
