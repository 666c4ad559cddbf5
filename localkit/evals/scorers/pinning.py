"""Scorers that ask a model, held to the model they mean today.

A name can mean another model tomorrow, and a score by another judge is another
score: so the digest goes into the task's, before anything is stored under it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from localkit.remote.address import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.evals.scorers.protocol import Scorer
    from localkit.evals.tasks.task import Task
    from localkit.kit import Kit


@runtime_checkable
class AsksModel(Protocol):
    """A scorer that asks a model."""

    @property
    def model(self) -> str:
        """Ref or ``MODEL@URL``."""

    @property
    def digest(self) -> str:
        """Of the model; empty until it is pinned."""

    def pinned(self, digest: str) -> Scorer:
        """Return the same scorer, held to the model of that digest."""


def pinned(task: Task, digest_of: Callable[[str], str]) -> Task:
    """Return ``task`` with every scorer held to the model that its name means now.

    Args:
        task: What will be asked.
        digest_of: Returns what `Subject.digest` is for a ref or URL, without
            loading where it can.

    Raises:
        LocalkitError: a model is not there.
    """
    scorers = tuple(
        one.pinned(digest_of(one.model))
        if isinstance(one, AsksModel) and not one.digest
        else one
        for one in task.scorers
    )
    return task if scorers == task.scorers else replace(task, scorers=scorers)


def models_of(scorers: Sequence[Scorer]) -> tuple[str, ...]:
    """Return the refs and URLs of the models that ``scorers`` ask, each once."""
    asked = (one.model for one in scorers if isinstance(one, AsksModel))
    return tuple(dict.fromkeys(asked))


def digest_in(kit: Kit) -> Callable[[str], str]:
    """Return what finds the digest behind a ref or URL; nothing is loaded for it.

    What it returns raises `ModelNotFound`, or `RemoteError` where a server is gone.
    """

    def digest_of(name: str) -> str:
        if not is_address(name):
            return kit.resolve(name).weights_digest
        from localkit.remote.model import open_model

        with open_model(name) as model:
            return model.digest

    return digest_of
