"""A user's own prompts as a text: each with the reference's answer behind it.

Loss on the words of a prompt says how well a quant reads; loss on the answer says how
well it writes what the reference would have written. Both are on the user's subject.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.chat.messages import Message
from localkit.errors import ContextTooLong, TemplateError
from localkit.evals.comparing.plan import CHUNK, TextPlan, loss_against
from localkit.evals.running.bench import Steps
from localkit.evals.running.spec import QualitySpec, TaskSpec, digest_of
from localkit.evals.text.documents import text_digest
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from localkit.evals.comparing.plan import Plan
    from localkit.evals.running.bench import Bench
    from localkit.evals.subjects.protocol import Subject
    from localkit.events import CancelToken

NAME = "your prompts"
ANSWER = SamplingParams(temperature=0.0, max_tokens=128, seed=0)
"""Long enough to show how it writes, short enough for many prompts."""


def answered_prompts(bench: Bench, plan: Plan) -> TextPlan:
    """Return the prompts as documents, each one measured whole.

    Answers are stored, so that they are written once.

    Raises:
        Cancelled: stopping was asked for; answers that are there are stored.
    """
    prompts = tuple(plan.request.prompts)
    reference = plan.family.reference
    spec = TaskSpec(digest_of(["own prompts", 1, list(prompts), ANSWER.max_tokens]))
    steps = Steps(bench, f"answers of {reference.label}", len(prompts), "prompts")
    documents = []
    with bench.station(reference, plan.scoring) as station:
        cell = station.cell(spec, numeric=True)
        known = cell.items()
        for number, prompt in enumerate(prompts):
            if str(number) not in known:
                answer = _answer(station.subject, prompt, bench.cancel)
                cell.put_record(str(number), {"answer": answer})
            answer = str(cell.record(str(number))["answer"]).strip()
            documents.append(f"{prompt}\n\n{answer}" if answer else prompt)
            steps.advance()
    content = tuple(documents)
    quality = QualitySpec(
        text_digest(content),
        loss_against(reference),
        min(CHUNK, reference.info.n_ctx_train or CHUNK),
    )
    return TextPlan(NAME, content, quality, len(content))


def _answer(subject: Subject, prompt: str, cancel: CancelToken) -> str:
    """Return the answer; of a base model the continuation, of neither nothing."""
    try:
        return subject.chat([Message("user", prompt)], ANSWER, cancel=cancel).text
    except TemplateError:
        return subject.complete(prompt, ANSWER, cancel=cancel).text
    except ContextTooLong:
        return ""
