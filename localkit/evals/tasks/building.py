"""Put a task together from its rows, its form and how it is asked."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from localkit.errors import DatasetInvalid, GrammarInvalid
from localkit.evals.scorers.registry import as_scorer
from localkit.evals.tasks.default_scorer import default_scorer
from localkit.evals.tasks.filling import field_of, text_in
from localkit.evals.tasks.kinds import GREEDY, Document, Exchange
from localkit.evals.tasks.samples import make_sample, make_samples
from localkit.evals.tasks.task import Task
from localkit.runtime.params import SamplingParams
from localkit.runtime.structured.forms import as_structure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.scorers.protocol import Scorer
    from localkit.evals.tasks.datasets import Row
    from localkit.evals.tasks.form import Asking, TaskForm
    from localkit.evals.tasks.kinds import Method
    from localkit.evals.tasks.sample import Sample

    ScorerLike = Scorer | Mapping[str, Any] | str
    ExampleLike = Exchange | tuple[str, str] | Mapping[str, Any]


def build(
    name: str,
    form: TaskForm,
    asking: Asking,
    rows: Sequence[Row],
    *,
    method: Method,
    scorers: Sequence[ScorerLike] | None = None,
    params: SamplingParams | Mapping[str, Any] | None = None,
    examples: Sequence[ExampleLike] = (),
    fewshot_rows: Sequence[Row] | None = None,
    corpus_rows: Sequence[Row] | None = None,
    remark: str = "",
) -> Task:
    """Return the task; arguments as `task_from_data`, rows read.

    Raises:
        DatasetInvalid: a row lacks what it must have, or parts contradict each other.
    """
    _check_form(name, form, method, corpus=corpus_rows is not None)
    remarks = [remark] if remark else []
    shown: Sequence[Row] = fewshot_rows or ()
    n_shown = asking.fewshot if fewshot_rows is None else 0
    if n_shown:
        shown, rows = rows[:n_shown], rows[n_shown:]
        which = "row is" if n_shown == 1 else f"{n_shown} rows are"
        remarks.append(f"The first {which} shown and not asked.")
    samples = make_samples(name, form, rows, first=n_shown)
    made = [_example(name, form, one, method) for one in examples]
    made += _fewshot(name, form, shown, asking.fewshot, samples, method)
    chosen = tuple(as_scorer(one) for one in scorers or ())
    if method == "generate" and not chosen:
        one, why = default_scorer(name, samples)
        chosen = (one,)
        remarks.append(why)
    return Task(
        name=name,
        samples=samples,
        method=method,
        joiner=asking.joiner,
        norm=asking.norm,
        scorers=chosen,
        system=asking.system,
        examples=tuple(made),
        chat=asking.chat,
        params=as_params(params, name),
        epochs=asking.epochs,
        reduction=asking.reduction,
        k=asking.k,
        licence=asking.licence,
        source=asking.source,
        citation=asking.citation,
        remark=" ".join(remarks),
        corpus=tuple(
            _document(name, form, row, number)
            for number, row in enumerate(corpus_rows or ())
        ),
    )


def as_params(value: SamplingParams | Mapping[str, Any] | None, name: str) -> Any:
    """Return sampling params; a mapping changes `GREEDY`.

    Raises:
        DatasetInvalid: there is no such param, or it is of another type.
    """
    if value is None or isinstance(value, SamplingParams):
        return value or GREEDY
    given = dict(value)
    unknown = given.keys() - {field.name for field in fields(SamplingParams)}
    if unknown:
        msg = f"{name}: params: there is no '{min(unknown)}'"
        raise DatasetInvalid(msg, hint="see SamplingParams")
    try:
        if given.get("structure") is not None:
            given["structure"] = as_structure(given["structure"])
        if isinstance(given.get("stop"), str):
            given["stop"] = (given["stop"],)
        # Types are checked on values from outside; `replace` alone takes any.
        typed = TypeAdapter(SamplingParams).validate_python(given)
    except GrammarInvalid as error:
        msg = f"{name}: params: {error.one_line()}"
        raise DatasetInvalid(msg, hint=error.hint) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        msg = f"{name}: params: {field}: {first['msg']}"
        raise DatasetInvalid(msg, hint="see SamplingParams") from error
    return replace(GREEDY, **{key: getattr(typed, key) for key in given})


def _check_form(name: str, form: TaskForm, method: Method, *, corpus: bool) -> None:
    if method == "choices" and form.choices is None:
        msg = f"task {name} ranks choices and names none"
        raise DatasetInvalid(msg, hint="give choices and answer")
    if method == "choices" and (form.target or form.target_text):
        msg = f"task {name} ranks choices and has a target for written answers"
        raise DatasetInvalid(msg, hint="give answer, or ask for a written answer")
    if (method == "retrieve") != corpus:
        has = "a corpus" if corpus else "no corpus"
        msg = f"task {name} asks by {method} and has {has}"
        raise DatasetInvalid(msg, hint="give corpus= where documents are searched")
    if method == "retrieve" and form.target is None:
        msg = f"task {name} searches and does not say what is to be found"
        raise DatasetInvalid(msg, hint="give target: the field with ids of documents")


def _fewshot(
    name: str,
    form: TaskForm,
    rows: Sequence[Row],
    wanted: int,
    samples: Sequence[Sample],
    method: Method,
) -> list[Exchange]:
    """Return the first rows as examples, without those that are asked."""
    asked = {sample.prompt for sample in samples}
    found: list[Exchange] = []
    for row in rows:
        if len(found) == wanted:
            break
        example = _example(name, form, row, method)
        if example.prompt not in asked:
            found.append(example)
    if len(found) < wanted:
        msg = f"task {name} shows {wanted} examples and has {len(found)} not asked"
        raise DatasetInvalid(msg, hint="give more rows to show, or ask for fewer")
    return found


def _example(
    name: str, form: TaskForm, example: ExampleLike, method: Method
) -> Exchange:
    if isinstance(example, tuple):
        return Exchange(*example)
    # What is shown needs no name of its own, and calls nothing.
    bare = form.model_copy(update={"id": None, "group": None, "tools": None})
    sample = make_sample(f"the examples of {name}", bare, dict(example), 0)
    if method == "choices" or not sample.target:
        if not sample.choices:
            msg = f"an example of {name} has no answer"
            raise DatasetInvalid(msg, hint="give target, or choices and answer")
        return Exchange(sample.prompt, sample.choices[sample.gold], sample.fields)
    return Exchange(sample.prompt, sample.target[0], sample.fields)


def _document(name: str, form: TaskForm, row: Row, number: int) -> Document:
    where = f"row {number} of the corpus of {name}"
    id_ = str(field_of(row, form.corpus_id, where))
    text = text_in(field_of(row, form.corpus_text, where), form.corpus_text, where)
    return Document(id_, text)
