"""The seam between an evaluation and whatever answers in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.chat.messages import Message
    from localkit.chat.tools import ToolLike
    from localkit.evals.scorers.choices import ItemScore
    from localkit.evals.scorers.protocol import Answer
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task
    from localkit.events import CancelToken
    from localkit.runtime.params import SamplingParams


class Subject(Protocol):
    """Something that answers. What it cannot do raises `Unsupported`, which says so.

    `local` implements it over a loaded model, `remote` over a URL.
    """

    @property
    def label(self) -> str:
        """Name in tables."""

    @property
    def digest(self) -> str:
        """Names what answers: digest of the weights, or of URL and model name."""

    @property
    def environment(self) -> Mapping[str, str | int]:
        """What may change an answer beside weights and task; part of the cell key."""

    def chat(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        tools: Sequence[ToolLike] = (),
        cancel: CancelToken | None = None,
    ) -> Answer:
        """Answer a conversation through the chat template.

        Raises:
            Unsupported: it has no chat template, or takes no tools.
            ContextTooLong: the conversation leaves no room for an answer.
            RuntimeFailure: it did not answer.
            Cancelled: ``cancel`` was raised; the part of an answer is lost.
        """

    def complete(
        self,
        prompt: str,
        params: SamplingParams,
        *,
        cancel: CancelToken | None = None,
    ) -> Answer:
        """Continue raw text, without a template; raises as `chat`."""

    def choose(
        self, task: Task, sample: Sample, *, cancel: CancelToken | None = None
    ) -> ItemScore:
        """Return the log-likelihoods of a sample's choices.

        Raises:
            Unsupported: it gives no log-probabilities of a prompt.
            Cancelled: ``cancel`` was raised.
        """

    def embed(
        self, texts: Sequence[str], *, cancel: CancelToken | None = None
    ) -> NDArray[np.float32]:
        """Return one unit vector a text, shape (n_texts, n_embd).

        Raises:
            Unsupported: it embeds nothing.
        """

    def close(self) -> None:
        """Let go of it; may be called twice."""
