"""Suites: the packaged texts and tasks that are measured together."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from localkit.errors import DatasetInvalid, UsageError
from localkit.evals.tasks.catalog import packaged

if TYPE_CHECKING:
    from collections.abc import Mapping

SUITES = "suites.toml"
Amount = Annotated[int, Field(ge=1)] | Literal["all"]


class _Suite(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    """What it is good for."""
    texts: dict[str, Amount] = {}
    """Chunks of each packaged text."""
    tasks: dict[str, Amount] = {}
    """Samples of each packaged task."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Texts and tasks by name, and how much of each; None: all of it."""

    name: str
    about: str
    texts: Mapping[str, int | None]
    tasks: Mapping[str, int | None]


def suites() -> dict[str, Suite]:
    """Return the packaged suites by name, the smallest first.

    Raises:
        DatasetInvalid: this installation is damaged.
    """
    path = packaged() / SUITES
    try:
        with path.open("rb") as stream:
            tables = TypeAdapter(dict[str, _Suite]).validate_python(
                tomllib.load(stream)
            )
    except (OSError, ValueError) as error:
        msg = f"{path.name} cannot be read: {error}"
        raise DatasetInvalid(msg, hint="install localkit again") from error
    return {
        name: Suite(name, one.about, _amounts(one.texts), _amounts(one.tasks))
        for name, one in tables.items()
    }


def load_suite(name: str) -> Suite:
    """Return a packaged suite.

    Raises:
        UsageError: there is no such suite.
    """
    known = suites()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1) or list(known)
        msg = f"there is no suite '{name}'"
        raise UsageError(msg, hint=f"take {', '.join(near)}")
    return known[name]


def _amounts(given: Mapping[str, Amount]) -> dict[str, int | None]:
    return {name: None if n == "all" else n for name, n in given.items()}
