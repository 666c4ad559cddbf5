"""Multiple choice by log-likelihood, which inspect_ai has not.

::

    Task(dataset, solver=loglikelihood(), scorer=choice())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspect_ai.model import ModelOutput, get_model
from inspect_ai.solver import solver

from localkit.errors import EvalError, Unsupported, UsageError

if TYPE_CHECKING:
    from inspect_ai.solver import Generate, Solver, TaskState

    from localkit.evals.scorers.choices import ItemScore
    from localkit.evals.tasks.task import Norm, Task

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@solver
def loglikelihood(
    prompt: str = "{question}", joiner: str = " ", norm: Norm = "char"
) -> Solver:
    """Mark the choice that is likeliest after the question; nothing is written.

    inspect's own ``choice()`` scores it. The log-likelihoods are in the output's
    metadata.

    Args:
        prompt: What stands before a choice; ``{question}`` is the sample's input.
        joiner: Text between prompt and choice.
        norm: What log-likelihoods are divided by: ``none``, ``token``, ``char`` (as
            ``acc_norm`` of lm-evaluation-harness) or ``byte``.

    Raises:
        Unsupported: the model is none of localkit's.
        UsageError: a sample has no choices.
        EvalError: a sample cannot be scored; says why.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        del generate
        from localkit.evals.harnesses.inspect.provider import LocalkitAPI
        from localkit.evals.scorers.choices import score_item
        from localkit.evals.tasks.sample import Sample
        from localkit.evals.tasks.task import Task

        api = get_model().api
        if not isinstance(api, LocalkitAPI):
            msg = f"{state.model} gives no log-probabilities of a prompt"
            raise Unsupported(msg, hint="take --model localkit/REF")
        if len(state.choices) < 2:
            msg = f"sample {state.sample_id} has {len(state.choices)} choices"
            raise UsageError(msg, hint="give each sample at least two")
        question = prompt.replace("{question}", state.input_text)
        choices = tuple(one.value for one in state.choices)
        sample = Sample(id=str(state.sample_id), prompt=question, choices=choices)
        task: Task = Task(name="choice", samples=(), joiner=joiner, norm=norm)

        found = await api.in_thread(
            lambda cancel: score_item(api.session, task, sample, cancel=cancel)
        )
        answer = found.prediction(norm)
        if answer is None:
            msg = f"sample {state.sample_id} cannot be scored: {found.unscored}"
            raise EvalError(msg, hint="shorten it, or give a larger n_ctx")
        for place in range(len(choices)):
            state.choices.mark_choice(place, place == answer)
        state.output = _output(str(state.model), answer, found, norm)
        return state

    return solve


def _output(model: str, answer: int, found: ItemScore, norm: Norm) -> ModelOutput:
    letter = _LETTERS[answer] if answer < len(_LETTERS) else str(answer + 1)
    output = ModelOutput.from_content(model, f"ANSWER: {letter}")
    output.metadata = {
        "norm": norm,
        "logprobs": [choice.logprob for choice in found.choices],
        "scores": [choice.score(norm) for choice in found.choices],
    }
    return output
