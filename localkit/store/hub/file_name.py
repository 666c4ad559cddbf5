"""What the name of a GGUF file in a repo tells: quant, model, part, kind.

There is no rule for these names, only habits: ``Model-Q4_K_M.gguf``,
``model.q4_k_m.gguf``, ``Q4_K_M/model-00001-of-00003.gguf``,
``Model-UD-Q4_K_XL.gguf``, ``model-fp16.gguf``, ``mmproj-model-f16.gguf``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LABEL = re.compile(
    r"(?:^|(?<=[-._ /]))"
    r"(?P<label>(?:UD-)?"
    r"(?:I?Q[1-8](?:_(?:K|XXS|XS|S|M|L|XL|XXL|NL|[0-9]{1,2}))*"
    r"|TQ[12]_0|BF16|FP?16|FP?32|MXFP4(?:_MOE)?|NVFP4))"
    r"(?=$|[-._ ])",
    re.IGNORECASE,
)
_PART = re.compile(r"-(\d{5})-of-(\d{5})$")
# Words about how a file was made, which do not make it another model.
_NOISE = re.compile(r"(?:^|[-._ ])(?:imat|imatrix|i1|gguf|ggml)(?=$|[-._ ])", re.I)
_FULL = {"FP16": "F16", "FP32": "F32"}


class FileName(NamedTuple):
    """What one file name tells."""

    label: str
    """Quant as its maker names it: ``Q4_K_M``, ``UD-Q4_K_XL``; the file's stem where
    the name tells none."""
    model: str
    """What is left without the quant, in lower case: equal means the same model."""
    part: int
    """Which part of a split file, from 1; 1 for a whole file."""
    n_parts: int
    """In how many parts the file is split; 1 for a whole file."""
    is_projector: bool
    """Whether it lets a model see rather than being one."""
    is_model: bool
    """Whether it can be a model: not a projector, not an importance matrix."""


def read_name(path: str) -> FileName:
    """Return what the path of a GGUF file in a repo tells."""
    *folders, name = path.split("/")
    stem = re.sub(r"\.gguf$", "", name, flags=re.IGNORECASE)
    part = n_parts = 1
    if (split := _PART.search(stem)) is not None:
        part, n_parts = int(split[1]), int(split[2])
        stem = stem[: split.start()]
    label, rest = _cut_label(stem)
    if not label:
        for folder in reversed(folders):
            if _LABEL.fullmatch(folder):
                label = folder
                break
    is_projector = "mmproj" in name.lower()
    is_matrix = re.search(r"(^|[-._])i?mat(rix)?$", stem, re.I) and not label
    return FileName(
        label=_FULL.get(label.upper(), label.upper()) or stem,
        model=_NOISE.sub("", rest.lower()).strip("-._ "),
        part=part,
        n_parts=n_parts,
        is_projector=is_projector,
        is_model=not is_projector and not is_matrix,
    )


def _cut_label(stem: str) -> tuple[str, str]:
    """Return the last label in a stem, and the stem without it."""
    found = list(_LABEL.finditer(stem))
    if not found:
        return "", stem
    last = found[-1]
    return last["label"], stem[: last.start()] + stem[last.end() :]
