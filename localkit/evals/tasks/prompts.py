"""What a model is shown of a sample: messages, or raw text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.chat.messages import Message
from localkit.evals.tasks.filling import fill

if TYPE_CHECKING:
    from localkit.evals.tasks.kinds import Exchange
    from localkit.evals.tasks.sample import Sample
    from localkit.evals.tasks.task import Task

APART = "\n\n"
"""Between instructions, examples and question in raw text, as in
lm-evaluation-harness (``fewshot_delimiter``)."""


def messages_of(
    task: Task,
    sample: Sample,
    *,
    system: str | None = None,
    prompt_form: str | None = None,
) -> list[Message]:
    """Return the conversation that asks ``sample``; each example is a turn of two.

    Args:
        task: Gives the instructions and the examples.
        sample: What is asked.
        system: Instructions in place of the task's; "" for none.
        prompt_form: Prompt in place of the task's, fields of the row in braces;
            the examples are asked in the same form.

    Raises:
        DatasetInvalid: ``prompt_form`` names a field that a row lacks.
    """
    instructions = task.system if system is None else system
    messages = [Message("system", instructions)] if instructions else []
    for example in task.examples:
        messages.append(Message("user", _example(task, example, prompt_form)))
        messages.append(Message("assistant", example.answer))
    messages.append(Message("user", prompt_of(sample, prompt_form)))
    return messages


def text_of(
    task: Task,
    sample: Sample,
    *,
    system: str | None = None,
    prompt_form: str | None = None,
) -> str:
    """Return the raw text that asks ``sample``; arguments as `messages_of`.

    Instructions, examples and question stand a blank line apart; the task's joiner
    stands between the prompt of an example and its answer. Without instructions and
    examples it is the sample's prompt as it is.

    Raises:
        DatasetInvalid: ``prompt_form`` names a field that a row lacks.
    """
    instructions = task.system if system is None else system
    parts = [instructions] if instructions else []
    parts += [
        _example(task, example, prompt_form) + task.joiner + example.answer
        for example in task.examples
    ]
    parts.append(prompt_of(sample, prompt_form))
    return APART.join(parts)


def prompt_of(sample: Sample, prompt_form: str | None) -> str:
    """Return the question alone, in another form where one is given.

    Raises:
        DatasetInvalid: the form names a field that the sample's row lacks.
    """
    if prompt_form is None:
        return sample.prompt
    return fill(prompt_form, sample.fields, f"sample {sample.id}")


def _example(task: Task, example: Exchange, prompt_form: str | None) -> str:
    if prompt_form is None:
        return example.prompt
    return fill(prompt_form, example.fields, f"an example of {task.name}")
