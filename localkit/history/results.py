"""Answers as JSON, and back without a loss.

Images of the conversation are left out: whoever asks again holds them. So is the
class an answer was read into, which is a Python value.
"""

from __future__ import annotations

import dataclasses
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from localkit.chat import receipt as receipts
from localkit.chat.messages import Message
from localkit.chat.result import Result
from localkit.chat.tools import ToolCall
from localkit.errors import LocalkitError
from localkit.events import Timings, Usage
from localkit.history.messages import StoredMessage, as_message, message_to_dict
from localkit.runtime.params import SamplingParams, Structure
from localkit.runtime.values import (
    Fingerprint,
    FinishReason,
    PromptLogprob,
    TokenLogprob,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from localkit.runtime.vision.images import Image

NOT_STORED = frozenset({"form"})
_APART = NOT_STORED | {"messages"}
_NO_RESULT = (
    LocalkitError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    ValueError,
)
_NAMES: dict[str, Any] = {
    "FinishReason": FinishReason,
    "Fingerprint": Fingerprint,
    "Message": Message,
    "PromptLogprob": PromptLogprob,
    "Receipt": receipts.Receipt,
    "SamplingParams": SamplingParams,
    "Structure": Structure,
    "Timings": Timings,
    "TokenLogprob": TokenLogprob,
    "ToolCall": ToolCall,
    "Usage": Usage,
}
"""What the annotations of a result name, and import only to be checked."""


def result_to_json(result: Result) -> str:
    """Return a result as JSON.

    Raises:
        TypeError, ValueError: a call holds what JSON has no form for.
    """
    shape = _shape()
    values = {
        one.name: getattr(result, one.name)
        for one in dataclasses.fields(Result)
        if one.name not in _APART
    }
    fields = shape.model_construct(None, **values).model_dump()
    fields["messages"] = [message_to_dict(one) for one in result.messages]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def result_from_json(text: str, images: Mapping[str, Image], *, form: Any) -> Result:
    """Return the result that `result_to_json` wrote.

    Args:
        text: What it wrote.
        images: What the conversation shows, by digest.
        form: Class to read the answer into, if any.

    Raises:
        ValueError: the text is no such result, or shows another image.
    """
    try:
        fields = json.loads(text)
        messages = tuple(
            as_message(StoredMessage.model_validate_json(json.dumps(one)), images)
            for one in fields.pop("messages")
        )
        found = _shape().model_validate(fields)
        values = {name: getattr(found, name) for name in type(found).model_fields}
        return Result(**values, messages=messages, form=form)
    except _NO_RESULT as error:
        msg = f"it is no result: {_reason(error)}"
        raise ValueError(msg) from error


def _reason(error: Exception) -> str:
    """Return what is wrong without what was said: it goes to a log."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part)[:20] for part in first["loc"])
        return f"{place[:60]}: {first['type']}"
    return type(error).__name__


@lru_cache(maxsize=1)
def _shape() -> type[BaseModel]:
    """Return a model of every field of a result but those that are kept apart."""
    hints = get_type_hints(Result, localns=_NAMES)
    fields: dict[str, Any] = {
        one.name: (hints[one.name], ...)
        for one in dataclasses.fields(Result)
        if one.name not in _APART
    }
    shape = create_model(
        "StoredResult", __config__=ConfigDict(extra="forbid"), **fields
    )
    shape.model_rebuild(force=True, _types_namespace=_NAMES)
    return shape
