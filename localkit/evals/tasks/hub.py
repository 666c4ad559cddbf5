"""Rows of a data set of the Hugging Face Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.errors import DatasetInvalid

if TYPE_CHECKING:
    from localkit.evals.tasks.datasets import Row

# Those of `datasets`' own readers that hold nothing but text and numbers. Others
# unpack archives, decode media or, in some releases, unpickle.
READERS = frozenset({"arrow", "csv", "json", "parquet", "text"})


def read_hub(
    dataset: str,
    *,
    split: str,
    subset: str | None = None,
    revision: str | None = None,
) -> list[Row]:
    """Return the rows of one split of a data set, by its name on the Hub.

    The `datasets` library gets it, from its cache where it lies there; a folder of
    that name in the working directory goes first, as it does for that library.

    Args:
        dataset: ``owner/name``.
        split: Part of it.
        subset: Its configuration; None: the only one.
        revision: Its commit or branch.

    Raises:
        DatasetInvalid: the library is not installed, the data set, subset or split
            does not exist or cannot be reached, or its files are of a kind that is
            not read.
    """
    try:
        import datasets
    except ImportError as error:
        msg = f"data set '{dataset}' is on the Hub, and `datasets` is not installed"
        raise DatasetInvalid(msg, hint="pip install 'localkit[datasets]'") from error
    from localkit.evals.tasks.datasets import read_rows

    try:
        builder = datasets.load_dataset_builder(dataset, subset, revision=revision)
        _check_reader(dataset, builder)
        loaded = datasets.load_dataset(dataset, subset, split=split, revision=revision)
    except DatasetInvalid:
        raise
    # The library lets errors of httpx, huggingface_hub, pyarrow and its own through.
    except Exception as error:
        said = str(error).strip().splitlines()[:1] or [type(error).__name__]
        msg = f"data set '{dataset}' could not be loaded: {said[0][:200]}"
        hint = (
            "check name, subset, split and the network; without one, load it once "
            "where there is one, or give a file as data"
        )
        raise DatasetInvalid(msg, hint=hint) from error
    return read_rows(loaded)


def _check_reader(dataset: str, builder: Any) -> None:
    modules = [kind.__module__ for kind in type(builder).__mro__]
    prefix = "datasets.packaged_modules."
    readers = {
        module.removeprefix(prefix).partition(".")[0]
        for module in modules
        if module.startswith(prefix)
    }
    if not readers or not readers <= READERS:
        kind = ", ".join(sorted(readers)) or "code of its own"
        msg = f"data set '{dataset}' is read by {kind}"
        hint = f"take one of {', '.join(sorted(READERS))}, or convert it to a file"
        raise DatasetInvalid(msg, hint=hint)
