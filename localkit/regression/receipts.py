"""The receipts of a whole notebook against the store: would it come out again?"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.chat.template_choice import choice_of
from localkit.errors import LocalkitError, ModelNotFound
from localkit.regression.conditions import weights
from localkit.regression.running import code_cells, read_notebook
from localkit.regression.subjects import Answered, Compared, Evaluated, subjects_of
from localkit.store.digest import short_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.kit import Kit
    from localkit.regression.records import ReceiptRecord
    from localkit.store import StoredModel

_VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """One model that a cell used, and whether it is still the same."""

    cell: int
    """``In[3]`` is 3, in a run from top to bottom."""
    ref: str
    quant: str
    changes: tuple[str, ...] = ()
    """What is no longer as it was; empty where the receipt holds."""
    repair: str = ""
    """How to get it back."""
    notes: tuple[str, ...] = ()
    """What is otherwise, and no reason for another answer by itself."""

    @property
    def holds(self) -> bool:
        """Whether everything is as the receipt says."""
        return not self.changes


@dataclass(frozen=True, slots=True)
class _Used:
    """What a result says of a model: a receipt, or as much as a table keeps."""

    ref: str
    quant: str
    weights_digest: str
    receipt: ReceiptRecord | None = None


def check_receipts(path: Path, kit: Kit, *, engine: str) -> list[ReceiptCheck]:
    """Return a line for each cell and model; a cell that used it twice has one.

    Args:
        path: The notebook.
        kit: Whose store to look into.
        engine: Versions of binding and llama.cpp, as receipts name them.

    Raises:
        UsageError: there is no such notebook, or it cannot be read.
        ResultsInvalid: a receipt in it cannot be read.
    """
    notebook = read_notebook(path)
    found: dict[ReceiptCheck, None] = {}
    for index, cell in enumerate(code_cells(notebook).values()):
        for used in _used(cell.get("outputs", [])):
            found[_check(index + 1, used, kit, engine)] = None
    return list(found)


def _used(outputs: list[dict[str, object]]) -> Iterator[_Used]:
    for subject in subjects_of(outputs):
        if isinstance(subject, Answered):
            receipt = subject.record.receipt
            yield _Used(receipt.ref, receipt.quant, receipt.weights_digest, receipt)
        elif isinstance(subject, Compared):
            for row in subject.record.rows:
                yield _Used(row.ref, row.quant, row.weights_digest)
        elif isinstance(subject, Evaluated):
            for part in subject.record.parts:
                if part.weights_digest and "://" not in part.model:
                    yield _Used(part.model, "", part.weights_digest)


def _check(cell: int, used: _Used, kit: Kit, engine: str) -> ReceiptCheck:
    try:
        stored = kit.store.resolve(used.ref)
    except ModelNotFound:
        change = "the model is not in the store"
        return ReceiptCheck(cell, used.ref, used.quant, (change,), _get_back(used, kit))
    except LocalkitError as error:
        return ReceiptCheck(
            cell, used.ref, used.quant, (str(error),), error.hint or "add it again"
        )
    changes: list[str] = []
    repairs: list[str] = []
    notes: list[str] = []
    if stored.weights_digest != used.weights_digest:
        before = weights(used.quant, used.weights_digest)
        after = weights(stored.info.quant, stored.weights_digest)
        changes.append(f"the weights changed: {before} → {after}")
        repairs.append(_get_back(used, kit))
    if used.receipt is not None:
        _check_template(used.receipt, stored, changes, repairs)
        _check_engine(used.receipt, engine, changes, repairs, notes)
    return ReceiptCheck(
        cell, used.ref, used.quant, tuple(changes), "; ".join(repairs), tuple(notes)
    )


def _check_template(
    receipt: ReceiptRecord,
    stored: StoredModel,
    changes: list[str],
    repairs: list[str],
) -> None:
    if receipt.template_digest is None:
        return
    choice = choice_of(stored)
    found = ""
    if choice is not None:
        found = "sha256:" + hashlib.sha256(choice.source.encode()).hexdigest()
    if found != receipt.template_digest:
        now = short_digest(found) if found else "none"
        changes.append(
            f"the chat template changed: {short_digest(receipt.template_digest)} "
            f"→ {now}"
        )
        repairs.append("take the TEMPLATE out of its Modelfile, or put the old one in")


def _check_engine(
    receipt: ReceiptRecord,
    engine: str,
    changes: list[str],
    repairs: list[str],
    notes: list[str],
) -> None:
    before = str(receipt.runtime.get("engine", ""))
    if not before or before == engine:
        return
    if _version(engine) < _version(before):
        changes.append(f"the engine is older: {before} → {engine}")
        number = ".".join(map(str, _version(before)))
        repairs.append(f"pip install llama-cpp-python=={number}")
    else:
        notes.append(f"the engine is newer: {before} → {engine}")


def _version(engine: str) -> tuple[int, ...]:
    """Return the binding's version, which stands first."""
    found = _VERSION.search(engine)
    return tuple(map(int, found.group().split("."))) if found else ()


def _get_back(used: _Used, kit: Kit) -> str:
    """Say where the same weights are, here or elsewhere."""
    for listing in kit.store.list():
        if listing.damaged:
            continue
        try:
            stored = kit.store.resolve(listing.ref)
        except LocalkitError:
            continue
        if stored.weights_digest == used.weights_digest:
            return f"the same weights are here: `localkit cp {listing.ref} {used.ref}`"
    which = weights(used.quant, used.weights_digest)
    return f"`localkit pull` or `localkit add` what has the weights {which}"
