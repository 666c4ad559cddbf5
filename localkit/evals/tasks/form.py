"""How rows of a data set become samples, as a person writes it down."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localkit.errors import DatasetInvalid
from localkit.evals.tasks.kinds import Method, Norm, Reduction

Form = TypeVar("Form", bound=BaseModel)


class TaskForm(BaseModel):
    """Which field of a row is what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    """Text of the prompt, fields of the row in braces: ``Question: {question}``."""
    choices: str | list[str] | None = None
    """Field that holds the list of choices, or the fields that hold one each; with
    braces a form: ``{option1} {rest}``."""
    answer: str | None = None
    """Field that says which choice is right: an index, or a letter from A."""
    answers_from: Annotated[int, Field(ge=0, le=1)] = 0
    """Number of the first choice where `answer` is a number."""
    letters: bool = False
    """Compare the letters A, B, … instead of the choices' texts, as MMLU does;
    ``{lettered}`` in the prompt is the list of both."""
    target: str | list[str] | None = None
    """Field with the right answer, or with a list of answers that will do, or
    several such fields; with braces a form. For retrieval the ids to find."""
    target_text: str | None = None
    """The right answer of every row, when it is the same."""
    id: str | None = None
    """Field that names the row; None: its number, from 0."""
    group: str | None = None
    """Field that is equal in rows that are not independent: a document, a template."""
    tools: str | list[dict[str, Any]] | None = None
    """Field with the tools that a model may call, or the tools themselves, as the
    OpenAI API has them."""
    corpus_id: str = "id"
    """Field of a document of the corpus that names it."""
    corpus_text: str = "text"
    """Field with its text."""

    def method(self, *, scored: bool, corpus: bool) -> Method:
        """Return how the model is asked, where nobody said so."""
        if corpus:
            return "retrieve"
        if self.choices is None or self.target is not None or scored:
            return "generate"
        return "choices"


class Asking(BaseModel):
    """How samples are asked and where they come from: what goes into a `Task`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    joiner: str = " "
    """Text between prompt and choice, and between an example and its answer."""
    norm: Norm = "char"
    """What a choice's log-likelihood is divided by (see `NORMS`)."""
    system: str = ""
    """Instructions put first."""
    chat: bool = True
    """Through the chat template; false: raw text is continued."""
    fewshot: Annotated[int, Field(ge=0, le=100)] = 0
    """Rows shown before every question."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 1
    """How often each sample is asked."""
    reduction: Reduction = "mean"
    """What the epochs of a sample make together."""
    k: Annotated[int, Field(ge=1)] = 1
    """Of `pass@k` and `pass^k`."""
    licence: str = ""
    """Licence of the data, as an SPDX expression."""
    source: str = ""
    """Where the data comes from."""
    citation: str = ""


FILE = r"^\w[\w.-]*$"
SHA256 = r"^[0-9a-f]{64}$"


class TaskFile(TaskForm, Asking):
    """What a task file (TOML) holds."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    kind: Literal["multiple_choice", "generate", "retrieve"]
    """By log-likelihood of choices, by a written answer, or by embeddings."""
    data: str | None = Field(default=None, pattern=FILE)
    """File beside the task file."""
    sha256: str | None = Field(default=None, pattern=SHA256)
    """Digest of the data file's bytes; None: not checked."""
    dataset: str | None = Field(default=None, pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$")
    """Data set of the Hugging Face Hub, in place of `data`."""
    subset: str | None = None
    """Its configuration."""
    split: str = "test"
    """Its part that is asked."""
    revision: str | None = None
    """Its commit; None: the newest."""
    fewshot_data: str | None = Field(default=None, pattern=FILE)
    """File beside the task file whose first rows are shown."""
    fewshot_sha256: str | None = Field(default=None, pattern=SHA256)
    fewshot_split: str | None = None
    """Part of `dataset` whose first rows are shown."""
    examples: list[dict[str, Any]] = []
    """Rows to be shown, filled into the same form."""
    corpus: str | None = Field(default=None, pattern=FILE)
    """File beside the task file with the documents to search."""
    corpus_sha256: str | None = Field(default=None, pattern=SHA256)
    params: dict[str, Any] = {}
    """How answers are sampled, where that differs from `GREEDY`."""
    scorers: list[dict[str, Any]] = []
    """``type`` and its options, one table a scorer."""

    @property
    def asks_by(self) -> Method:
        """How a model is asked."""
        return "choices" if self.kind == "multiple_choice" else self.kind

    def form(self) -> TaskForm:
        """Return the part that says which field is what."""
        return TaskForm(**{name: getattr(self, name) for name in TaskForm.model_fields})

    def asking(self) -> Asking:
        """Return the part that says how it is asked."""
        return Asking(**{name: getattr(self, name) for name in Asking.model_fields})


def checked(kind: type[Form], values: dict[str, Any], where: str) -> Form:
    """Return ``values`` as a form.

    Raises:
        DatasetInvalid: one is missing, unknown or of another type; names it.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        msg = f"{where}: {field}: {first['msg']}"
        raise DatasetInvalid(msg, hint="see the packaged tasks for the form") from error
