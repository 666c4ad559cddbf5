"""A task: what is asked, how it is asked, and what the answers are worth."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from localkit.errors import DatasetInvalid
from localkit.evals.tasks.kinds import (
    GREEDY,
    NORMS,
    Document,
    Exchange,
    Method,
    Norm,
    Reduction,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.scorers.protocol import Scorer
    from localkit.evals.tasks.datasets import Data
    from localkit.evals.tasks.sample import Sample
    from localkit.runtime.params import SamplingParams

__all__ = [
    "GREEDY",
    "NORMS",
    "Document",
    "Exchange",
    "Method",
    "Norm",
    "Reduction",
    "Task",
    "task_from_data",
]


@dataclass(frozen=True, slots=True)
class Task:
    """Samples, how a model is asked them, and what its answers are worth.

    A value: build one by hand, with `dataclasses.replace` change one.

    Raises:
        DatasetInvalid: parts of it contradict each other.
    """

    name: str
    samples: tuple[Sample, ...]
    method: Method = "choices"
    joiner: str = " "
    """Text between prompt and choice, and between an example and its answer."""
    norm: Norm = "char"
    scorers: tuple[Scorer, ...] = ()
    """The first one's score is the task's; the others stand beside it."""
    system: str = ""
    """Instructions put first, as the system message."""
    examples: tuple[Exchange, ...] = ()
    """Few-shot: shown before every sample, as turns of a conversation or as text."""
    chat: bool = True
    """Written answers: through the chat template; False: raw text is continued."""
    params: SamplingParams = GREEDY
    """How written answers are sampled."""
    epochs: int = 1
    """How often each sample is asked, with seeds that count up."""
    reduction: Reduction = "mean"
    k: int = 1
    """Of `pass@k` and `pass^k`; at most `epochs`."""
    licence: str = ""
    source: str = ""
    citation: str = ""
    remark: str = ""
    """What was guessed about it: columns, scorer. A sentence for the reader."""
    corpus: tuple[Document, ...] = ()
    """What a retrieval task searches; a sample's targets are ids in it."""

    def __post_init__(self) -> None:
        """Refuse what could only fail or mislead later."""
        if self.method == "generate" and not self.scorers:
            msg = f"task {self.name} has written answers and no scorer"
            raise DatasetInvalid(msg, hint="give scorers=, such as [Includes()]")
        if not 1 <= self.k <= self.epochs:
            msg = f"task {self.name} has k={self.k} of {self.epochs} epochs"
            raise DatasetInvalid(msg, hint="ask each sample at least k times: epochs=")
        names = [scorer.name for scorer in self.scorers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            msg = f"task {self.name} has two scorers named '{twice}'"
            raise DatasetInvalid(msg, hint="give one of them another name=")
        self._check_ids()
        if self.method == "retrieve":
            self._check_corpus()

    def _check_ids(self) -> None:
        ids = {sample.id for sample in self.samples}
        if len(ids) < len(self.samples):
            msg = f"task {self.name} has two samples with one id"
            raise DatasetInvalid(msg, hint="give every sample an id of its own")
        # The second answer to sample "a" is stored as "a#1".
        taken = (id_ for id_ in ids if "#" in id_ and id_.rpartition("#")[0] in ids)
        clash = next(taken, None) if self.epochs > 1 else None
        if clash is not None:
            msg = f"task {self.name} has several epochs and a sample '{clash}'"
            raise DatasetInvalid(msg, hint="name samples without # and a number")

    def _check_corpus(self) -> None:
        known = {document.id for document in self.corpus}
        if len(known) < len(self.corpus):
            msg = f"the corpus of {self.name} has two documents with one id"
            raise DatasetInvalid(msg, hint="give every document an id of its own")
        for sample in self.samples:
            if not sample.target:
                msg = f"sample {sample.id} of {self.name} has nothing to find"
                raise DatasetInvalid(msg, hint="name the documents that answer it")
            missing = next((id_ for id_ in sample.target if id_ not in known), None)
            if missing is not None:
                msg = f"sample {sample.id} of {self.name} wants document '{missing}'"
                raise DatasetInvalid(msg, hint="name ids that the corpus has")

    @property
    def digest(self) -> str:
        """sha256 over what is asked and how it is scored: equal means the same test.

        Without what is applied after scores are stored: the norm, the reduction, the
        number of epochs.
        """
        asked = [
            [s.id, s.prompt, s.choices, s.gold, s.target, dict(s.fields)]
            for s in self.samples
        ]
        examples = [[one.prompt, one.answer, dict(one.fields)] for one in self.examples]
        how: dict[str, Any] = {"method": self.method, "examples": examples}
        if self.method == "choices":
            how |= {"joiner": self.joiner, "system": self.system}
        elif self.method == "retrieve":
            how["corpus"] = self.corpus
        else:
            scorers = [[one.name, dict(one.definition())] for one in self.scorers]
            how |= {
                "system": self.system,
                "chat": self.chat,
                "params": asdict(self.params),
                "scorers": scorers,
            }
            if not self.chat:
                how["joiner"] = self.joiner
        text = json.dumps([how, asked], sort_keys=True, default=str)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def task_from_data(
    name: str,
    data: Data,
    *,
    prompt: str,
    choices: str | list[str] | None = None,
    answer: str | None = None,
    target: str | list[str] | None = None,
    target_text: str | None = None,
    id: str | None = None,
    group: str | None = None,
    tools: str | list[dict[str, Any]] | None = None,
    method: Method | None = None,
    joiner: str = " ",
    norm: Norm = "char",
    letters: bool = False,
    answers_from: int = 0,
    scorers: Sequence[Scorer | Mapping[str, Any] | str] | None = None,
    system: str = "",
    examples: Sequence[Exchange | tuple[str, str] | Mapping[str, Any]] = (),
    fewshot: int = 0,
    fewshot_data: Data | None = None,
    chat: bool = True,
    params: SamplingParams | Mapping[str, Any] | None = None,
    epochs: int = 1,
    reduction: Reduction = "mean",
    k: int = 1,
    corpus: Data | None = None,
    corpus_id: str = "id",
    corpus_text: str = "text",
    licence: str = "",
    source: str = "",
    citation: str = "",
) -> Task:
    """Make a task of rows in a file or in memory.

    Args:
        name: What results call it.
        data: JSON Lines, CSV or Parquet file, list of mappings, DataFrame or Dataset.
        prompt: Text of the prompt, fields of a row in braces.
        choices: Field with the list of choices, or one field a choice; with braces
            a form to fill in: ``"{option1} {rest}"``.
        answer: Field with the right one: an index, or a letter from A.
        target: Field with the right answer or the list of those that will do, or
            several such fields; with braces a form to fill in.
        target_text: The right answer of every row, when it is the same.
        id: Field that names a row; by default its number, from 0.
        group: Field that is equal in rows that are not independent.
        tools: Field with the tools a model may call, or those tools themselves, as
            the OpenAI API has them.
        method: How the model is asked. By default: with ``corpus`` by embeddings,
            with ``target`` or ``scorers`` by a written answer, else by choices.
        joiner: Text between prompt and choice.
        norm: What a choice's log-likelihood is divided by (see `NORMS`).
        letters: Compare the letters of the choices instead of their texts, as MMLU
            does; ``{lettered}`` in the prompt is the list of both.
        answers_from: Number of the first choice where ``answer`` is one: 0 or 1.
        scorers: What an answer is worth: values, their type names or tables as in a
            task file. By default one that suits the targets; `Task.remark` says which.
        system: Instructions put first.
        examples: Few-shot: rows to be filled into the same form, or pairs of a
            prompt and its answer.
        fewshot: How many rows of ``fewshot_data`` are shown before every question,
            its first ones; without such data the first rows, which are not asked.
        fewshot_data: Rows for that; one that is asked too is not shown.
        chat: Through the chat template; False: raw text is continued.
        params: How answers are sampled; a mapping changes `GREEDY`.
        epochs: How often each row is asked.
        reduction: What the epochs make together.
        k: Of `pass@k` and `pass^k`.
        corpus: Documents to search, for retrieval.
        corpus_id: Field with a document's id.
        corpus_text: Field with its text.
        licence: Of the data.
        source: Where the data comes from.
        citation: Of the data.

    Raises:
        DatasetInvalid: the data cannot be read, a row lacks what it must have, or
            parts contradict each other.
    """
    # Forms make tasks, and a task is made here: one of the two must import late.
    from localkit.evals.tasks.building import build
    from localkit.evals.tasks.datasets import read_rows
    from localkit.evals.tasks.form import Asking, TaskForm, checked

    form = checked(
        TaskForm,
        {
            "prompt": prompt,
            "choices": choices,
            "answer": answer,
            "target": target,
            "target_text": target_text,
            "id": id,
            "group": group,
            "tools": tools,
            "letters": letters,
            "answers_from": answers_from,
            "corpus_id": corpus_id,
            "corpus_text": corpus_text,
        },
        name,
    )
    asking = Asking(
        joiner=joiner,
        norm=norm,
        system=system,
        chat=chat,
        fewshot=fewshot,
        epochs=epochs,
        reduction=reduction,
        k=k,
        licence=licence,
        source=source,
        citation=citation,
    )
    return build(
        name,
        form,
        asking,
        read_rows(data),
        method=method or form.method(scored=bool(scorers), corpus=corpus is not None),
        scorers=scorers,
        params=params,
        examples=examples,
        fewshot_rows=None if fewshot_data is None else read_rows(fewshot_data),
        corpus_rows=None if corpus is None else read_rows(corpus),
    )
