"""What clients see who ask at once: waiting times, and tokens per second together.

Each client asks again as soon as it is answered, through the path that every
answer takes: queue, slots, continuous batching, sampling. Prompts are random
tokens, so that none reuses another's prefix, and no answer may end early.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from localkit.evals.comparing.row import ClientSpeed, Spread
from localkit.evals.speed.conditions import noise, spread
from localkit.evals.speed.turns import Lane, same_threads, take_turns
from localkit.runtime.protocol import LoadParams, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.running.bench import Bench
    from localkit.evals.speed.spec import ClientsSpec
    from localkit.runtime.protocol import Generation, Session


class Percentiles(NamedTuple):
    """Of waiting times, in seconds."""

    p50: float
    p95: float
    p99: float


class Latency(NamedTuple):
    """What so many clients saw."""

    n_clients: int
    n_answers: int
    ttft: Percentiles
    """From a request to its first token, waiting for others included."""
    itl: Percentiles
    """Between two tokens of an answer, as the engine had them."""
    decode: Spread
    """Generated tokens per second of all clients together, their prompts' time
    included; one figure a repetition."""
    noise: str

    def speed(self) -> ClientSpeed:
        """Return the figures that stand in a row."""
        return ClientSpeed(
            n_clients=self.n_clients,
            ttft_p50_s=self.ttft.p50,
            ttft_p95_s=self.ttft.p95,
            itl_p50_s=self.itl.p50,
            itl_p95_s=self.itl.p95,
            decode_per_s=self.decode.median,
        )


def measure_clients(
    bench: Bench, candidates: Sequence[Candidate], specs: Sequence[ClientsSpec]
) -> dict[str, tuple[Latency, ...]]:
    """Let so many clients ask each candidate, the candidates in turn; by label.

    The specs differ in the number of clients alone.

    Raises:
        Cancelled: stopping was asked for; finished repetitions are stored.
        LoadFailed: the engine refuses a candidate.
    """
    if not specs:
        return {candidate.label: () for candidate in candidates}
    params = same_threads(bench, candidates[0], clients_params(specs))
    groups = [[clients_lane(c, params, spec) for c in candidates] for spec in specs]
    turns = take_turns(bench, groups, reps=specs[0].reps, name="clients")
    return {
        candidate.label: tuple(
            latency(spec.n_clients, laps[index].samples)
            for spec, laps in zip(specs, turns, strict=True)
        )
        for index, candidate in enumerate(candidates)
    }


def clients_params(specs: Sequence[ClientsSpec]) -> LoadParams:
    """Return a load with a slot for each of the most clients."""
    most = max(spec.n_clients for spec in specs)
    room = max(spec.n_prompt + spec.n_gen for spec in specs)
    return LoadParams(n_ctx=most * room, n_seq_max=most)


def clients_lane(candidate: Candidate, params: LoadParams, spec: ClientsSpec) -> Lane:
    """Return the lane that lets so many clients ask."""
    return Lane(
        candidate,
        params,
        spec,
        partial(_warm_up, spec=spec),
        partial(ask_at_once, spec=spec),
    )


def latency(n_clients: int, samples: Sequence[Mapping[str, Any]]) -> Latency:
    """Return percentiles over all answers of all repetitions."""
    ttft = [wait for sample in samples for wait in sample["ttft_s"]]
    itl = [wait for sample in samples for wait in sample["itl_s"]]
    decode = spread(sample["decode_per_s"] for sample in samples)
    return Latency(
        n_clients,
        len(ttft),
        _percentiles(ttft),
        _percentiles(itl),
        decode,
        noise(samples, {f"{n_clients} clients": decode}),
    )


def ask_at_once(session: Session, spec: ClientsSpec) -> dict[str, Any]:
    """Let all clients ask their rounds and return what they saw; seconds."""
    params = _sampling(session, spec.n_gen)
    questions = [
        [_prompt(session, spec.n_prompt) for _ in range(spec.n_rounds)]
        for _ in range(spec.n_clients)
    ]
    with ThreadPoolExecutor(spec.n_clients, "client") as pool:
        start = time.perf_counter()
        asked = list(pool.map(partial(_one_client, session, params), questions))
    answers = [answer for answered in asked for answer in answered]
    elapsed = time.perf_counter() - start
    return {
        "ttft_s": [answer.timings.ttft_s for answer in answers],
        "itl_s": [
            wait for answer in answers for wait in np.diff(answer.token_s).tolist()
        ],
        "decode_per_s": sum(len(answer.tokens) for answer in answers) / elapsed,
    }


def _one_client(
    session: Session, params: SamplingParams, questions: Sequence[Sequence[int]]
) -> list[Generation]:
    return [session.stream(question, params).wait() for question in questions]


def _warm_up(session: Session, spec: ClientsSpec) -> None:
    session.stream(_prompt(session, spec.n_prompt), _sampling(session, 2)).wait()


def _sampling(session: Session, n_gen: int) -> SamplingParams:
    """Return default sampling in which no token can end an answer."""
    never = tuple((token, float("-inf")) for token in session.control_tokens.values())
    return SamplingParams(max_tokens=n_gen, logit_bias=never)


def _prompt(session: Session, n_tokens: int) -> list[int]:
    """Return BOS, if the model wants one, then random tokens that are text."""
    control = set(session.control_tokens.values())
    tokens: list[int] = []
    while len(tokens) < n_tokens:
        token = random.randrange(session.n_vocab)  # noqa: S311
        if token not in control:
            tokens.append(token)
    if session.adds_bos and session.bos is not None:
        tokens[0] = session.bos
    return tokens


def _percentiles(waits: Sequence[float]) -> Percentiles:
    if not waits:
        return Percentiles(float("nan"), float("nan"), float("nan"))
    return Percentiles(*np.percentile(waits, (50, 95, 99)).tolist())
