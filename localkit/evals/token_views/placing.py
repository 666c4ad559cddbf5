"""Where in a rendered prompt the contents of its messages stand.

Each content is rendered once more between two private-use characters that no text
uses. Where the prompt is the same without them, they tell exactly what stands where;
a template that looks into its contents may write something else, and then contents
are searched for in order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.chat.guard import Mask
from localkit.chat.prompt import equipment
from localkit.chat.texts import message_texts
from localkit.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from localkit.chat.answering import Prepared
    from localkit.chat.messages import Message
    from localkit.chat.template_choice import Choice
    from localkit.evals.token_views.spelling import Spelling
    from localkit.runtime.protocol import Session

State = Literal["whole", "changed", "left out", "dropped"]


class Place(NamedTuple):
    """Where one message's content stands in the prompt's text."""

    start: int
    end: int
    state: State
    why: str = ""


class Places(NamedTuple):
    """Whose every token is."""

    owners: tuple[int | None, ...]
    """Index of the message that a token's text comes from, a token each."""
    messages: tuple[Place, ...]
    notes: tuple[str, ...]


def place(
    session: Session,
    messages: Sequence[Message],
    prepared: Prepared,
    spellings: Sequence[Spelling],
    *,
    choice: Choice | None,
    tools: Sequence[Mapping[str, Any]] = (),
    think: bool | None = None,
) -> Places:
    """Find the contents of ``messages`` in what was rendered of them."""
    text = prepared.text

    def render(marked: Sequence[Message]) -> str:
        template = equipment(session, choice).template
        return template.render(marked, tools=tools, think=think)

    places = None
    if not any(message.images for message in messages):
        places = _marked(messages, text, render)
    if places is None:
        places = _searched(messages, text)
    starts = _starts(spellings, text)
    owners = [
        next(
            (index for index, one in enumerate(places) if one.start <= at < one.end),
            None,
        )
        for at in starts
    ]
    return Places(tuple(owners), tuple(places), tuple(_unseen(messages, text)))


def control_texts(
    session: Session, content: str, choice: Choice | None
) -> tuple[str, ...]:
    """Return the control texts of the model in ``content``, in order."""
    return tuple(equipment(session, choice).guard.controls_in(content))


def _marked(
    messages: Sequence[Message],
    text: str,
    render: Callable[[Sequence[Message]], str],
) -> list[Place] | None:
    """Return the places by rendering with marks; None where that changes the text."""
    written = [one for message in messages for one in message_texts(message)]
    mask = Mask([text, *written])
    marks, marked = [], []
    for index, message in enumerate(messages):
        begin, end = mask.hide(f"{index} begins"), mask.hide(f"{index} ends")
        core = message.content.strip()
        if not core:
            marks.append(("", "", ""))
            marked.append(message)
            continue
        lead, _, tail = message.content.partition(core)
        # Inside the blanks, so that a template may trim the content as it would.
        marked.append(replace(message, content=f"{lead}{begin}{core}{end}{tail}"))
        marks.append((begin, end, core))
    try:
        rendered = render(marked)
    except TemplateError:
        return None
    bare = rendered
    for begin, end, _ in marks:
        bare = bare.replace(begin, "").replace(end, "") if begin else bare
    if not text.startswith(bare):  # what forces a call may follow
        return None
    return [
        _between(rendered, message, one, marks)
        for message, one in zip(messages, marks, strict=True)
    ]


def _between(
    rendered: str,
    message: Message,
    mark: tuple[str, str, str],
    marks: Sequence[tuple[str, str, str]],
) -> Place:
    begin, end, core = mark
    if not core:
        return Place(0, 0, "whole", "it is empty")
    start, stop = rendered.find(begin), rendered.find(end)
    if start < 0 or stop < start:
        return Place(0, 0, "left out", "the template does not write this content")
    signs = {sign for one in marks for sign in one[:2] if sign}
    before = sum(character in signs for character in rendered[:start])
    inside = "".join(one for one in rendered[start:stop] if one not in signs)
    at = start - before
    # The blanks around it belong to it as far as they were kept.
    tail = message.content[len(message.content.rstrip()) :]
    after = "".join(one for one in rendered[stop:] if one not in signs)
    lead = message.content[: len(message.content) - len(message.content.lstrip())]
    head = "".join(one for one in rendered[:start] if one not in signs)
    kept_tail = len(tail) if tail and after.startswith(tail) else 0
    kept_lead = len(lead) if lead and head.endswith(lead) else 0
    trimmed = len(tail) + len(lead) > kept_tail + kept_lead
    state: State = "whole" if inside == core else "changed"
    why = "the template trims the blanks around it" if trimmed else ""
    if state == "changed":
        why = "the template rewrites this content"
    return Place(at - kept_lead, at + len(inside) + kept_tail, state, why)


def _searched(messages: Sequence[Message], text: str) -> list[Place]:
    """Return the places by looking for each content behind the one before."""
    found, cursor = [], 0
    for message in messages:
        content = message.content
        if not content.strip():
            found.append(Place(0, 0, "whole", "it is empty"))
            continue
        at = text.find(content, cursor)
        state: State = "whole"
        why = ""
        if at < 0:
            content = content.strip()
            at = text.find(content, cursor)
            why = "the template trims the blanks around it"
        if at < 0:
            state, why = "changed", "the template does not write this content as it is"
            found.append(Place(0, 0, state, why))
            continue
        found.append(Place(at, at + len(content), state, why))
        cursor = at + len(content)
    return found


def _starts(spellings: Sequence[Spelling], text: str) -> list[int]:
    """Return where in ``text`` each token begins; -1 for one that is not in it."""
    starts, cursor = [], 0
    for spelling in spellings:
        part, n_parts = spelling.part
        written = spelling.whole if n_parts > 1 else spelling.text
        at = _behind(text, written, cursor)
        starts.append(at)
        if at >= 0 and part == n_parts:
            cursor = at + len(written)
            if not text.startswith(written, at):  # a space that the tokenizer adds
                cursor = at + len(written.lstrip(" "))
    return starts


def _behind(text: str, written: str, cursor: int) -> int:
    """Return where ``written`` stands at ``cursor``, or soon behind it; -1: nowhere."""
    if not written:
        return -1
    for one in (written, written.lstrip(" ")):
        if one and text.startswith(one, cursor):
            return cursor
    return text.find(written, cursor, cursor + len(written) + 8)


def _unseen(messages: Sequence[Message], text: str) -> list[str]:
    """Return what the model is not shown beside contents: earlier thoughts."""
    return [
        f"the template leaves out what message {index} thought "
        f"({len(message.thinking):,} characters)"
        for index, message in enumerate(messages)
        if message.thinking.strip() and message.thinking.strip() not in text
    ]
