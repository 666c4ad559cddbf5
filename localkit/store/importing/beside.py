"""The projector that lies beside a model.

Published models with a projector keep it as ``mmproj….gguf`` in the same folder. It
is taken when it is the only one there whose vectors are as wide as the model's;
whatever is found and left is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import GGUFError, LocalkitError, SourceNotFound
from localkit.gguf.projector import check_projector
from localkit.io.regular import open_regular
from localkit.store.sources.local import gguf_files

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.gguf.info import ModelInfo

_WIDTH = "clip.vision.projection_dim"
_MOST = 16  # precisions of one projector that a repo publishes, generously


class Beside(NamedTuple):
    """What was found beside a model."""

    projector: Path | None
    notes: tuple[str, ...]
    """What was taken or left, and why."""


def projector_beside(path: Path, info: ModelInfo) -> Beside:
    """Return the projector for the model at ``path``, and what to say about it."""
    fitting, notes = [], []
    for file in _candidates(path):
        try:
            check_fits(file, info)
        except LocalkitError as error:
            notes.append(f"{file.name} beside it was left out: {error}")
        else:
            fitting.append(file)
    if len(fitting) == 1:
        notes.append(f"{fitting[0].name} beside it was taken as its projector")
        return Beside(fitting[0], tuple(notes))
    if fitting:
        names = ", ".join(file.name for file in fitting)
        notes.append(
            f"none of the {len(fitting)} projectors beside it was taken ({names}): "
            "name one with --projector"
        )
    return Beside(None, tuple(notes))


def check_fits(projector: Path, info: ModelInfo) -> None:
    """Check that a projector makes vectors that a model can take.

    Raises:
        SourceNotFound: there is no plain file.
        GGUFError: it is no projector, or one for models of another width.
        Unsupported: it cannot be used here.
    """
    open_regular(projector).close()
    width = check_projector(projector).kv.get(_WIDTH)
    if isinstance(width, int) and width != info.n_embd:
        raise GGUFError(
            f"{projector.name} is for models of width {width}, "
            f"and this one has {info.n_embd}",
            hint="give the mmproj file that was published with the model",
            field=_WIDTH,
        )


def _candidates(path: Path) -> list[Path]:
    try:
        names = gguf_files(path.parent)
    except SourceNotFound:
        return []
    found = [one for one in names if "mmproj" in one.name.lower()]
    return [one for one in found if one != path][:_MOST]
