"""Rated prompts as a task: what was liked is what an answer should be like."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields, replace
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.evals.tasks.task import task_from_data
from localkit.io.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from localkit.chat.messages import Message
    from localkit.evals.tasks.task import Task
    from localkit.history.ratings import Rating

    Scorers = Sequence[Mapping[str, Any] | str] | None

_UNSAID_TOKENS = 256


def task_of(
    name: str,
    ratings: Sequence[Rating],
    opening: Sequence[Message],
    *,
    scorers: Scorers = None,
) -> Task:
    """Return a task whose targets are the answers that were liked.

    Prompts that were asked after the same instructions and examples as ``opening``,
    at the beginning of a conversation, are its samples. `Task.remark` says what was
    left out.

    Args:
        name: What results call it.
        ratings: Of one playground.
        opening: Instructions and examples.
        scorers: What an answer is worth, as `task_from_data` takes it; by default
            what suits the targets.

    Raises:
        UsageError: no answer was liked.
        DatasetInvalid: there is no such scorer.
    """
    rows, n_left = _rows(ratings, opening)
    if not rows:
        msg = f"no answer of {len(ratings)} that are rated can be a target"
        raise UsageError(msg, hint="like the first answer to a prompt, then try again")
    system, examples = _parts(opening)
    task = task_from_data(
        name,
        rows,
        prompt="{prompt}",
        target="target",
        scorers=scorers,
        system=system,
        examples=examples,
        params={"max_tokens": _limit(ratings)},
    )
    said = ["Targets are answers that were liked in the playground.", task.remark]
    if n_left:
        said.append(
            f"Left out: {n_left} liked answers to later turns, or asked after other "
            "instructions or examples."
        )
    return replace(task, remark=" ".join(filter(None, said)))


def save_task(task: Task, path: Path, *, overwrite: bool = False) -> Path:
    """Write a task where `localkit eval --task PATH` finds it.

    A ``.toml`` file gets its rows beside it as ``.jsonl`` and keeps everything; a
    ``.jsonl`` file holds prompts and targets, and nothing else.

    Raises:
        UsageError: the file is there already, has another ending, or would not hold
            the whole task.
    """
    rows = [{"prompt": one.prompt, "target": list(one.target)} for one in task.samples]
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if path.suffix not in (".toml", ".jsonl"):
        msg = f"a task file is called '{path.name}'"
        raise UsageError(msg, hint="end it in .toml, or .jsonl for prompts alone")
    table = path.with_suffix(".jsonl")
    for file in {path, table}:
        if file.exists() and not overwrite:
            msg = f"there is a file {file.name} already"
            raise UsageError(msg, hint="take another name, or pass overwrite=True")
    if path.suffix == ".toml":
        _check_name(path, table)
        card = _card(task, table.name)
        write_atomic(table, data.encode())
        write_atomic(path, card.encode())
    elif task.system or task.examples:
        msg = f"{path.name} would not hold the instructions and examples of the task"
        raise UsageError(msg, hint=f"write {path.with_suffix('.toml').name} instead")
    else:
        write_atomic(path, data.encode())
    return path


def _rows(
    ratings: Sequence[Rating], opening: Sequence[Message]
) -> tuple[list[dict[str, Any]], int]:
    """Return prompts with their liked answers, and how many likes are left out."""
    wanted = [[one.role, one.content] for one in opening]
    found: dict[str, list[str]] = {}
    n_left = 0
    for rating in ratings:
        if rating.score < 1 or not rating.answer.strip():
            continue
        asked = rating.candidate
        if asked.get("opening", []) != wanted or asked.get("turn", 1) != 1:
            n_left += 1
            continue
        targets = found.setdefault(rating.prompt, [])
        if rating.answer not in targets:
            targets.append(rating.answer)
    return [{"prompt": prompt, "target": one} for prompt, one in found.items()], n_left


def _limit(ratings: Sequence[Rating]) -> int:
    """Return the largest token limit that a liked answer was given."""
    liked = [one.candidate.get("params", {}) for one in ratings if one.score > 0]
    return max(int(one.get("max_tokens", _UNSAID_TOKENS)) for one in liked)


def _parts(opening: Sequence[Message]) -> tuple[str, list[dict[str, Any]]]:
    """Return the instructions, and the examples as rows of the task."""
    has_system = bool(opening) and opening[0].role == "system"
    system = opening[0].content if has_system else ""
    turns = [one.content for one in opening[has_system:]]
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return system, [{"prompt": user, "target": [said]} for user, said in pairs]


def _check_name(card: Path, table: Path) -> None:
    if not re.fullmatch(r"\w[\w.-]*", table.name):
        msg = f"a task file is called '{card.name}'"
        raise UsageError(msg, hint="name it with letters, digits, '.', '-' and '_'")


def _card(task: Task, data: str) -> str:
    """Return the task file: see `localkit.evals.tasks.form.TaskFile`."""
    name = re.sub(r"[^a-z0-9._-]+", "-", task.name.lower()).strip("-._") or "prompts"
    values: dict[str, Any] = {
        "name": name[:64],
        "kind": "generate",
        "data": data,
        "prompt": "{prompt}",
        "target": "target",
        "system": task.system,
        "params": {"max_tokens": task.params.max_tokens},
        "scorers": [_options(one) for one in task.scorers],
        "examples": [
            {"prompt": one.prompt, "target": [one.answer]} for one in task.examples
        ],
    }
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    remark = " ".join(task.remark.split())
    return "\n".join([f"# {remark}", *lines, ""])


def _options(scorer: Any) -> dict[str, Any]:
    """Return a scorer as a task file names it; defaults are left out."""
    given = {field.name: getattr(scorer, field.name) for field in fields(scorer)}
    kind = type(scorer)(**{name: given[name] for name in _needed(scorer)})
    changed = {
        field.name: given[field.name]
        for field in fields(scorer)
        if field.init
        and (
            field.name in _needed(scorer)
            or given[field.name] != getattr(kind, field.name)
        )
    }
    return {"type": scorer.definition()["type"], **changed}


def _needed(scorer: Any) -> list[str]:
    """Return the options without a default."""
    return [
        field.name
        for field in fields(scorer)
        if field.init and field.default is MISSING and field.default_factory is MISSING
    ]


def _toml(value: object) -> str:
    """Return ``value`` as TOML; what has no form there is refused.

    A text of JSON is one of TOML as well, but for U+007F.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        pairs = (f"{_toml(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    msg = f"a task file cannot hold a {type(value).__name__}"
    raise UsageError(msg, hint="use the task in Python instead of a file")
