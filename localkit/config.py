"""Settings: the only place that reads the environment."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from localkit.amounts import parse_bytes, parse_duration
from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

Effort = Literal["quick", "standard", "thorough"]


def _read_by(parse: Callable[[str], float]) -> BeforeValidator:
    """Return a validator that reads text with ``parse`` and says why it cannot."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except UsageError as error:  # pydantic collects nothing but ValueError
            raise ValueError(error.one_line()) from error

    return BeforeValidator(read)


class Settings(BaseSettings):
    """What a user may set through the environment, with its default.

    Each knob is ``LOCALKIT_<NAME>``; where Ollama has the same knob, its
    ``OLLAMA_<NAME>`` is read too and ours wins.
    """

    model_config = SettingsConfigDict(
        env_prefix="LOCALKIT_", extra="ignore", populate_by_name=True
    )

    home: Path = Field(default_factory=lambda: Path.home() / ".localkit")
    """Folder of everything localkit keeps: models, results, caches."""
    models: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("LOCALKIT_MODELS", "OLLAMA_MODELS"),
    )
    """Folder of the model store, laid out as Ollama's; default ``home/models``."""
    n_threads: int | None = Field(default=None, ge=1, le=512)
    """Engine threads; default: chosen at load from what the machine has free."""
    n_gpu_layers: int | None = Field(default=None, ge=-1)
    """Layers to put on a GPU; default: as many as fit; -1: all."""
    context_length: int = Field(
        default=4096,
        ge=32,
        validation_alias=AliasChoices(
            "LOCALKIT_CONTEXT_LENGTH", "OLLAMA_CONTEXT_LENGTH"
        ),
    )
    """Context length in tokens when a load does not name one (capped to training)."""
    max_tokens: int = Field(default=1024, ge=1)
    """Tokens an answer may have when the call does not say; said when it bites."""
    keep_alive: Annotated[float, _read_by(parse_duration)] = Field(
        default=300.0,
        ge=0,
        validation_alias=AliasChoices("LOCALKIT_KEEP_ALIVE", "OLLAMA_KEEP_ALIVE"),
    )
    """Seconds that an unused model stays loaded; read from ``5m``, ``1h30m``, ``300``,
    ``0``, or ``-1`` for ever."""
    max_loaded_models: int = Field(
        default=0,
        ge=0,
        validation_alias=AliasChoices(
            "LOCALKIT_MAX_LOADED_MODELS", "OLLAMA_MAX_LOADED_MODELS"
        ),
    )
    """Models loaded side by side; 0: as many as memory holds."""
    max_queue: int = Field(
        default=512,
        ge=0,
        validation_alias=AliasChoices("LOCALKIT_MAX_QUEUE", "OLLAMA_MAX_QUEUE"),
    )
    """Requests that may wait while a model loads; one more is refused."""
    memory: Annotated[int | None, _read_by(parse_bytes)] = Field(default=None, ge=1)
    """Bytes that all loaded models may take together, read from ``8GiB``; default:
    what the machine has available."""
    effort: Effort = "standard"
    """How much a comparison measures when the call does not say."""
    stream: bool | None = None
    """Whether `%%llm` shows text as it comes; default: where someone can watch."""

    @property
    def models_dir(self) -> Path:
        """The store's folder."""
        return (self.models or self.home / "models").expanduser()

    @property
    def runs_db(self) -> Path:
        """The results database."""
        return self.home.expanduser() / "runs.db"

    @property
    def cache_dir(self) -> Path:
        """Folder of what can be computed again (reference logits)."""
        return self.home.expanduser() / "cache"

    @property
    def reports_dir(self) -> Path:
        """Folder that comparisons write their reports to when the call names none."""
        return self.home.expanduser() / "reports"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings, read once.

    Raises:
        UsageError: a variable has a value that makes no sense; names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper().removeprefix("LOCALKIT_")
        ours = first["msg"].removeprefix("Value error, ")
        reason = ours if ours != first["msg"] else ours.lower()
        msg = f"LOCALKIT_{name} is {first['input']!r}: {reason}"
        raise UsageError(msg, hint="change or unset it, then start again") from error
