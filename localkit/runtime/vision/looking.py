"""Prompts with images: which positions show what, and what goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import Unsupported, UsageError
from localkit.runtime.vision.vision import Media

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.params import SamplingParams, ServeParams
    from localkit.runtime.vision.vision import Seen


def flat(seen: Seen) -> list[int]:
    """Return ``seen`` as the tokens of a prompt."""
    tokens: list[int] = []
    for part in seen:
        if isinstance(part, int):
            tokens.append(part)
        else:
            tokens += [part.token] * part.n_positions
    return tokens


def place(prompt: Sequence[int], seen: Iterable[Seen]) -> Mapping[int, Media]:
    """Return the media of ``prompt`` by the position they begin at.

    Raises:
        UsageError: the prompt shows an image that was not given, or ends with one.
    """
    known = {
        part.token: part for one in seen for part in one if isinstance(part, Media)
    }
    placed: dict[int, Media] = {}
    at = 0
    while at < len(prompt):
        token = prompt[at]
        if token >= 0:
            at += 1
            continue
        media = known.get(token)
        run = prompt[at : at + media.n_positions] if media else ()
        if media is None or list(run) != [token] * media.n_positions:
            msg = f"position {at} of the prompt shows an image that was not given"
            raise UsageError(msg, hint="pass images=… as they were given to `see`")
        placed[at] = media
        at += media.n_positions
    if prompt and prompt[-1] < 0:
        msg = "the prompt ends with an image"
        raise UsageError(msg, hint="let text follow: the model goes on after a token")
    return placed


def check(params: SamplingParams, serve: ServeParams) -> None:
    """Refuse what does not go together with images.

    Raises:
        Unsupported: a context shift would cut images in two; a draft model sees none;
            no token of a vocabulary stands where an image does.
    """
    if params.prompt_logprobs is not None:
        msg = "a prompt with images has no prompt_logprobs"
        raise Unsupported(msg, hint="leave prompt_logprobs out, or the images")
    if serve.context_shift:
        msg = "a context with images cannot be shifted"
        raise Unsupported(msg, hint="leave context_shift=False, or load more n_ctx")
    if serve.speculate == "draft":
        msg = "a draft model cannot look at images"
        raise Unsupported(msg, hint="use speculate='prompt-lookup' or 'off'")


def blind(info: ModelInfo) -> Unsupported:
    """Return the error for a model without a projector."""
    msg = f"{info.name} was loaded without a projector, so it cannot see images"
    hint = "load with projector=…, the mmproj file published with the model"
    return Unsupported(msg, hint=hint)
