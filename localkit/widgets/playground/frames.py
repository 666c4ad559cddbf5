"""Tables of a playground, as DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.widgets.playground.pairs import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from localkit.history.ratings import Rating
    from localkit.history.votes import Vote
    from localkit.widgets.playground.pairs import Pair
    from localkit.widgets.playground.turns import Column


def ratings_frame(ratings: Sequence[Rating]) -> pd.DataFrame:
    """Return a row a rating."""
    import pandas as pd

    columns = ["made", "prompt", "candidate", "quant", "answer", "score", "comment"]
    rows = [
        (
            one.made,
            one.prompt,
            label(one.candidate),
            one.candidate.get("quant", ""),
            one.answer,
            one.score,
            one.comment,
        )
        for one in ratings
    ]
    return pd.DataFrame(rows, columns=columns)


def votes_frame(votes: Sequence[Vote]) -> pd.DataFrame:
    """Return a row a vote."""
    import pandas as pd

    columns = ["made", "prompt", "first", "second", "winner", "blind"]
    columns += ["first_answer", "second_answer"]
    rows = [
        (
            one.made,
            one.prompt,
            label(one.first),
            label(one.second),
            one.winner,
            one.blind,
            one.first_answer,
            one.second_answer,
        )
        for one in votes
    ]
    return pd.DataFrame(rows, columns=columns)


def pairs_frame(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return a row a pair of candidates; ``share`` is of those votes that decided."""
    import pandas as pd

    rows = [
        {
            "first": one.first,
            "second": one.second,
            "n_first": one.n_first,
            "n_second": one.n_second,
            "n_tie": one.n_tie,
            "n_neither": one.n_neither,
            "n_blind": one.n_blind,
            "share": one.share.value,
            "share_low": one.share.low,
            "share_high": one.share.high,
            "p_value": one.p_value,
            "verdict": one.verdict,
        }
        for one in pairs
    ]
    return pd.DataFrame(rows)


def versions_frame(listed: Sequence[tuple[int, str, str]]) -> pd.DataFrame:
    """Return a row a version."""
    import pandas as pd

    return pd.DataFrame(list(listed), columns=["version", "made", "prompt"])


def answers_frame(columns: Sequence[Column]) -> pd.DataFrame:
    """Return a row a column: who was asked what, the last answer and its figures."""
    import pandas as pd

    return pd.DataFrame([_answer(one) for one in columns])


def _answer(column: Column) -> dict[str, Any]:
    turn = column.branches.last
    row: dict[str, Any] = {
        "model": column.setup.ref,
        "quant": column.quant,
        "params": column.setup.words(),
        "prompt": None,
        "text": None,
        "phase": None,
        "score": None,
        "comment": None,
    }
    if turn is None:
        return row
    answer = turn.answer
    row |= {
        "prompt": turn.said,
        "text": answer.text,
        "phase": answer.phase,
        "score": answer.score,
        "comment": answer.comment,
    }
    if answer.result is not None:
        figures = answer.result.to_frame().iloc[0].to_dict()
        row |= {str(name): one for name, one in figures.items() if name not in row}
    return row
