"""The commands over what was said before: chats, and answers that are shown again."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command, group
from localkit.cli.screen import Screen, Table
from localkit.errors import LocalkitError, UsageError
from localkit.evals.report.figures import size
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.history.answers import KeptAnswer
    from localkit.history.clearing import What
    from localkit.history.conversations import Conversation, Listed
    from localkit.history.size import Size

_MAX_SHOWN = 200_000
"""Characters of a chat that `show` shows."""
_MAX_CELL = 900_000
"""Bytes that a cell may have: 1 MiB, with its wrapping (reliability, N2)."""
_NO_CHATS = "no chats yet: `%%llm --chat NAME` starts one"
_NO_ANSWERS = "no answers are kept yet"


def complete_chat(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the chats whose names begin with what was typed."""
    try:
        chats = default_kit().history.conversations.list()
    except (LocalkitError, OSError):
        return []
    return [one.name for one in chats if one.name.startswith(incomplete)]


@group("history")
def history(screen: Screen) -> Size:
    """Say what is kept of earlier sessions, and where."""
    from localkit.history import answers
    from localkit.history.size import size_of

    kit = default_kit()
    kept = size_of(kit.history)
    images = f" and {kept.n_images} images" if kept.n_images else ""
    bound = f"at most {answers.MAX_ANSWERS} and {size(answers.MAX_BYTES)}"
    lines = [
        f"{kept.path or 'in memory, until the process ends'}: {size(kept.n_bytes)}",
        f"chats: {kept.n_chats} with {kept.n_messages} messages{images}",
        f"answers: {kept.n_answers} of {size(kept.answer_bytes)} "
        f"({bound}; those used longest ago go first)",
        f"ratings and votes: {kept.n_judged}; presets: {kept.n_presets}; "
        f"versions of playgrounds: {kept.n_versions}",
    ]
    if not kit.settings.cache_answers:
        lines.append("LOCALKIT_CACHE_ANSWERS is off: no answer is kept or shown again")
    screen.say("\n".join(lines))
    return kept


@command("chats", of=history)
def chats(screen: Screen) -> list[Listed]:
    """List the chats, the one changed last first."""
    found = default_kit().history.conversations.list()
    rows = [
        (one.name, str(one.n_messages), _when(one.changed), (one.head or "")[:12])
        for one in found
    ]
    headers = ("chat", "messages", "changed", "head")
    screen.table(Table(headers, rows, "<><<", empty=_NO_CHATS))
    return found


@command("show", of=history)
@click.argument("name", shell_complete=complete_chat)
@click.option(
    "--last",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="N",
    help="Show no more than the last N messages.",
)
def show(screen: Screen, name: str, last: int) -> Conversation:
    """Show what was said in the chat NAME."""
    from localkit.history.written import as_text

    conversation = default_kit().history.conversations.show(name)
    shown, n_earlier = as_text(conversation.messages[-last:], limit=_MAX_SHOWN)
    n_earlier += max(len(conversation.messages) - last, 0)
    if n_earlier:
        screen.say(f"{n_earlier} earlier messages: `history export {name}` has them")
    screen.say(shown)
    return conversation


@command("fork", of=history)
@click.argument("name", shell_complete=complete_chat)
@click.argument("new")
def fork(screen: Screen, name: str, new: str) -> Conversation:
    """Go on from the chat NAME under another name, NEW.

    NAME may be the digest of a message, which the fork ends with.
    """
    conversation = default_kit().history.conversations.fork(name, new)
    screen.say(f"{new}: {len(conversation.messages)} messages, as {name}")
    return conversation


@command("mv", "rename", of=history)
@click.argument("name", shell_complete=complete_chat)
@click.argument("new")
def rename(screen: Screen, name: str, new: str) -> None:
    """Call the chat NAME otherwise: NEW."""
    default_kit().history.conversations.rename(name, new)
    screen.say(f"{name} is {new} now")


@command("rm", of=history)
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME…", shell_complete=complete_chat
)
def remove(screen: Screen, names: tuple[str, ...]) -> int:
    """Remove chats for good; what another chat shares with them stays."""
    gone = default_kit().history.conversations.remove(*names)
    screen.say(f"removed {', '.join(names)}: {gone} messages")
    return gone


@command("answers", of=history)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Show no more than these.",
)
def answers(screen: Screen, limit: int) -> list[KeptAnswer]:
    """List the answers that are shown again, the one used last first."""
    found = default_kit().history.answers.list()
    rows = [
        (
            one.key[:12],
            one.model,
            size(one.n_bytes),
            _when(one.made),
            _when(one.used),
        )
        for one in found[:limit]
    ]
    headers = ("answer", "model", "size", "made", "used")
    screen.table(Table(headers, rows, "<<><<", empty=_NO_ANSWERS))
    if len(found) > limit:
        screen.say(f"and {len(found) - limit} more: --limit {len(found)} shows them")
    return found


@command("clear", of=history)
@click.option("--answers", "what", flag_value="answers", help="Forget the answers.")
@click.option("--chats", "what", flag_value="chats", help="Remove every chat.")
@click.option(
    "--all",
    "what",
    flag_value="all",
    help="Both, and ratings, votes, presets and versions.",
)
def clear(screen: Screen, what: What | None) -> dict[str, int]:
    """Remove what is kept, so that no file holds it any more."""
    from localkit.history.clearing import clear as clear_history

    if what is None:
        msg = "it is not said what to remove"
        raise UsageError(msg, hint="add --answers, --chats or --all")
    cleared = clear_history(default_kit().history, what)
    counts = ", ".join(f"{count} {name}" for name, count in cleared.removed.items())
    screen.say(f"removed: {counts}")
    if not cleared.wiped:
        screen.say(
            "another process has the history open: what was removed leaves its log "
            "when that ends, or when this is run again"
        )
    return cleared.removed


@command("export", of=history)
@click.argument("name", shell_complete=complete_chat)
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Messages as the OpenAI API has them; also where FILE ends in .json.",
)
def export(screen: Screen, name: str, file: Path | None, as_json: bool) -> str:
    """Write the chat NAME as Markdown or JSON, to FILE or to the screen."""
    from localkit.history.written import as_api, as_markdown
    from localkit.io.atomic import write_atomic
    from localkit.io.disk import explained_write_errors

    messages = default_kit().history.conversations.show(name).messages
    if as_json or (file is not None and file.suffix == ".json"):
        text = json.dumps(as_api(messages), ensure_ascii=False, indent=2)
    else:
        text = as_markdown(name, messages)
    if file is None and screen.can_assign and len(text.encode()) > _MAX_CELL:
        msg = f"chat '{name}' is {size(len(text.encode()))} long, too much for a cell"
        raise UsageError(msg, hint=f"name a file: `history export {name} FILE`")
    if file is None:
        screen.say(text)
    else:
        data = f"{text}\n".encode()
        with explained_write_errors(len(data), file.parent):
            write_atomic(file, data)
        screen.say(f"written: {file} ({len(messages)} messages)")
    return text


def _when(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
