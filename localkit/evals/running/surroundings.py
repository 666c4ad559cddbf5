"""What scorers may use beside sample and answer: judges, embedders, the stop sign."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from localkit.evals.scorers.protocol import Surroundings
from localkit.remote.address import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.running.bench import Bench
    from localkit.evals.subjects.protocol import Subject


def open_subject(bench: Bench, name: str) -> Subject:
    """Return what a model ref or an address means, ready to be asked.

    Raises:
        ModelNotFound: no such ref.
        RuntimeFailure: it cannot be loaded or reached.
    """
    if is_address(name):
        from localkit.evals.subjects.remote import open_remote

        return open_remote(name)
    from localkit.evals.subjects.local import LocalSubject

    model = bench.kit.load(name, on_progress=bench.on_progress, cancel=bench.cancel)
    return LocalSubject(model.stored, model.session)


@contextmanager
def surroundings(bench: Bench, *, allow_code: bool = False) -> Iterator[Surroundings]:
    """Give the surroundings of scorers; what they open is let go of at the end."""
    opened: dict[str, Subject] = {}

    def once(name: str) -> Subject:
        if name not in opened:
            opened[name] = open_subject(bench, name)
        return opened[name]

    try:
        yield Surroundings(once, bench.cancel, allow_code)
    finally:
        for subject in opened.values():
            subject.close()
