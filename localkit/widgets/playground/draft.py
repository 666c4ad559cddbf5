"""What is about to be asked: prompt, variables, examples, columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from localkit.chat.messages import Message
from localkit.errors import UsageError
from localkit.widgets.playground.fields import field_names, fill

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARS = 200_000
"""Of all texts of a draft together."""
MAX_COLUMNS = 8
MAX_EXAMPLES = 32

Kind = TypeVar("Kind", bound=BaseModel)
Text = Annotated[str, Field(max_length=MAX_CHARS)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class Setup(BaseModel):
    """A model and how it is asked: one column. None: the model's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ref: Annotated[str, Field(min_length=1, max_length=400)]
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**32 - 2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    n_ctx: Annotated[int, Field(ge=32, le=10_000_000)] | None = None
    think: bool | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What was said of how to ask, by name."""
        return self.model_dump(exclude_none=True, exclude={"ref"})

    @property
    def sampling(self) -> dict[str, Any]:
        """The part of it that goes with every answer."""
        return self.model_dump(exclude_none=True, exclude={"ref", "n_ctx", "think"})

    def words(self) -> str:
        """Return what was said, for a reader; empty if nothing was."""
        return " · ".join(
            f"{name} {_word(value)}" for name, value in self.given.items()
        )


def params_words(params: Mapping[str, object]) -> str:
    """Return params for a reader, in the order in which a column has them."""
    named = [name for name in Setup.model_fields if name in params]
    return " · ".join(f"{name} {_word(params[name])}" for name in named)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


class Example(BaseModel):
    """A question with its answer, shown before the prompt as two turns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: Text
    assistant: Text


class Draft(BaseModel):
    """Everything that a run depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Text = ""
    system: Text = ""
    """Empty: the model's own, if any."""
    variables: Annotated[dict[Name, Text], Field(max_length=200)] = {}
    examples: Annotated[list[Example], Field(max_length=MAX_EXAMPLES)] = []
    columns: Annotated[list[Setup], Field(max_length=MAX_COLUMNS)] = []

    @model_validator(mode="after")
    def _not_too_long(self) -> Self:
        pairs = [text for one in self.examples for text in (one.user, one.assistant)]
        texts = [self.prompt, self.system, *self.variables.values(), *pairs]
        if sum(map(len, texts)) > MAX_CHARS:
            msg = f"the texts are longer than {MAX_CHARS:,} characters together"
            raise ValueError(msg)
        return self

    @property
    def fields(self) -> list[str]:
        """Names of the variables that its texts want."""
        pairs = [text for one in self.examples for text in (one.user, one.assistant)]
        return field_names([self.prompt, self.system, *pairs])

    def opening(self) -> tuple[Message, ...]:
        """Return what stands before the prompt: instructions and examples.

        Raises:
            UsageError: a variable has no value.
        """
        messages = []
        if self.system.strip():
            messages.append(Message("system", self.filled(self.system)))
        for one in self.examples:
            messages.append(Message("user", self.filled(one.user)))
            messages.append(Message("assistant", self.filled(one.assistant)))
        return tuple(messages)

    def question(self) -> str:
        """Return the prompt with its variables filled in.

        Raises:
            UsageError: it is empty, or a variable has no value.
        """
        text = self.filled(self.prompt)
        if not text.strip():
            msg = "the prompt is empty"
            raise UsageError(msg, hint="write one first")
        return text

    def filled(self, text: str) -> str:
        """Return ``text`` with the variables filled in.

        Raises:
            UsageError: one has no value.
        """
        return fill(text, self.variables)


def as_draft(values: Mapping[str, Any]) -> Draft:
    """Return ``values`` as a draft.

    Raises:
        UsageError: one of them makes no sense; names it.
    """
    return _checked(Draft, values)


def as_setup(values: Mapping[str, Any]) -> Setup:
    """Return ``values`` as the setup of a column.

    Raises:
        UsageError: one of them makes no sense; names it.
    """
    return _checked(Setup, values)


def _checked(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the draft"
        msg = f"{where}: {first['msg']}"
        known = ", ".join(kind.model_fields)
        raise UsageError(msg, hint=f"there is {known}") from error
