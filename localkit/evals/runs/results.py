"""The results of one model in one task, read from the database as they are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, overload

from pydantic import ValidationError

from localkit.errors import ResultsInvalid
from localkit.evals.running.result import SampleResult

if TYPE_CHECKING:
    from localkit.evals.runs.database import Cell

NOT_ASKED = "not asked yet"
_BATCH = 256
_NONE: Mapping[str, str] = MappingProxyType({})


def name_of(id_: str, epoch: int) -> str:
    """Return the name of an answer in its cell."""
    return f"{id_}#{epoch}" if epoch else id_


class Results(Sequence[SampleResult]):
    """One result a sample and epoch, the epochs of a sample side by side.

    They stay in the database, so that a hundred thousand take no memory. An answer
    that is not there is a result too: unscored, and why.
    """

    def __init__(
        self,
        cell: Cell | None,
        ids: Sequence[str],
        epochs: int = 1,
        *,
        failed: Mapping[str, str] = _NONE,
    ) -> None:
        """Name what there should be; ``failed`` says why an answer is not there."""
        self._cell = cell
        self._ids = ids
        self._epochs = epochs
        self._failed = failed

    def __len__(self) -> int:
        """Return the number of results: samples times epochs."""
        return len(self._ids) * self._epochs

    @overload
    def __getitem__(self, index: int) -> SampleResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[SampleResult]: ...
    def __getitem__(self, index: int | slice) -> SampleResult | list[SampleResult]:
        """Read one, or some.

        Raises:
            ResultsInvalid: one of them is damaged.
        """
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            return self._read([numbers])[0]
        return self._read(numbers)

    def __iter__(self) -> Iterator[SampleResult]:
        """Read all, a few hundred at once; raises as `__getitem__`."""
        for start in range(0, len(self), _BATCH):
            yield from self._read(range(len(self))[start : start + _BATCH])

    def _read(self, numbers: Sequence[int]) -> list[SampleResult]:
        keys = [
            (self._ids[number // self._epochs], number % self._epochs)
            for number in numbers
        ]
        names = [name_of(*key) for key in keys]
        stored = {} if self._cell is None else self._cell.records(names)
        return [
            self._result(key, name, stored.get(name))
            for key, name in zip(keys, names, strict=True)
        ]

    def _result(
        self, key: tuple[str, int], name: str, record: Mapping[str, object] | None
    ) -> SampleResult:
        id_, epoch = key
        if record is None:
            why = self._failed.get(name, NOT_ASKED)
            return SampleResult(id=id_, epoch=epoch, unscored=why)
        try:
            result = SampleResult.model_validate(record)
        except ValidationError as error:
            raise self._damaged(name) from error
        if (result.id, result.epoch) != key:
            raise self._damaged(name)
        return result

    def _damaged(self, name: str) -> ResultsInvalid:
        key = "" if self._cell is None else self._cell.key[:12]
        return ResultsInvalid(
            f"the answer to sample '{name}' in cell {key} is damaged",
            hint="`localkit runs rm` removes a run with its answers; ask again then",
        )
