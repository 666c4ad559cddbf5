"""LocalSubject: a loaded model that answers in an evaluation.

What a model of the store brings along (instructions, messages, parameters,
adapters) is left out: the task says what is asked, and two quants that were stored
with other defaults must not differ by them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localkit.asking.answering import Answering, Question
from localkit.asking.options import Asked
from localkit.chat.answering import prepare
from localkit.chat.template_choice import Choice, choice_of
from localkit.chat.tools import as_tools
from localkit.errors import Cancelled, RuntimeFailure
from localkit.evals.scorers.choices import score_item
from localkit.evals.scorers.protocol import Answer
from localkit.model import Model
from localkit.runtime.params import ServeParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.chat.messages import Message
    from localkit.chat.tools import ToolLike
    from localkit.evals.scorers.choices import ItemScore
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task
    from localkit.events import CancelToken
    from localkit.runtime.params import SamplingParams
    from localkit.runtime.protocol import Session
    from localkit.store import StoredModel


class LocalSubject:
    """A model of the store, loaded; implements `Subject`.

    ``exact`` answers do not depend on what else was asked or cached (design/025).
    """

    def __init__(
        self,
        stored: StoredModel,
        session: Session,
        *,
        label: str = "",
        template: str | None = None,
        exact: bool = True,
    ) -> None:
        """Join model and session, which stays the caller's to close.

        ``template`` is Jinja to ask it through; None: the model's own.
        """
        self.stored = stored
        self.session = session
        self.label = label or str(stored.ref)
        self._template = template
        self._serve = ServeParams(exact=exact)

    def __repr__(self) -> str:
        """Name it as tables do."""
        return f"<LocalSubject {self.label}>"

    @property
    def digest(self) -> str:
        """sha256 of the weights."""
        return self.stored.weights_digest

    @property
    def environment(self) -> Mapping[str, str | int]:
        """What may change a logit, and the context, which may end an answer."""
        fingerprint = self.session.fingerprint
        return {**fingerprint.numeric(), "n_ctx": fingerprint.n_ctx}

    def chat(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        tools: Sequence[ToolLike] = (),
        cancel: CancelToken | None = None,
    ) -> Answer:
        """Answer a conversation through the chat template; raises as `Subject`.

        Raises:
            TemplateError: there is no chat template, or it refuses.
        """
        choice = choice_of(self.stored)
        if self._template is not None:
            choice = Choice("jinja", self._template, "jinja (of the variant)")
        prepared = prepare(
            self.session,
            messages,
            tools=as_tools(tools),
            # Where the template knows no tools they are described in the instructions.
            tool_prompt=bool(tools),
            structured=params.structure is not None,
            choice=choice,
        )
        question = Question(prepared.tokens, prepared.text, tuple(messages), prepared)
        return self._answer(question, params, cancel)

    def complete(
        self,
        prompt: str,
        params: SamplingParams,
        *,
        cancel: CancelToken | None = None,
    ) -> Answer:
        """Continue raw text; control tokens spelled out in it take effect."""
        tokens = self.session.tokenize(prompt, parse_special=True)
        return self._answer(Question(tokens, prompt), params, cancel)

    def choose(
        self, task: Task, sample: Sample, *, cancel: CancelToken | None = None
    ) -> ItemScore:
        """Return the log-likelihoods of a sample's choices."""
        return score_item(self.session, task, sample, cancel=cancel)

    def embed(
        self, texts: Sequence[str], *, cancel: CancelToken | None = None
    ) -> NDArray[np.float32]:
        """Return one unit vector a text, shape (n_texts, n_embd)."""
        model = Model(self.stored, self.session)
        return model.embed(list(texts), cancel=cancel)

    def close(self) -> None:
        """Do nothing: who loaded the session closes it."""

    def _answer(
        self, question: Question, params: SamplingParams, cancel: CancelToken | None
    ) -> Answer:
        asked = Asked(params, self._serve, capped=False)
        began = time.perf_counter()
        answering = Answering(self.stored, self.session, question, asked, cancel)
        result = answering.wait()
        total_s = time.perf_counter() - began
        if result.partial:
            msg = "the answer was stopped"
            raise Cancelled(msg, hint="run it again: it goes on from here")
        if result.finish_reason == "error":
            msg = f"{self.label} failed before its answer was whole"
            raise RuntimeFailure(msg, hint=result.note or "ask it again")
        return Answer(
            text=result.text,
            finish_reason=result.finish_reason,
            tool_calls=result.tool_calls,
            thinking=result.thinking,
            n_prompt=result.usage.n_prompt,
            n_generated=result.usage.n_generated,
            ttft_s=result.timings.ttft_s,
            total_s=total_s,
            notes=(result.note,) if result.note else (),
        )
