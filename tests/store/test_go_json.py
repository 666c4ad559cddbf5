"""Layers of published models, made again byte for byte."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localkit.store.go_json import go_json, shortest_float32

_HEADERS = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]

# (params, digest and size of the layer in the manifest that the registry serves)
PUBLISHED: dict[str, tuple[dict[str, Any], str, int]] = {
    "llama3.2": (
        {"stop": _HEADERS},
        "56bb8bd477a519ffa694fc449c2413c6f0e1d3b1c88fa7e3c9d88d3ae49d4dcb",
        96,
    ),
    "llama3": (
        {"num_keep": 24, "stop": _HEADERS},
        "577073ffcc6ce95b9981eacc77d1039568639e5638e83044994560d9ef82ce1b",
        110,
    ),
    "qwen3": (
        {
            "repeat_penalty": 1.0,
            "stop": ["<|im_start|>", "<|im_end|>"],
            "temperature": 0.6,
            "top_k": 20,
            "top_p": 0.95,
        },
        "cff3f395ef3756ab63e58b0ad1b32bb6f802905cae1472e6a12034e4246fbbdb",
        120,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_params_of_published_models_have_their_digests(name: str) -> None:
    params, digest, size = PUBLISHED[name]
    data = go_json(params)
    assert len(data) == size
    assert hashlib.sha256(data).hexdigest() == digest


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.0, "0"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (1e-7, "1e-7"),
        (2.5e-10, "2.5e-10"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-2.5, "-2.5"),
        (True, "true"),
        (None, "null"),
        (7, "7"),
        ("a&b\u2028é\x07\n", '"a\\u0026b\\u2028é\\u0007\\n"'),
        ([], "[]"),
        ({"b": 1, "a": []}, '{"b":1,"a":[]}'),
    ],
)
def test_values_read_as_go_writes_them(value: Any, text: str) -> None:
    assert go_json(value).decode() == f"{text}\n"


def test_what_is_no_json_number_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        go_json({"x": float("nan")})


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    # Wider floats of Python and Go differ in form, not in value.
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(_JSON)
def test_any_value_is_the_same_when_read_again(value: Any) -> None:
    try:
        data = go_json(value)
    except UnicodeEncodeError:  # half a surrogate pair
        return
    assert data.endswith(b"\n")
    assert json.loads(data) == value


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_of_32_bits_has_as_few_digits_as_numpy_gives_it(value: float) -> None:
    assert shortest_float32(value) == float(str(np.float32(value)))
