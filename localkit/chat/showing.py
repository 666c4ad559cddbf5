"""Images in a conversation: where the template puts them, the model sees them.

A template gets text alone, with one private-use character where an image stands.
Nobody else can have written that character, so no text passes for an image.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from localkit.chat.guard import Mask
from localkit.chat.texts import message_texts, texts_in
from localkit.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from localkit.chat.messages import Message
    from localkit.runtime.protocol import Session
    from localkit.runtime.vision.images import Image

OBJECT = "\ufffc"
"""How an image is shown to people in the text of a prompt."""


class Showing(NamedTuple):
    """The images of one prompt, by the character that stands for each."""

    images: Mapping[str, Image]

    def tokens(
        self, session: Session, text: str, tokenize: Callable[[str], list[int]]
    ) -> list[int]:
        """Return the tokens of ``text``, with images where their characters stand.

        Raises:
            TemplateError: the template dropped an image.
            Unsupported: the model cannot see.
        """
        if not self.images:
            return tokenize(text)
        seen = {place: session.see(image) for place, image in self.images.items()}
        dropped = sum(place not in text for place in seen)
        if dropped:
            msg = f"the chat template drops {dropped} of {len(seen)} images"
            raise TemplateError(msg, hint="is the model made to see images?")
        tokens: list[int] = []
        for part in self._split(text):
            if part in seen:
                tokens += seen[part]
            elif part:
                tokens += tokenize(part)
        return tokens

    def spelled(self, text: str) -> str:
        """Return ``text`` with U+FFFC for each image."""
        return text.translate({ord(place): OBJECT for place in self.images})

    def _split(self, text: str) -> list[str]:
        return re.split(f"([{''.join(self.images)}])", text)


def show_images(
    messages: Sequence[Message],
    *,
    template: str,
    tools: Sequence[Mapping[str, Any]],
) -> tuple[Sequence[Message], Showing]:
    """Return the messages as text, and the images that stand in it."""
    if not any(message.images for message in messages):
        return messages, Showing({})
    written = [text for message in messages for text in message_texts(message)]
    mask = Mask([template, *written, *texts_in(list(tools))])
    places = {
        placed.image.digest: (mask.hide(placed.image.digest), placed.image)
        for message in messages
        for placed in message.images
    }

    def as_text(message: Message) -> Message:
        parts, done = [], 0
        for at, image in sorted(message.images, key=lambda placed: placed.at):
            parts += [message.content[done:at], places[image.digest][0]]
            done = at
        content = "".join([*parts, message.content[done:]])
        return replace(message, content=content, images=())

    return [as_text(message) for message in messages], Showing(dict(places.values()))
