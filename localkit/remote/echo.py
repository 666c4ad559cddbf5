"""Does a server really say how likely a prompt is?

Some take ``echo`` and ``logprobs`` and give the log-probabilities of something else:
what comes of it looks like a model that guesses (llama.cpp issue 27174; lm-eval's
`gguf` model). So a server is believed once it agrees with itself: the token that it
generates after a text has, in the echo of the text with that token, the probability
that it had when it was generated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from localkit.errors import RemoteError
from localkit.remote.values import RemoteOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.events import CancelToken
    from localkit.remote.values import Echoed, Speaks

_PROBES = (
    "The capital of France is Paris. The capital of Germany is",
    "1 2 3 4 5 6 7 8 9 10 11",
    "def add(a, b):\n    return a",
    "Once upon a time there was a",
)
_ENOUGH = 2
# A prompt in one piece and a token after it are computed in batches of other shape:
# 0.43 nats apart at most in what was measured (design/025), far less as a rule.
_SAME, _OTHER = 0.1, 0.5


def why_not(speaks: Speaks, *, cancel: CancelToken | None = None) -> str:
    """Return why what a server says of prompts cannot be used; empty if it can.

    Raises:
        RemoteError: it cannot be reached.
        Cancelled: ``cancel`` was raised.
    """
    n_agreed = 0
    options = RemoteOptions(temperature=0.0, max_tokens=1, top_logprobs=0)
    for probe in _PROBES:
        try:
            echoed = speaks.echo(probe, cancel=cancel)
        except RemoteError as error:
            if error.status is None or error.status >= 500:
                raise
            return f"it refuses to echo a prompt: {error}"
        if echoed is None or not _is_whole(echoed, probe):
            return "it does not echo a prompt with log-probabilities"
        answer = speaks.complete(probe, options, cancel=cancel)
        if not answer.logprobs or not answer.text:
            continue
        token, logprob = answer.logprobs[0]
        again = speaks.echo(probe + answer.text, cancel=cancel)
        # With another token at its end the text was split in another way.
        if not again or len(again) != len(echoed) + 1 or again[-1].text != token:
            continue
        last = again[-1].logprob
        if last is None or abs(last - logprob) > _OTHER:
            said = "nothing" if last is None else f"{last:.2f}"
            return (
                f"it says {logprob:.2f} when it generates a token and {said} "
                "when it echoes it"
            )
        n_agreed += abs(last - logprob) < _SAME
        if n_agreed == _ENOUGH:
            return ""
    return "its echo could not be checked against what it generates"


def _is_whole(echoed: Sequence[Echoed], text: str) -> bool:
    """Return whether every token of ``text`` but the first has a log-probability."""
    spelled = "".join(one.text for one in echoed)
    values = [one.logprob for one in echoed[1:]]
    fine = all(one is not None and math.isfinite(one) and one < 1e-3 for one in values)
    return spelled.endswith(text) and len(values) > 2 and fine
