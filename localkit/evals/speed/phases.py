"""One sample of the two phases, by llama-bench's protocol.

Source: llama.cpp, tools/llama-bench; the session's ``time_prefill`` and
``time_decode`` do the work.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from localkit.evals.speed.turns import Lane

if TYPE_CHECKING:
    from localkit.evals.comparing.family import Candidate
    from localkit.evals.running.spec import SpeedSpec
    from localkit.evals.speed.spec import DepthSpec
    from localkit.runtime.protocol import LoadParams, Session


def phases_lane(
    candidate: Candidate, params: LoadParams, spec: SpeedSpec | DepthSpec
) -> Lane:
    """Return the lane that times both phases as ``spec`` says."""
    # Plain prefill starts from an empty context whatever the decode's depth is.
    prefill_depth = spec.depth if spec.kind == "depth" else 0
    return Lane(
        candidate,
        params,
        spec,
        partial(_warm_up, spec=spec, prefill_depth=prefill_depth),
        partial(time_phases, spec=spec, prefill_depth=prefill_depth),
    )


def _warm_up(session: Session, spec: SpeedSpec | DepthSpec, prefill_depth: int) -> None:
    """Touch the weights as llama-bench does: the whole prompt, then one token."""
    if spec.n_prompt:
        session.time_prefill(spec.n_prompt, depth=prefill_depth)
    if spec.n_gen:
        session.time_decode(1, depth=spec.depth)


def time_phases(
    session: Session, spec: SpeedSpec | DepthSpec, prefill_depth: int = 0
) -> dict[str, float]:
    """Return tokens per second of each phase; a phase of no tokens is left out."""
    rates = {}
    if spec.n_prompt:
        seconds = session.time_prefill(spec.n_prompt, depth=prefill_depth)
        rates["prefill_per_s"] = spec.n_prompt / seconds
    if spec.n_gen:
        seconds = session.time_decode(spec.n_gen, depth=spec.depth)
        rates["decode_per_s"] = spec.n_gen / seconds
    return rates
