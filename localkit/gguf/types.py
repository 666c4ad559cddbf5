"""The weight types and file types of GGUF, as llama.cpp numbers and names them.

Facts from llama.cpp: ``ggml/src/ggml.c`` (names and sizes) and
``include/llama.h`` (file types). Tests compare them with the installed engine
and with the ``gguf`` package.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class WeightType(NamedTuple):
    """How one ggml type packs weights."""

    name: str
    """As llama.cpp prints it: ``q4_K``."""
    block_size: int
    """Weights per block; a tensor's row is a whole number of blocks."""
    block_bytes: int

    def size(self, n_weights: int) -> int:
        """Return the bytes of ``n_weights`` weights, a whole number of blocks."""
        return n_weights // self.block_size * self.block_bytes


WEIGHT_TYPES: Final[dict[int, WeightType]] = {
    0: WeightType("f32", 1, 4),
    1: WeightType("f16", 1, 2),
    2: WeightType("q4_0", 32, 18),
    3: WeightType("q4_1", 32, 20),
    6: WeightType("q5_0", 32, 22),
    7: WeightType("q5_1", 32, 24),
    8: WeightType("q8_0", 32, 34),
    9: WeightType("q8_1", 32, 36),
    10: WeightType("q2_K", 256, 84),
    11: WeightType("q3_K", 256, 110),
    12: WeightType("q4_K", 256, 144),
    13: WeightType("q5_K", 256, 176),
    14: WeightType("q6_K", 256, 210),
    15: WeightType("q8_K", 256, 292),
    16: WeightType("iq2_xxs", 256, 66),
    17: WeightType("iq2_xs", 256, 74),
    18: WeightType("iq3_xxs", 256, 98),
    19: WeightType("iq1_s", 256, 50),
    20: WeightType("iq4_nl", 32, 18),
    21: WeightType("iq3_s", 256, 110),
    22: WeightType("iq2_s", 256, 82),
    23: WeightType("iq4_xs", 256, 136),
    24: WeightType("i8", 1, 1),
    25: WeightType("i16", 1, 2),
    26: WeightType("i32", 1, 4),
    27: WeightType("i64", 1, 8),
    28: WeightType("f64", 1, 8),
    29: WeightType("iq1_m", 256, 56),
    30: WeightType("bf16", 1, 2),
    34: WeightType("tq1_0", 256, 54),
    35: WeightType("tq2_0", 256, 66),
    39: WeightType("mxfp4", 32, 17),
    40: WeightType("nvfp4", 64, 36),
    41: WeightType("q1_0", 128, 18),
    42: WeightType("q2_0", 64, 18),
}
"""ggml type id to its packing."""

REMOVED_WEIGHT_TYPES: Final[dict[int, str]] = {
    4: "q4_2",
    5: "q4_3",
    31: "q4_0_4_4",
    32: "q4_0_4_8",
    33: "q4_0_8_8",
    36: "iq4_nl_4_4",
    37: "iq4_nl_4_8",
    38: "iq4_nl_8_8",
}
"""Ids that older files use and llama.cpp no longer reads."""

FILE_TYPES: Final[dict[int, str]] = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}
"""``general.file_type`` to its label: ``LLAMA_FTYPE_…`` without the ``MOSTLY_``."""

_FILE_TYPE_IDS: Final = {label: id_ for id_, label in FILE_TYPES.items()}


def file_type_id(label: str) -> int:
    """Return the id of a file type label, in any case.

    Raises:
        KeyError: no file type has that label.
    """
    return _FILE_TYPE_IDS[label.upper()]


def nominal_bits(label: str) -> int:
    """Return the bits that a file type label names: 16 of ``BF16``, 4 of ``IQ4_XS``.

    A name, not a measurement: 0 for a label without a number.
    """
    digits = re.search(r"\d+", label)
    return int(digits.group()) if digits else 0


def weight_type(name: str) -> WeightType:
    """Return the weight type that llama.cpp calls ``name``, in any case.

    Raises:
        KeyError: no weight type has that name.
    """
    wanted = name.lower()
    for type_ in WEIGHT_TYPES.values():
        if type_.name.lower() == wanted:
            return type_
    raise KeyError(name)
