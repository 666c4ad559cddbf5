"""What a comparison measured and how, as terms and plain sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.report import figures

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison, TaskUsed


def legend(comparison: Comparison) -> str:
    """Return what the marks and columns of the overview mean."""
    rows = comparison.rows
    terms = [
        "◇: the reference",
        "bpw: bits per weight, measured",
        f"memory: at {comparison.setup.budget.n_ctx:,} tokens of context",
    ]
    if any(row.max_ctx is not None for row in rows):
        terms.append("max ctx: longest context whose estimate fits the budget")
    if any(row.speed for row in rows):
        terms.append("tok/s: one stream, median (quartiles)")
    if any(row.quality for row in rows):
        terms.append("± half a 95 % interval")
    if any(row.tasks for row in rows):
        terms.append("Δ: paired difference from the reference's score (95 %)")
    return (
        f"{'. '.join(terms)}. ★: no other candidate is at least as small, as fast and "
        "as close to the reference, and better in one of the three."
    )


def facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what was held fixed, for the report's header box."""
    setup = comparison.setup
    reference = comparison.reference
    runtime = setup.fingerprint
    origin = (
        f"; expanded from published {reference.lossy_origin} weights"
        if reference.lossy_origin
        else ""
    )
    terms = [
        ("Reference", f"{reference.label}, {reference.ref}{origin}"),
        ("Weights sha256", reference.weights_digest.split(":")[-1]),
        (
            "Engine",
            f"{runtime.get('engine', '?')}, {runtime.get('backend', '?')}, "
            f"{runtime.get('features') or 'no features told'}",
        ),
        (
            "Device",
            f"{runtime.get('device', '?')}; threads: {runtime.get('n_threads', '?')}, "
            f"layers on a GPU: {runtime.get('n_gpu_layers', 0)}",
        ),
    ]
    terms += [
        (
            "Text",
            f"{corpus.name}, {corpus.digest}: "
            f"{corpus.n_chunks} chunks of {corpus.n_ctx} tokens, "
            f"{corpus.n_tokens:,} scored",
        )
        for corpus in setup.corpora
    ]
    terms += [("Task", _task(comparison, task)) for task in setup.tasks]
    if any(row.speed for row in comparison.rows):
        terms.append(("Speed", _speed(comparison)))
    if any(row.memory for row in comparison.rows):
        terms.append(
            (
                "Memory",
                f"at {setup.budget.n_ctx:,} tokens of context with a "
                f"{setup.budget.kv_type} KV cache, each model in a fresh process",
            )
        )
    terms += [
        ("Budget", str(setup.budget)),
        ("Effort", setup.effort),
        ("Measured", f"{setup.measured}, localkit {setup.version}"),
        ("Comparability key", setup.comparability),
    ]
    return terms


def _task(comparison: Comparison, task: TaskUsed) -> str:
    metrics = {
        result.metric
        for row in comparison.rows
        for result in row.tasks
        if result.name == task.name
    }
    ranked = f"log-likelihoods divided by {task.norm}" if task.norm else ""
    how = [ranked] if metrics == {"accuracy"} and ranked else sorted(metrics)
    source = f"{task.source} ({task.licence})" if task.licence else task.source
    parts = [f"{task.name}, {task.n_items} items", *how]
    return "; ".join([", ".join(parts), *([source] if source else []), task.digest])


def _speed(comparison: Comparison) -> str:
    setup = comparison.setup
    turn = (
        "all candidates resident and timed in turn"
        if setup.interleaved
        else "one candidate after the other: they do not fit side by side"
    )
    depths = sorted(
        {
            one.depth
            for row in comparison.rows
            if row.speed
            for one in row.speed.at_depth
        }
    )
    deep = f", behind {figures.listing([f'{d:,}' for d in depths])} tokens"
    return (
        f"prefill of {setup.n_prompt} tokens, decode of {setup.n_gen}"
        f"{deep if depths else ''}, {setup.reps} repetitions each after a warm-up, "
        f"{turn}"
    )


def definitions(comparison: Comparison) -> list[tuple[str, str]]:
    """Return how every figure is defined, its error, and what was not measured."""
    rows, reference = comparison.rows, comparison.reference
    terms: list[tuple[str, str]] = []
    if any(row.quality for row in rows):
        terms += _quality(comparison)
    terms.append(
        (
            "Bits per weight",
            "Measured from the file. Tensors whose rows do not divide into a "
            "quant's blocks fall back to another type, so the label can mislead.",
        )
    )
    if any(row.speed for row in rows):
        terms.append(
            (
                "tok/s",
                "llama-bench protocol: random tokens, one stream, no sampling. Median "
                "with quartiles. Spread above 10 %, or other work on the machine, is "
                "marked.",
            )
        )
    if any(row.memory for row in rows):
        terms.append(
            (
                "Memory",
                "What the engine allocated: weights, KV cache, compute buffers. Mapped "
                "weights are file pages that the system may drop; RSS splits them off. "
                "An estimate is computed before anything is loaded.",
            )
        )
    methods = {
        row.speed.energy.method for row in rows if row.speed and row.speed.energy
    }
    if methods:
        terms.append(("Energy", f"Of decoding, by {', '.join(sorted(methods))}."))
    if comparison.setup.tasks:
        terms.append(("Task tests", _tests(comparison)))
    if reference.lossy_origin:
        terms.append(
            (
                "Reference weights",
                f"The {reference.quant} reference is expanded from published "
                f"{reference.lossy_origin} weights: what {reference.lossy_origin} lost "
                "is lost in every candidate and is not in these figures.",
            )
        )
    terms.append(("Not measured", not_measured(comparison)))
    return terms


def _quality(comparison: Comparison) -> list[tuple[str, str]]:
    floor = figures.kl(comparison.reference.kld)
    terms = [
        (
            "Mean KL divergence",
            "How far the candidate's next-token probabilities are from the "
            "reference's, in nats per token, averaged over the scored half of each "
            "chunk, as llama-perplexity defines it. 0 is no loss.",
        ),
        (
            "Its interval",
            "95 %, clustered by chunk (CR1, t distribution): tokens of one chunk err "
            "together, so an error bar that takes them one by one is too short.",
        ),
        (
            "Floor",
            f"The reference compared with itself: {floor} nats, the error of how its "
            "probabilities are kept. Smaller differences are not the candidate's.",
        ),
        (
            "Same top",
            "Share of tokens where candidate and reference agree on the likeliest one.",
        ),
        (
            "ln PPL ratio",
            "ln of the perplexity over the reference's, paired by token.",
        ),
    ]
    if any(row.quality and row.quality.dp for row in comparison.rows):
        terms.append(
            (
                "Δp",
                "Change of the probability of the token that came, in percentage "
                "points. As often up as down is noise; more down than up is damage.",
            )
        )
    return terms


def _tests(comparison: Comparison) -> str:
    methods = dict.fromkeys(
        f"{task.name}: {task.difference.method}"
        for row in comparison.rows
        for task in row.tasks
        if task.difference
    )
    told = f" Intervals of the differences: {'; '.join(methods)}." if methods else ""
    return (
        "Right and wrong answers with the Wilson interval. Against the reference: the "
        "same items, exact McNemar test on the flips, for graded scores a paired test; "
        f"adjusted by Holm for the number of candidates.{told}"
    )


def not_measured(comparison: Comparison) -> str:
    """Return what these figures say nothing about."""
    rows, setup = comparison.rows, comparison.setup
    speeds = [row.speed for row in rows if row.speed]
    metrics = {task.metric for row in rows for task in row.tasks}
    absent = {
        "loss on text": not setup.corpora,
        "answers to questions": not setup.tasks,
        "written answers": not metrics - {"accuracy"},
        "other texts and languages than those above": bool(setup.corpora),
        "quality in long contexts": True,
        "speed behind a long context": not any(one.at_depth for one in speeds),
        "several streams at once": not any(one.under_load for one in speeds),
        "energy": not any(one.energy for one in speeds),
        "quantized KV caches": not any("KV" in row.variant for row in rows),
    }
    named = figures.listing([what for what, missing in absent.items() if missing])
    return f"{named[:1].upper()}{named[1:]}."
