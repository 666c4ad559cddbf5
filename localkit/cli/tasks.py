"""The command that shows what models can be asked and measured on."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.screen import Screen, Table

if TYPE_CHECKING:
    from localkit.evals.tasks.catalog import Text
    from localkit.evals.tasks.task import Task

_HEADERS = ("name", "asked by", "items", "scored by", "licence", "source")
_EMPTY = "no tasks come with this installation: install localkit again"
_METHODS = {
    "choices": "likelihood of choices",
    "generate": "written answer",
    "retrieve": "embeddings",
}
MAX_SHOWN = 2000


@command("tasks")
@click.argument("name", metavar="[NAME|FILE]", required=False)
@click.option(
    "--scorers", is_flag=True, help="List the scorers that a task file may name."
)
def tasks(
    screen: Screen, name: str | None, scorers: bool
) -> dict[str, Task | Text] | Task | Text | list[str]:
    """List the tasks and texts that come along, or show one as it is asked.

    FILE is a task file (TOML), or data alone (CSV, JSON Lines, Parquet): then it says
    which columns were taken and how answers are scored. `compare` takes the same
    names and files after --task and --text.
    """
    from localkit.evals.tasks.catalog import load_task, load_text, text_names

    if scorers:
        return _list_scorers(screen)
    if name is None:
        return _list(screen)
    if name in text_names():
        text = load_text(name)
        _show_text(screen, text)
        return text
    task = load_task(name)
    _show_task(screen, task)
    return task


def _list(screen: Screen) -> dict[str, Task | Text]:
    from localkit.evals.tasks.catalog import (
        load_task,
        load_text,
        task_names,
        text_names,
    )
    from localkit.evals.tasks.suites import suites

    found: dict[str, Task | Text] = {}
    rows = []
    for name in task_names():
        task = load_task(name)
        found[name] = task
        rows.append(
            (
                name,
                _METHODS[task.method],
                str(len(task.samples)),
                _scored_by(task),
                task.licence,
                _short(task.source),
            )
        )
    for name in text_names():
        text = load_text(name)
        found[name] = text
        size = f"{len(text.text.encode()) / 1024:.0f} KiB"
        scored = "perplexity, KL divergence"
        rows.append((name, "text", size, scored, text.licence, _short(text.source)))
    screen.table(Table(_HEADERS, rows, "<<><<<", empty=_EMPTY))
    groups = [
        (one.name, one.about, ", ".join((*one.texts, *one.tasks)))
        for one in suites().values()
    ]
    screen.say("")
    screen.table(Table(("suite", "for", "measures"), groups, "<<<", empty=_EMPTY))
    return found


def _list_scorers(screen: Screen) -> list[str]:
    from localkit.evals.scorers.registry import (
        scorer_class,
        scorer_options,
        scorer_types,
    )

    rows = []
    for name in scorer_types():
        said = inspect.cleandoc(scorer_class(name).__doc__ or "")
        sentence = " ".join(said.partition("\n\n")[0].split())
        options = [one for one in scorer_options(name) if one != "name"]
        rows.append((name, sentence.replace("``", ""), ", ".join(options)))
    headers = ("type", "what an answer is worth", "options")
    screen.table(Table(headers, rows, "<<<", empty=_EMPTY))
    return scorer_types()


def _show_task(screen: Screen, task: Task) -> None:
    from localkit.chat.tools import as_tools
    from localkit.evals.tasks.prompts import messages_of, text_of

    first = task.samples[0]
    facts = [
        ("asked by", _METHODS[task.method]),
        ("items", str(len(task.samples))),
        ("scored by", _scored_by(task)),
        ("examples shown", str(len(task.examples))),
        ("asked", f"{task.epochs} times each, {task.reduction}"),
        ("documents", str(len(task.corpus))),
        ("licence", task.licence),
        ("source", task.source),
        ("digest", task.digest),
    ]
    plain = {"examples shown": "0", "asked": "1 times each, mean", "documents": "0"}
    rows = [(key, said) for key, said in facts if said and plain.get(key) != said]
    screen.table(Table(("task", task.name), rows, "<<", empty=_EMPTY))
    if task.remark:
        screen.say(f"\n{task.remark}")
    screen.say(f"\nitem {first.id}, as it is asked:")
    if task.method == "generate" and task.chat:
        for message in messages_of(task, first):
            screen.say(f"[{message.role}] {_cut(message.content)}")
    else:
        screen.say(_cut(text_of(task, first)))
    for tool in as_tools(first.fields.get("tools") or ()):
        screen.say(f"tool: {tool.name}")
    for number, choice in enumerate(first.choices):
        right = "  <- right" if number == first.gold else ""
        screen.say(f"  choice {number}: {_cut(choice)}{right}")
    for target in first.target:
        screen.say(f"right answer: {_cut(target)}")


def _show_text(screen: Screen, text: Text) -> None:
    rows = [
        ("bytes", str(len(text.text.encode()))),
        ("licence", text.licence),
        ("source", text.source),
        ("digest", text.digest),
    ]
    screen.table(Table(("text", text.name), rows, "<<", empty=_EMPTY))
    screen.say(f"\nit begins:\n{_cut(text.text)}")


def _scored_by(task: Task) -> str:
    if task.method == "choices":
        return f"norm {task.norm}"
    if task.method == "retrieve":
        from localkit.evals.scorers.retrieval import MEASURES

        return ", ".join(MEASURES)
    return ", ".join(scorer.name for scorer in task.scorers)


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 70 else f"{line[:69]}…"


def _cut(text: str) -> str:
    if len(text) <= MAX_SHOWN:
        return text
    return f"{text[:MAX_SHOWN]}… ({len(text) - MAX_SHOWN} characters more)"
