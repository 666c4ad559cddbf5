"""Rows as a comparison would hold them, made up, with one figure changed at a time."""

from __future__ import annotations

from dataclasses import replace

from localkit.evals.comparing.budget import Budget
from localkit.evals.comparing.comparison import Comparison, Corpus, Setup, TaskUsed
from localkit.evals.comparing.row import (
    ClientSpeed,
    DepthSpeed,
    Energy,
    Memory,
    MemoryPlan,
    Quality,
    Row,
    Speed,
    Spread,
    TaskResult,
)
from localkit.evals.comparing.verdict import decide, exclusion
from localkit.evals.report.evidence import Flip, Passage
from localkit.evals.statistics.estimates import Estimate

MIB = 2**20
BUDGET = Budget(512 * MIB, n_ctx=4096)


def estimate(value: float, half: float, n: int = 4080) -> Estimate:
    return Estimate(value, half / 2, value - half, value + half, n, "constructed")


def speed(decode: float, *, iqr: float = 1.0, prefill: float = 400.0) -> Speed:
    def around(middle: float, width: float) -> Spread:
        low, high = middle - width / 2, middle + width / 2
        # Another order at each speed: repetitions that agree would tell any apart.
        turn = round(decode * 10) % 3
        samples = (low, middle, high, low, middle)[turn : turn + 3]
        return Spread(middle, low, high, samples)

    return Speed(around(prefill, 8.0), around(decode, iqr))


def memory(weights_mib: float) -> Memory:
    weights = int(weights_mib * MIB)
    return Memory(weights, 90 * MIB, 98 * MIB, weights, 200 * MIB, None)


def quality(kld: float, half: float) -> Quality:
    return Quality(
        kld=estimate(kld, half),
        kld_p99=kld * 12,
        same_top=estimate(max(0.5, 1 - kld), 0.01),
        ln_ppl_ratio=estimate(kld * 0.8, kld * 0.3),
        perplexity=estimate(26.4 * (1 + kld), 2.0),
        bits_per_byte=1.05,
        n_chunks=16,
        n_tokens=4080,
    )


def task(right: int, *, n: int = 100, p_holm: float = 1.0, lost: int = 4) -> TaskResult:
    share = right / n
    return TaskResult(
        name="hellaswag",
        score=estimate(share, 0.1, n),
        n_items=n,
        n_unscored=0,
        difference=estimate(share - 0.42, 0.05, n),
        n_lost=lost,
        n_gained=max(0, right - 42 + lost),
        p_value=p_holm,
        p_holm=p_holm,
        n_needed=1900,
    )


def row(label: str, **changes: object) -> Row:
    fields: dict[str, object] = {
        "label": label,
        "ref": f"smollm2:{label.lower()}",
        "weights_digest": "sha256:" + label.lower().encode().hex().ljust(64, "0")[:64],
        "quant": label,
        "bits_per_weight": 6.17,
        "type_mix": "q5_0 71 %, q8_0 22 %, q4_K 7 %",
        "file_size": 105 * MIB,
        "lossy_origin": "Q4_1",
    }
    return Row(**(fields | changes))  # type: ignore[arg-type]


def reference(**changes: object) -> Row:
    fields: dict[str, object] = {
        "bits_per_weight": 16.0,
        "file_size": 258 * MIB,
        "is_reference": True,
        "quality": quality(0.0003, 0.0001),
        "speed": speed(30.0),
        "memory": memory(258),
    }
    return row("F16", **(fields | changes))


def ladder() -> list[Row]:
    """Return eight candidates with the figures of a small model on two cores."""
    table = [
        ("Q8_0", 8.50, 138, 0.0044, 0.0004, 48.0, 42, 1.0),
        ("Q6_K", 7.82, 127, 0.0081, 0.0009, 49.5, 43, 1.0),
        ("Q5_K_M", 6.67, 108, 0.0230, 0.0019, 53.0, 41, 1.0),
        ("Q4_K_M", 6.17, 100, 0.0412, 0.0060, 58.5, 42, 1.0),
        ("Q4_0", 4.90, 87, 0.0690, 0.0080, 71.0, 40, 0.92),
        ("Q3_K_M", 5.42, 89, 0.1650, 0.0140, 57.0, 38, 0.6),
        ("Q2_K", 5.14, 84, 0.4716, 0.0440, 62.0, 31, 0.012),
    ]
    rows = [reference(tasks=(task(42),))]
    for label, bpw, mib, kld, half, decode, right, p in table:
        rows.append(
            row(
                label,
                bits_per_weight=bpw,
                file_size=mib * MIB,
                quality=quality(kld, half),
                speed=speed(decode),
                memory=memory(mib),
                tasks=(task(right, p_holm=p),),
            )
        )
    return rows


DP_PERCENTS = (0.1, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9)


def widened(one: Row, *, budget: Budget = BUDGET) -> Row:
    """Return a row with every part that a comparison may have measured."""
    if one.quality is None or one.speed is None or one.memory is None:
        return one
    kld, kv_token = one.quality.kld.value, 45 * 2**10 // 2
    lean = 0.0 if one.is_reference else kld / 3
    dp = tuple((p, (p - 50) / 50 * kld**0.5 - lean) for p in DP_PERCENTS)
    weights = one.memory.weights
    plans = tuple(
        MemoryPlan(n, weights, kv_token * n, 98 * MIB)
        for n in (512, 1024, 2048, 4096, 8192)
    )
    fitting = [plan.n_ctx for plan in plans if plan.total <= budget.n_bytes]
    whole = replace(
        one.quality,
        kld_median=kld / 4,
        kld_p90=kld * 3,
        kld_p999=kld * 30,
        kld_max=kld * 60,
        dp=estimate(-lean, 0.004),
        rms_dp=estimate(kld**0.5 / 2, 0.005),
        dp_percentiles=dp,
    )
    by_text = tuple(
        replace(whole, text=text, kld=estimate(kld * times, kld * times / 8))
        for text, times in (("prose", 0.8), ("code", 1.5), ("german", 2.2))
    )
    decode, prefill = one.speed.decode, one.speed.prefill
    deep = Spread(*(0.6 * x for x in decode[:3]), tuple(0.6 * x for x in decode[3]))
    faster = replace(
        one.speed,
        at_depth=(DepthSpeed(0, prefill, decode), DepthSpeed(4096, prefill, deep)),
        under_load=tuple(
            ClientSpeed(n, 0.2 * n, 0.5 * n, 0.02, 0.05, decode.median * n**0.5)
            for n in (1, 4)
        ),
        load_s=Spread(0.21, 0.2, 0.22, (0.2, 0.21, 0.22)),
        energy=Energy(30 / decode.median, "RAPL package"),
    )
    written = replace(
        task(70, n=80),
        difference=estimate(-0.01, 0.03, 80),
        name="json",
        metric="schema-valid",
        extra=(("exact", estimate(0.5, 0.1)),),
    )
    return replace(
        one,
        quality=whole,
        by_text=by_text,
        tasks=(*one.tasks, written),
        speed=faster,
        memory=replace(one.memory, peak=weights + 300 * MIB, estimate=weights),
        plans=plans,
        max_ctx=max(fitting, default=0),
    )


def comparison(rows: list[Row] | None = None, *, max_kld: float = 0.05) -> Comparison:
    """Return a whole comparison of `ladder`, as `compare` would put it together."""
    judged = [
        replace(row, excluded=exclusion(row, budget=BUDGET, max_kld=max_kld))
        for row in rows or ladder()
    ]
    setup = Setup(
        model="smollm2",
        reference="F16",
        effort="standard",
        corpora=(Corpus("jargon-file", "sha256:" + "c" * 64, 512, 16, 4080),),
        tasks=(TaskUsed("hellaswag", "t" * 64, 100, "char", "a paper", "MIT"),),
        n_prompt=512,
        n_gen=128,
        reps=5,
        interleaved=True,
        budget=BUDGET,
        max_kld=max_kld,
        fingerprint={"engine": "llama.cpp", "backend": "CPU", "device": "a processor"},
        comparability="0123456789abcdef",
        measured="2026-01-02T03:04:05+00:00",
        command="localkit compare smollm2",
        version="0.1.0",
        remarks=("The F16 reference is expanded from published Q4_1 weights.",),
    )
    passage = Passage("Q2_K", 3, 2.1, ("once", " <b>upon</b>"), (0.1, 4.1))
    flip = Flip("Q2_K", "7", "A man <script>", "sits.", "sits.", "eats a chair.")
    decision = decide(judged, budget=BUDGET, max_kld=max_kld)
    return Comparison(setup, tuple(judged), decision, (), (passage,), (flip,))
