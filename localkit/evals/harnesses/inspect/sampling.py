"""inspect_ai's generation options, as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.asking.options import as_asked
from localkit.errors import UsageError
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from inspect_ai.model import GenerateConfig

    from localkit.asking.options import Asked

_SAME_NAME = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
)


def as_asked_for(config: GenerateConfig, *, exact: bool, nth: int = 0) -> Asked:
    """Return the options of the ``nth`` of ``num_choices`` answers.

    What is not said is as in `SamplingParams`; nothing is the model's. ``extra_body``
    holds options by our names: ``{"min_p": 0.05}``. Log-probabilities of a prompt are
    computed apart from other requests, so that none of those changes them.

    Raises:
        UsageError: it asks for what this engine does not do.
        GrammarInvalid: the response schema cannot be compiled.
    """
    if config.best_of is not None and config.best_of > 1:
        msg = f"best_of is {config.best_of}"
        raise UsageError(msg, hint="take num_choices, and choose among them")
    options: dict[str, Any] = {
        name: value
        for name in _SAME_NAME
        if (value := getattr(config, name)) is not None
    }
    if nth and config.seed is not None:
        options["seed"] = config.seed + nth
    if config.stop_seqs:
        options["stop"] = tuple(config.stop_seqs)
    if config.logprobs or config.top_logprobs:
        options["top_logprobs"] = config.top_logprobs or 0
    if config.prompt_logprobs is not None:
        # 1 asks for the tokens alone, more for alternatives as well.
        n = config.prompt_logprobs
        options["prompt_logprobs"] = n if n > 1 else 0
        exact = True
    if config.response_schema is not None:
        schema = config.response_schema.json_schema
        options["structure"] = schema.model_dump(exclude_none=True)
    options |= config.extra_body or {}
    options["exact"] = exact
    return as_asked({"params": SamplingParams(), **options}, priority="bulk")


def thinks(config: GenerateConfig) -> bool | None:
    """Return whether the model shall think first; None: as it does."""
    if config.reasoning_effort is None:
        return None
    return str(config.reasoning_effort) != "none"
