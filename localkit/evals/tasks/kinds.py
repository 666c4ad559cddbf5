"""The words of a task: how it asks, how it ranks, how its epochs are put together."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Mapping

Norm = Literal["none", "token", "char", "byte"]
NORMS: Mapping[Norm, str] = {
    "none": "Σ log p of the choice: lm-evaluation-harness `acc`",
    "token": "÷ tokens scored, from the first that tells the choices apart: "
    "llama-perplexity `--hellaswag`",
    "char": "÷ characters of the choice: lm-evaluation-harness `acc_norm`",
    "byte": "÷ UTF-8 bytes of the choice: lm-evaluation-harness `acc_bytes`",
}
"""What a choice's log-likelihood is divided by, and the tool that does the same."""

Method = Literal["choices", "generate", "retrieve"]
"""How a model is asked: log-likelihoods of choices, a written answer, embeddings."""

Reduction = Literal["mean", "pass@k", "pass^k"]
"""What the epochs of a sample make together: the mean, or the chance that at least
one of ``k`` answers is right (`pass@k`), or that all ``k`` are (`pass^k`)."""

GREEDY = SamplingParams(temperature=0.0, max_tokens=256, seed=0)
"""How written answers are sampled unless a task says otherwise."""


class Exchange(NamedTuple):
    """A question with its answer, shown before the one that is asked."""

    prompt: str
    answer: str
    fields: Mapping[str, Any] = MappingProxyType({})
    """The row it was made of, so that another prompt form can be filled in."""


class Document(NamedTuple):
    """A text of the corpus that a retrieval task searches."""

    id: str
    text: str
