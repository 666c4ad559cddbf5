"""An answer token by token; two quants side by side; what another token leads to."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from localkit.errors import Cancelled, UsageError
from localkit.evals.token_views.answering import look_at
from localkit.evals.token_views.branch import Branch, grow
from localkit.events import OnProgress, no_progress
from localkit.kit import default_kit
from localkit.render.text import clean
from localkit.widgets.feed import Feed
from localkit.widgets.panel import Panel, Record
from localkit.widgets.tokens.actions import AnyAction, Forget, Freeze, Stop, WhatIf
from localkit.widgets.tokens.record import record
from localkit.widgets.tokens.state import answer_state, branch_state
from localkit.widgets.work import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from localkit.asking.asker import Conversation
    from localkit.chat.result import Result
    from localkit.evals.token_views.answer_tokens import AnswerTokens
    from localkit.evals.token_views.answering import Looked
    from localkit.events import CancelToken
    from localkit.kit import Kit
    from localkit.model import Model

MAX_BRANCHES = 20
"""More make the view too long to read; one must be forgotten first."""
MAX_TOP = 20
"""Most alternatives of a position."""


def tokens(
    ref: str,
    prompt: Conversation | None = None,
    *,
    against: str | None = None,
    text: str | Result | None = None,
    system: str | None = None,
    max_tokens: int = 64,
    seed: int = 0,
    temperature: float = 0.0,
    top: int = 5,
    raw: bool = False,
    kit: Kit | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> TokenView:
    """Answer a prompt and show what the model thought of each token.

    Args:
        ref: A model ref.
        prompt: What the user says, a conversation, or raw text; may be left out where
            ``text`` is a result.
        against: Ref of another quant of the same model. It is given the same tokens,
            for the KL divergence at each, and answers by itself where no text is given.
        text: An answer to look at, or the result of one, in place of a new one.
        system: Instructions to put first; by default the model's own, if any.
        max_tokens: Most tokens of an answer, and of what follows another token.
        seed: Of the sampling.
        temperature: 0 takes the most likely token every time.
        top: Alternatives at each position, 1 to 20.
        raw: Continue the prompt as it is, without the chat template.
        kit: Whose store to use; None: the default one.
        on_progress: Told how far loading is.
        cancel: Raise it to stop.

    Raises:
        ModelNotFound: no such ref.
        NotComparable: the two models do not read the same tokens.
        ContextTooLong: prompt and answer exceed a context.
        UsageError: there is no prompt; or the options contradict each other.
    """
    if not 1 <= top <= MAX_TOP:
        msg = f"top is {top}"
        raise UsageError(msg, hint=f"ask for 1 to {MAX_TOP} alternatives")
    kit = kit or default_kit()
    model = kit.load(ref, on_progress=on_progress, cancel=cancel)
    other = None
    if against is not None:
        other = kit.load(against, on_progress=on_progress, cancel=cancel)
    looked = look_at(
        model,
        prompt,
        against=other,
        text=text,
        system=system,
        max_tokens=max_tokens,
        seed=seed,
        temperature=temperature,
        top=top,
        raw=raw,
        cancel=cancel,
    )
    return TokenView(looked, model, other, top=top, max_tokens=max_tokens)


class TokenView:
    """A widget: tokens with their figures, and branches from any of them."""

    def __init__(
        self,
        looked: Looked,
        model: Model,
        other: Model | None = None,
        *,
        top: int = 5,
        max_tokens: int = 64,
    ) -> None:
        """Show ``looked``; ``model``, or ``other``, goes on from other tokens."""
        self.answer: AnswerTokens = looked.answer
        self._looked = looked
        self._models = (model,) if other is None else (model, other)
        self._top = top
        self._max_tokens = max_tokens
        self._branches: dict[str, Branch] = {}
        self._growing: dict[str, Any] | None = None
        self._n_started = 0
        self._fixed = answer_state(self.answer)
        self.panel = Panel("tokens", self, AnyAction)
        self._feed = Feed(self.panel.tell)
        self.worker = Worker(
            on_error=self.panel.fail,
            on_change=lambda: self.panel.refresh(keep_error=True),
        )

    def __repr__(self) -> str:
        """Name the models and count the tokens."""
        against = f" against {self.answer.against}" if self.answer.against else ""
        return f"<TokenView {self.answer.ref}{against} n={len(self.answer.tokens)}>"

    def _ipython_display_(self) -> None:
        self.panel.show()

    @property
    def branches(self) -> tuple[Branch, ...]:
        """What was grown, oldest first."""
        return tuple(self._branches.values())

    def what_if(self, at: int, token: int | str, *, against: bool = False) -> Branch:
        """Put another token at position ``at``, and return what follows it.

        Args:
            at: Position in the answer, from 0; its length goes on behind the end.
            token: Id of the token, or a text that is exactly one token.
            against: Let the other model go on.

        Raises:
            UsageError: there is no such position, token or model.
        """
        id_ = self._token(token) if isinstance(token, str) else token
        branch = self._grow(at, id_, int(against), lambda _: None, None)
        self._add(branch)
        return branch

    def to_frame(self) -> pd.DataFrame:
        """Return one row a token; probabilities as natural logs, entropy in nats."""
        import pandas as pd

        rows = []
        for at, one in enumerate(self.answer.tokens):
            here, there = one.figures.here, one.figures.there
            row = {
                "at": at,
                "id": one.figures.token,
                "token": one.spelling.shown(),
                "logprob": here.logprob,
                "rank": here.rank,
                "entropy": here.entropy,
            }
            if there is not None:
                row |= {
                    "logprob_against": there.logprob,
                    "rank_against": there.rank,
                    "kl": one.figures.kl,
                    "same_top": one.figures.same_top,
                }
            rows.append(row)
        return pd.DataFrame(rows)

    def stop(self) -> None:
        """End the branch that grows; what there is of it stays."""
        self.worker.stop()

    def forget(self, branch: str) -> None:
        """Drop a branch by its name; one that is not there is no error."""
        self._branches = {
            name: one for name, one in self._branches.items() if name != branch
        }
        self.panel.refresh()
        self.panel.keep()

    def freeze(self) -> None:
        """Leave the static record, and take the controls away."""
        self.stop()
        self.panel.freeze()

    def close(self) -> None:
        """Stop, and take the widget out of the front end; the record stays."""
        self.stop()
        self.panel.close()

    def state(self) -> dict[str, Any]:
        """Return what the view draws."""
        return self._fixed | {
            "branches": [
                branch_state(branch, self.answer, name)
                for name, branch in self._branches.items()
            ],
            "growing": self._growing,
            "busy": self.worker.busy,
        }

    def record(self) -> Record:
        """Return the view as ordinary output."""
        return record(self.answer, self.branches, self._looked.receipts)

    def act(self, action: WhatIf | Stop | Forget | Freeze) -> None:
        """Do what the front end asks for."""
        match action:
            case WhatIf():
                self._start(action)
            case Stop():
                self.stop()
            case Forget():
                self.forget(action.branch)
            case Freeze():
                self.freeze()

    def _start(self, action: WhatIf) -> None:
        """Grow a branch on the worker's thread."""
        if self.worker.busy:
            msg = "a branch is growing"
            raise UsageError(msg, hint="stop it, or wait for its end")
        self._check(action.at, action.token, action.model)

        def job(cancel: CancelToken) -> None:
            name = self._next_name()
            ref = str(self._models[action.model].stored.ref)
            self._feed.forget(name)
            self._growing = {"name": name, "at": action.at, "ref": clean(ref)}
            self.panel.refresh()
            try:
                branch = self._grow(
                    action.at,
                    action.token,
                    action.model,
                    lambda text: self._feed.add(name, clean(text)),
                    cancel,
                )
                self._put(name, branch)
            except Cancelled:
                return
            finally:
                self._feed.flush()
                self._growing = None
            self.panel.keep()

        self.worker.do(job)

    def _grow(
        self,
        at: int,
        token: int,
        model: int,
        on_text: Callable[[str], None],
        cancel: CancelToken | None,
    ) -> Branch:
        self._check(at, token, model)
        one = self._models[model]
        return grow(
            one.session,
            str(one.stored.ref),
            self.answer.prompt,
            self.answer.ids,
            at,
            token,
            dataclasses.replace(self._looked.sampling, max_tokens=self._max_tokens),
            n_top=self._top,
            on_text=on_text,
            cancel=cancel,
        )

    def _check(self, at: int, token: int, model: int) -> None:
        if len(self._branches) >= MAX_BRANCHES:
            msg = f"there are {MAX_BRANCHES} branches"
            raise UsageError(msg, hint="forget one first")
        if model >= len(self._models):
            msg = "there is no other model"
            raise UsageError(msg, hint="give against=… to compare with one")
        if at > len(self.answer.tokens) or token >= self._models[0].session.n_vocab:
            msg = f"there is no token {token} to put at position {at}"
            hint = f"the answer has {len(self.answer.tokens)} tokens"
            raise UsageError(msg, hint=hint)

    def _token(self, text: str) -> int:
        """Return the id of a text that is one token.

        Raises:
            UsageError: it is none, or several.
        """
        for one in self.answer.tokens:
            for other in (*one.top, *one.top_there):
                if other.spelling.text == text:
                    return other.token
        ids = self._models[0].session.tokenize(text, add_special=False)
        if len(ids) != 1:
            msg = f"{text[:40]!r} is {len(ids)} tokens"
            raise UsageError(msg, hint="give one token, by its id or its text")
        return ids[0]

    def _add(self, branch: Branch) -> None:
        self._put(self._next_name(), branch)
        self.panel.refresh()
        self.panel.keep()

    def _put(self, name: str, branch: Branch) -> None:
        # Another thread may be reading the one before.
        self._branches = self._branches | {name: branch}

    def _next_name(self) -> str:
        self._n_started += 1
        return f"branch {self._n_started}"
