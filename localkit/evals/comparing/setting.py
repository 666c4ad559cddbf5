"""What a comparison held fixed, in the words of its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.comparing.comparison import Corpus, Setup, TaskUsed
from localkit.evals.comparing.plan import loss_against
from localkit.evals.report.figures import listing
from localkit.evals.running.spec import digest_of
from localkit.version import __version__

if TYPE_CHECKING:
    from localkit.evals.comparing.measuring import Measurements
    from localkit.evals.comparing.plan import Plan


def describe(plan: Plan, measured: Measurements, remarks: tuple[str, ...]) -> Setup:
    """Return the setup of what was measured; ``remarks`` stand behind its own."""
    timed, family = measured.timed, plan.family
    return Setup(
        model=family.name,
        reference=family.reference.label,
        effort=plan.effort,
        corpora=_corpora(plan, measured),
        tasks=_tasks(plan, measured),
        n_prompt=plan.speed.n_prompt,
        n_gen=plan.speed.n_gen,
        reps=plan.speed.reps,
        interleaved=timed.interleaved,
        budget=plan.budget,
        max_kld=plan.request.max_kld,
        fingerprint=timed.fingerprint.as_dict(),
        comparability=_comparability(plan, measured),
        measured=measured.measured,
        command=plan.command,
        version=__version__,
        remarks=(*_remarks(plan, measured), *measured.asked.remarks, *remarks),
    )


def _corpora(plan: Plan, measured: Measurements) -> tuple[Corpus, ...]:
    reference = plan.family.reference.label
    found = []
    for one in measured.plans:
        chunks = measured.texts[one.name].chunks[reference]
        found.append(
            Corpus(
                name=one.name,
                digest=one.spec.text_digest,
                n_ctx=one.spec.n_ctx,
                n_chunks=len(chunks),
                n_tokens=sum(chunk.kld.size for chunk in chunks),
            )
        )
    return tuple(found)


def _tasks(plan: Plan, measured: Measurements) -> tuple[TaskUsed, ...]:
    return tuple(
        TaskUsed(
            name=task.name,
            digest=task.digest,
            n_items=measured.asked.n_items[task.name],
            norm=task.norm if task.method == "choices" else "",
            source=task.source,
            licence=task.licence,
        )
        for task in plan.tasks
    )


def _comparability(plan: Plan, measured: Measurements) -> str:
    """Return a key that is equal where figures measure the same thing."""
    return digest_of(
        [
            loss_against(plan.family.reference),
            plan.family.reference.info.vocab_digest,
            [[one.spec.text_digest, one.spec.n_ctx] for one in measured.plans],
            [task.digest for task in plan.tasks],
            measured.timed.fingerprint.numeric(),
        ]
    )[:16]


def _remarks(plan: Plan, measured: Measurements) -> tuple[str, ...]:
    timed = measured.timed
    reference = plan.family.reference
    remarks = list(plan.family.remarks)
    if reference.info.lossy_origin:
        remarks.append(
            f"The {reference.label} reference is expanded from published "
            f"{reference.info.lossy_origin} weights, whose own loss is in none of "
            "these figures."
        )
    elif reference.info.bits_per_weight < 16:
        remarks.append(
            f"The reference is itself quantized ({reference.label}): the loss is "
            "against it, not against full precision."
        )
    remarks += [
        f"Of the {len(task.samples):,} samples of {task.name} the first "
        f"{n_items:,} were asked."
        for task in plan.tasks
        if (n_items := measured.asked.n_items[task.name]) < len(task.samples)
    ]
    remarks += [task.remark for task in plan.tasks if task.remark]
    noisy = [label for label, speed in timed.speeds.items() if speed.noise]
    if noisy:
        whose = "All" if len(noisy) == len(timed.speeds) else f"{listing(noisy)}:"
        remarks.append(
            f"{whose} speed figures are noisy; the table of speeds says why."
        )
    if not timed.interleaved:
        remarks.append(
            "The candidates do not fit in memory side by side, so they were timed one "
            "after the other."
        )
    return tuple(remarks)
