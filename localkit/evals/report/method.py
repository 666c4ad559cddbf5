"""What a comparison measured and how, as terms and plain sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.report import figures

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison

LEGEND = (
    "◇: the reference. bpw: bits per weight, measured. prefill and decode: tokens per "
    "second, one stream, median (quartiles). ★: no other candidate is at least as "
    "small, as fast and as close to the reference, and better in one of the three."
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
        (
            "Text",
            f"{setup.corpus.name}, {setup.corpus.digest}: "
            f"{setup.corpus.n_chunks} chunks of {setup.corpus.n_ctx} tokens, "
            f"{setup.corpus.n_tokens:,} scored",
        ),
    ]
    if setup.task:
        terms.append(
            (
                "Task",
                f"{setup.task.name}, {setup.task.n_items} items, zero-shot, "
                f"normalised by {setup.task.norm}; {setup.task.source} "
                f"({setup.task.licence}); {setup.task.digest}",
            )
        )
    turn = (
        "all candidates resident and timed in turn"
        if setup.interleaved
        else "one candidate after the other: they do not fit side by side"
    )
    terms += [
        (
            "Speed",
            f"prefill of {setup.n_prompt} tokens, decode of {setup.n_gen}, "
            f"{setup.reps} repetitions each after a warm-up, {turn}",
        ),
        (
            "Memory",
            f"at {setup.budget.n_ctx:,} tokens of context with a "
            f"{setup.budget.kv_type} KV cache, each model in a fresh process",
        ),
        ("Budget", str(setup.budget)),
        ("Effort", setup.effort),
        ("Measured", f"{setup.measured}, localkit {setup.version}"),
        ("Comparability key", setup.comparability),
    ]
    return terms


def definitions(comparison: Comparison) -> list[tuple[str, str]]:
    """Return how every figure is defined, its error, and what was not measured."""
    setup, reference = comparison.setup, comparison.reference
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
            "The reference compared with its own stored copy, which keeps 16 bits a "
            f"probability: {figures.kl(reference.kld)} nats. Smaller differences are "
            "not the candidate's.",
        ),
        (
            "Same top",
            "Share of tokens where candidate and reference agree on the likeliest one.",
        ),
        (
            "ln PPL ratio",
            "ln of the perplexity over the reference's, paired by token.",
        ),
        (
            "Bits per weight",
            "Measured from the file. Tensors whose rows do not divide into a "
            "quant's blocks fall back to another type, so the label can mislead.",
        ),
        (
            "tok/s",
            "llama-bench protocol: random tokens, one stream, no sampling. Median with "
            "quartiles. Spread above 10 %, or other work on the machine, is marked.",
        ),
        (
            "Memory",
            "What the engine allocated: weights, KV cache, compute buffers. Mapped "
            "weights are file pages that the system may drop; RSS splits them off.",
        ),
    ]
    if setup.task:
        terms.append(
            (
                "Task tests",
                "Accuracy with the Wilson interval. Against the reference: the same "
                "items, exact McNemar test on the flips, adjusted by Holm for the "
                "number of candidates.",
            )
        )
    if reference.lossy_origin:
        terms.append(
            (
                "Reference weights",
                f"The {reference.quant} reference is expanded from published "
                f"{reference.lossy_origin} weights: what {reference.lossy_origin} lost "
                "is lost in every candidate and is not in these figures.",
            )
        )
    terms.append(
        (
            "Not measured",
            "Generated text and its taste, long contexts, other languages than the "
            "text's, several streams at once, energy, quantized KV caches.",
        )
    )
    return terms
