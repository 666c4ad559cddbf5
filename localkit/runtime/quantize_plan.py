"""What llama.cpp would make of each tensor, and whether that is what was asked.

llama.cpp falls back to another type where a row is no whole number of blocks, and
quantizes without importance what the matrix does not name; it says so in its log.
Here the first is an error where the type was asked for by pattern, and so is a
matrix of another model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from localkit.errors import QuantizeFailed
from localkit.gguf.types import weight_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.gguf.imatrix import Imatrix
    from localkit.gguf.reader import Header
    from localkit.gguf.tensors import TensorInfo

_LINE: Final = re.compile(
    r"\[ *\d+/ *\d+\] (?P<name>\S+) +- \[[^\]]*\], type = *(?P<old>\S+), "
    r"size = *[\d.]+ MiB(?: -> *[\d.]+ MiB \((?P<new>\S+)\))?"
)
_LOW_BITS: Final = {"iq3_xxs", "iq2_xxs", "iq2_xs", "iq2_s", "iq1_m", "iq1_s"}
_WHOLE_TABLES: Final = {
    "token_embd.weight",
    "per_layer_token_embd.weight",
    "output.weight",
}
"""Never quantized to a type that needs importance, and llama-imatrix collects none."""


class PlannedTensor(NamedTuple):
    """One tensor of the file to be made."""

    source: TensorInfo
    type: str
    """ggml type it will have: ``q4_K``."""

    @property
    def name(self) -> str:
        """Its name, the same in both files."""
        return self.source.name

    @property
    def n_bytes(self) -> int:
        """Bytes it will take."""
        return weight_type(self.type).size(self.source.n_weights)

    @property
    def changes(self) -> bool:
        """Whether its type will be another."""
        return self.type != self.source.type.name


def read_plan(log: str, header: Header) -> list[PlannedTensor]:
    """Return what a dry run logged about each tensor of ``header``.

    Raises:
        QuantizeFailed: the log does not tell all of them.
    """
    types = {
        found["name"]: found["new"] or found["old"] for found in _LINE.finditer(log)
    }
    missing = [tensor.name for tensor in header.tensors if tensor.name not in types]
    if missing:
        msg = f"llama.cpp's dry run said nothing about {missing[0]}"
        raise QuantizeFailed(msg, hint="install the engine that pyproject.toml names")
    return [PlannedTensor(tensor, types[tensor.name]) for tensor in header.tensors]


def check_types(
    plan: Sequence[PlannedTensor], tensor_types: Sequence[tuple[str, str]]
) -> None:
    """Check that every pattern names tensors, and that they get its type.

    Raises:
        QuantizeFailed: names the pattern or the tensor.
    """
    taken: set[str] = set()
    for pattern, type_name in tensor_types:
        matching = [tensor for tensor in plan if re.search(pattern, tensor.name)]
        if not matching:
            msg = f"no tensor's name matches '{pattern}'"
            hint = f"the names are like {plan[-1].name}"
            raise QuantizeFailed(msg, hint=hint)
        for tensor in matching:
            # The first pattern that matches decides.
            if tensor.name in taken or tensor.type.lower() == type_name.lower():
                continue
            if len(tensor.source.shape) < 2:
                continue  # a norm or a bias that the pattern happens to match
            wanted = weight_type(type_name)
            n_columns = tensor.source.shape[0]
            why = (
                f"its rows of {n_columns} are no whole number of blocks of "
                f"{wanted.block_size}"
                if n_columns % wanted.block_size
                else "llama.cpp never changes its type"
            )
            msg = f"{tensor.name} would become {tensor.type}, not {type_name}: {why}"
            hint = f"give '{pattern}' another type, or a pattern without it"
            raise QuantizeFailed(msg, hint=hint)
        taken |= {tensor.name for tensor in matching}


def check_imatrix(
    plan: Sequence[PlannedTensor], imatrix: Imatrix | None, label: str
) -> None:
    """Check that the matrix is of this model and tells all that ``label`` needs.

    Raises:
        QuantizeFailed: names the tensor.
    """
    entries = {} if imatrix is None else imatrix.entries
    matrices = [tensor for tensor in plan if tensor.changes]
    for tensor in matrices:
        if tensor.name in _WHOLE_TABLES:
            continue
        entry = entries.get(tensor.name)
        if entry is None and needs_importance(tensor.type, label):
            have = "none was given" if imatrix is None else "the one given has none"
            msg = f"{label} needs an importance matrix for {tensor.name}, and {have}"
            hint = (
                "give one that was made from this model (imatrix=…, --imatrix FILE or "
                "--imatrix auto), or take a type such as Q3_K_M"
            )
            raise QuantizeFailed(msg, hint=hint)
        shape = tensor.source.shape
        n_columns = shape[0] * (shape[2] if len(shape) > 2 else 1)
        if entry is not None and entry.sums.size != n_columns:
            msg = (
                f"the importance matrix is of another model: {tensor.name} has "
                f"{n_columns} columns, there it has {entry.sums.size}"
            )
            raise QuantizeFailed(msg, hint="make one from this model: `imatrix MODEL`")
    if imatrix is not None and not any(tensor.name in entries for tensor in matrices):
        msg = f"the importance matrix tells of none of the tensors that {label} changes"
        raise QuantizeFailed(msg, hint="make one from this model: `imatrix MODEL`")


def needs_importance(type_name: str, label: str) -> bool:
    """Return whether llama.cpp makes this type only with an importance matrix."""
    name = type_name.lower()
    return name in _LOW_BITS or (name == "q2_k" and label == "Q2_K_S")
