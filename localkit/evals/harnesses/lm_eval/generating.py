"""What a task of lm-eval says about generation, in our terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""Names that tasks give to the same limit; the first that is there counts."""
_SAME_NAME = ("top_k", "top_p", "min_p", "frequency_penalty", "presence_penalty")
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "num_beams": (1,),
    "num_return_sequences": (1,),
    "use_cache": (True, False),
    "early_stopping": (False,),
    "length_penalty": (1, 1.0),
}
"""Options of transformers that tasks spell out, at the values that change nothing."""


def sampling(
    options: Mapping[str, Any], *, seed: int, max_gen_toks: int
) -> SamplingParams:
    """Return ``generation_kwargs`` as sampling params.

    Greedy unless ``do_sample`` or a temperature says otherwise, as everywhere in
    lm-eval; filters are off unless given.

    Args:
        options: As the task or ``--gen_kwargs`` has them.
        seed: For what is sampled, where the options have none.
        max_gen_toks: Most tokens, where the options do not say.

    Raises:
        UsageError: an option asks for what this engine does not do.
    """
    given = {name: value for name, value in options.items() if value is not None}
    until = given.pop("until", ())
    most = [given.pop(name) for name in _MOST_TOKENS if name in given]
    temperature = float(given.pop("temperature", 1.0 if given.get("do_sample") else 0))
    if not given.pop("do_sample", temperature > 0):
        temperature = 0.0
    params: dict[str, Any] = {
        name: given.pop(name) for name in _SAME_NAME if name in given
    }
    params["repeat_penalty"] = float(given.pop("repetition_penalty", 1.0))
    seed = int(given.pop("seed", seed))
    for name, value in given.items():
        if value not in _NEUTRAL.get(name, ()):
            msg = f"the task generates with {name}={value!r}, which does nothing here"
            raise UsageError(msg, hint="change it with gen_kwargs, or choose another")
    stops = (until,) if isinstance(until, str) else tuple(until)
    return SamplingParams(
        **{"top_k": 0, "top_p": 1.0, **params},
        temperature=temperature,
        seed=seed,
        max_tokens=int(most[0]) if most else max_gen_toks,
        stop=tuple(stop for stop in stops if stop),
    )
