"""Messages as JSON, and the hash that links each to what was said before it.

The text is canonical: fields in one order, none that is empty, no spaces. Arguments
of calls keep the order they were made in, because templates write them so. Images
lie beside the messages (`history.images`); the JSON names them by digest.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from localkit.chat.messages import Message
from localkit.chat.parts import PlacedImage
from localkit.chat.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localkit.runtime.vision.images import Image

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""64 lower-case hexadecimal digits."""


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StoredCall(_Stored):
    """A call as it is stored."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


class StoredImage(_Stored):
    """Where an image stands in a message."""

    at: int
    digest: Digest


class StoredMessage(_Stored):
    """A message as it is stored; what it does not have is left out."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    thinking: str = ""
    tool_calls: tuple[StoredCall, ...] = ()
    name: str = ""
    tool_call_id: str = ""
    images: tuple[StoredImage, ...] = ()


def message_to_json(message: Message) -> str:
    """Return the canonical text of a message."""
    return canonical(message_to_dict(message))


def message_to_dict(message: Message) -> dict[str, Any]:
    """Return a message as plain values, ready for JSON."""
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thinking:
        fields["thinking"] = message.thinking
    if message.tool_calls:
        fields["tool_calls"] = [
            {"name": call.name, "arguments": call.arguments}
            | ({"id": call.id} if call.id else {})
            for call in message.tool_calls
        ]
    if message.name:
        fields["name"] = message.name
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    if message.images:
        fields["images"] = [
            {"at": placed.at, "digest": placed.image.digest}
            for placed in message.images
        ]
    return fields


def message_from_json(text: str, images: Mapping[str, Image]) -> Message:
    """Return the message that `message_to_json` wrote.

    Args:
        text: What it wrote.
        images: What the message may show, by digest.

    Raises:
        ValueError: the text is no such message.
        KeyError: an image is not among ``images``; holds its digest.
        UsageError: the values are no message.
    """
    return as_message(StoredMessage.model_validate_json(text), images)


def as_message(stored: StoredMessage, images: Mapping[str, Image]) -> Message:
    """Return what was stored as a message; raises as `message_from_json`."""
    return Message(
        stored.role,
        stored.content,
        thinking=stored.thinking,
        tool_calls=tuple(
            ToolCall(call.name, call.arguments, call.id) for call in stored.tool_calls
        ),
        name=stored.name,
        tool_call_id=stored.tool_call_id,
        images=tuple(
            PlacedImage(placed.at, images[placed.digest]) for placed in stored.images
        ),
    )


def link(parent: str | None, message: str) -> str:
    """Return the digest of a message that follows ``parent``.

    Args:
        parent: Digest of what was said before; None: nothing was.
        message: Its canonical text.
    """
    parent_json = "null" if parent is None else f'"{parent}"'
    whole = f'{{"parent":{parent_json},"message":{message}}}'
    return hashlib.sha256(whole.encode()).hexdigest()


def images_of(messages: Iterable[Message]) -> dict[str, Image]:
    """Return what ``messages`` show, by digest."""
    return {
        placed.image.digest: placed.image
        for message in messages
        for placed in message.images
    }


def canonical(value: object) -> str:
    """Return ``value`` as JSON without spaces, keys in the order they are in."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
