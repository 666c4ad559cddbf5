"""The scorer of a task whose author named none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.numbers import numbers_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.scorers.protocol import Scorer
    from localkit.evals.tasks.sample import Sample

MAX_LABELS = 10
MAX_LABEL_WORDS = 3
SHORT_WORDS = 5


def default_scorer(name: str, samples: Sequence[Sample]) -> tuple[Scorer, str]:
    """Return a scorer that suits the targets, and a sentence that says which.

    Checks, choices, numbers, names of classes, short answers, texts: the first of
    these that all samples are. See design/015.

    Raises:
        DatasetInvalid: there is nothing to score against.
    """
    if all(isinstance(one.fields.get("checks"), list | str) for one in samples):
        from localkit.evals.scorers.instructions import Instructions

        return Instructions(), _said("instructions", "every row has checks")
    if all(one.choices for one in samples):
        from localkit.evals.scorers.choice import Choice

        return Choice(), _said("choice", "every row has choices")
    without = next((one for one in samples if not one.target), None)
    if without is not None:
        msg = f"sample {without.id} of {name} has no target and no scorer is named"
        raise DatasetInvalid(msg, hint="give target= or scorers=")
    targets = [text for one in samples for text in one.target]
    if all(_is_number(text) for text in targets):
        from localkit.evals.scorers.numeric import Numeric

        return Numeric(), _said(
            "numeric", "every target is a number; the last number of an answer counts"
        )
    labels = sorted(set(targets))
    n_words = [len(text.split()) for text in targets]
    if (
        len(labels) <= MAX_LABELS
        and len(targets) >= 3 * len(labels)
        and len({label.casefold() for label in labels}) == len(labels) > 1
        and max(n_words) <= MAX_LABEL_WORDS
    ):
        from localkit.evals.scorers.choice import Choice

        return Choice(labels=tuple(labels)), _said(
            "choice", f"the targets are {len(labels)} classes; an answer names one"
        )
    if max(n_words) <= SHORT_WORDS:
        from localkit.evals.scorers.includes import Includes

        return Includes(), _said(
            "includes",
            "the targets are short; an answer that has one as whole words is right",
        )
    from localkit.evals.scorers.translation import Chrf

    return Chrf(), _said(
        "chrf", "the targets are texts; the score is their overlap in characters"
    )


def _is_number(text: str) -> bool:
    text = text.strip()
    # 007 is a name.
    if re.match(r"0[0-9]", text):
        return False
    # Most numbers are plain; the search for all others takes 40 times as long.
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
        return True
    found = numbers_in(text)
    return len(found) == 1 and found[0][0] == text.rstrip("%").rstrip()


def _said(scorer: str, reason: str) -> str:
    return f"Scored by {scorer}: {reason}."
