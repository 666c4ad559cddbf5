"""Files as other tools write them: samples of lm-eval, logs of inspect_ai."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DATE = "2026-11-21T22-28-52.573934"


def lm_eval_line(number: int, *, changed: str = "", **metrics: Any) -> dict[str, Any]:
    """Return a sample of a multiple choice as lm_eval 0.4.13 logs it."""
    asked = f"question {number}{changed}"
    endings = [" yes", " no"]
    best = int(metrics.pop("best", 0))
    responses = [[str(-5.0 + (i == best)), "False"] for i in range(2)]
    return {
        "doc_id": number,
        "doc": {"ctx": asked},
        "target": "0",
        "arguments": {
            f"gen_args_{i}": {"arg_0": asked, "arg_1": ending}
            for i, ending in enumerate(endings)
        },
        "resps": [[one] for one in responses],
        "filtered_resps": responses,
        "filter": "none",
        "metrics": list(metrics),
        "doc_hash": hashlib.sha256(asked.encode()).hexdigest(),
        "prompt_hash": "00",
        "target_hash": hashlib.sha256(b"0").hexdigest(),
        **metrics,
    }


def write_lm_eval(
    folder: Path, lines: Sequence[Mapping[str, Any]], *, model: str, task: str = "quiz"
) -> Path:
    """Write samples and results as lm_eval does, in a folder that `model` names."""
    folder = folder / model.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / f"results_{DATE}.json"
    results.write_text(json.dumps({"model_name": model}))
    path = folder / f"samples_{task}_{DATE}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def inspect_summary(
    number: int, epoch: int = 1, *, changed: str = "", **scores: Any
) -> dict[str, Any]:
    """Return a summary of a sample as inspect_ai 0.3.285 logs it."""
    return {
        "id": number,
        "epoch": epoch,
        "input": f"question {number}{changed}",
        "target": "yes",
        "metadata": {},
        "scores": {
            name: {"value": value, "answer": "yes", "explanation": "it says so"}
            for name, value in scores.items()
        },
        "completed": True,
    }


def write_inspect(
    path: Path,
    summaries: Sequence[Mapping[str, Any]],
    *,
    model: str = "mockllm/model",
    reducers: Sequence[str] = ("mean",),
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a log as inspect_ai does; ``files`` replace or add some of it."""
    spec = {"task": "quiz", "model": model, "config": {"epochs_reducer": reducers}}
    header = {"version": 2, "status": "success", "eval": spec}
    content = {
        "_journal/start.json": json.dumps({"version": 2, "eval": spec}).encode(),
        "samples/0_epoch_1.json": b"a transcript that nobody reads",
        "summaries.json": json.dumps(summaries).encode(),
        "header.json": json.dumps(header).encode(),
    }
    path.write_bytes(zipped(content | dict(files or {})))
    return path


def zipped(files: Mapping[str, bytes], *, claimed: int | None = None) -> bytes:
    """Return a zip whose files are packed by zstandard, method 93.

    ``claimed`` is what the headers say of each unpacked size.
    """
    out, directory = b"", b""
    for name, content in files.items():
        packed = zstandard.compress(content)
        size = len(content) if claimed is None else claimed
        fields = (93, 0, 33, zlib.crc32(content), len(packed), size, len(name), 0)
        at = len(out)
        out += struct.pack("<4s5H3L2H", b"PK\x03\x04", 63, 0, *fields)
        out += name.encode() + packed
        directory += struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 63, 63, 0, *fields, 0, 0, 0, 0, at
        )
        directory += name.encode()
    end = (0, 0, len(files), len(files), len(directory), len(out), 0)
    return out + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", *end)
