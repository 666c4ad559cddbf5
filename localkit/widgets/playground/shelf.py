"""What a playground keeps: ratings, votes, versions, presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.history.presets import Presets
from localkit.history.ratings import Rating, Ratings
from localkit.history.versions import Versions
from localkit.history.votes import Votes
from localkit.render.text import one_line
from localkit.widgets.playground.draft import as_draft
from localkit.widgets.playground.turns import Answer

if TYPE_CHECKING:
    from localkit.history.database import History
    from localkit.history.versions import Version
    from localkit.history.votes import Vote
    from localkit.widgets.playground.desk import Desk
    from localkit.widgets.playground.draft import Draft
    from localkit.widgets.playground.pairs import Pair
    from localkit.widgets.playground.round import Round, Verdict
    from localkit.widgets.playground.turns import Turn

_TITLE_CHARS = 60
_N_LISTED = 30


class Shelf:
    """The part of the history that belongs to one playground."""

    def __init__(self, history: History, name: str) -> None:
        """Read and write under the playground's name."""
        self.ratings = Ratings(history, name)
        self.votes = Votes(history, name)
        self.versions = Versions(history, name)
        self.presets = Presets(history)
        self.has_voted = False
        """Whether there was a vote since it was opened."""
        self._pairs: list[Pair] | None = None
        self._listed: list[tuple[int, str, str]] | None = None
        self._n_liked: int | None = None

    def rate(self, turn: Turn, score: int, comment: str) -> None:
        """Keep what somebody thinks of an answer; 0 takes it back.

        Raises:
            UsageError: there is no answer to rate, or no such score.
        """
        answer = turn.answer
        if not answer.has_ended or not answer.text:
            msg = "there is no answer to rate"
            raise UsageError(msg, hint="wait for its end")
        if score not in (-1, 0, 1):
            msg = f"the rating is {score}"
            raise UsageError(msg, hint="rate -1, 0 or 1")
        self._n_liked = None
        if score == 0:
            if answer.rating:
                self.ratings.forget(answer.rating)
            answer.rating, answer.score, answer.comment = 0, 0, ""
            return
        rating = self.ratings.put(
            Rating(
                prompt=turn.said,
                candidate=answer.candidate,
                answer=answer.text,
                score=score,
                comment=comment,
                id=answer.rating,
            )
        )
        answer.rating, answer.score, answer.comment = rating.id, score, comment

    def vote(self, run: Round, verdict: Verdict) -> list[Vote]:
        """Keep which answer of a run is best.

        Raises:
            UsageError: it cannot be voted on.
        """
        was = run.verdict
        votes = run.vote(verdict)
        try:
            stored = self.votes.add(votes)
        except BaseException:
            run.verdict = was
            raise
        self._pairs, self.has_voted = None, True
        return stored

    def pairs(self) -> list[Pair]:
        """Return what all votes say about each pair of candidates."""
        if self._pairs is None:
            votes = self.votes.all()
            self._pairs = []
            if votes:  # else nothing needs scipy
                from localkit.widgets.playground.pairs import pairs

                self._pairs = pairs(votes)
        return self._pairs

    def keep(self, desk: Desk, run: Round) -> int:
        """Store a run as a version and return its id."""
        self._listed = None
        return self.versions.add(_body(desk, run))

    def listed(self) -> list[tuple[int, str, str]]:
        """Return id, time and title of the latest versions, the newest first."""
        if self._listed is None:
            self._listed = [
                (one.id, one.made, _title(one))
                for one in self.versions.latest(_N_LISTED)
            ]
        return self._listed

    def take_up(self, desk: Desk, version: Version) -> None:
        """Lay out a version: its prompt, its columns, its answers and their ratings.

        Raises:
            UsageError: it is of another form.
        """
        desk.lay_out(draft_of(version))
        try:
            for stored in version.body.get("answers", []):
                said = [(one["said"], _answer(one)) for one in stored["turns"]]
                desk.restore(desk.columns[stored["column"]], said)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            msg = f"version {version.id} holds something else than answers"
            raise UsageError(msg, hint="open another one") from error
        rated = {(one.prompt, one.answer): one for one in self.ratings.all()}
        for turn in (turn for column in desk.columns for turn in column.branches):
            answer = turn.answer
            rating = rated.get((turn.said, answer.text))
            same = rating and rating.candidate.get("ref") == answer.candidate.get("ref")
            answer.rating, answer.score, answer.comment = (
                (rating.id, rating.score, rating.comment)
                if rating and same
                else (0, 0, "")
            )

    def n_liked(self) -> int:
        """Return how many answers are liked."""
        if self._n_liked is None:
            self._n_liked = sum(one.score > 0 for one in self.ratings.all())
        return self._n_liked


def draft_of(version: Version) -> Draft:
    """Return what a version asked.

    Raises:
        UsageError: it is of another form.
    """
    draft = version.body.get("draft")
    if not isinstance(draft, dict):
        msg = f"version {version.id} holds no prompt"
        raise UsageError(msg, hint="open another one")
    return as_draft(draft)


def _body(desk: Desk, run: Round) -> dict[str, Any]:
    answers = [
        {
            "column": desk.columns.index(column),
            "turns": [_stored(one) for one in turn.path],
        }
        for column, turn in run.turns
        if column in desk.columns
    ]
    return {
        "draft": desk.whole().model_dump(exclude_defaults=True),
        "blind": run.blind,
        "answers": answers,
    }


def _stored(turn: Turn) -> dict[str, Any]:
    answer = turn.answer
    return {
        "digest": turn.digest,
        "parent": turn.parent.digest if turn.parent else None,
        "said": turn.said,
        "phase": answer.phase,
        "text": answer.text,
        "thinking": answer.thinking,
        "note": answer.note,
        "finish_reason": answer.finish_reason,
        "counts": answer.counts,
        "usage": answer.usage,
        "candidate": answer.candidate,
        "rating": answer.rating,
        "score": answer.score,
        "comment": answer.comment,
    }


def _answer(stored: dict[str, Any]) -> Answer:
    names = Answer.__dataclass_fields__.keys() - {"result"}
    return Answer(**{name: stored[name] for name in names if name in stored})


def _title(version: Version) -> str:
    draft = version.body.get("draft")
    prompt = draft.get("prompt", "") if isinstance(draft, dict) else ""
    return one_line(str(prompt), limit=_TITLE_CHARS) or "(no prompt)"
