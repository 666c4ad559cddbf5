"""Settings: the only place that reads the environment."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from localkit.amounts import parse_bytes, parse_duration
from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

Effort = Literal["quick", "standard", "thorough"]
AllowCode = Literal["no", "isolated", "guarded"]


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


def _as_allow_code(value: Any) -> Any:
    """Read the words that people use for yes and no as well."""
    text = str(value).strip().lower()
    words = {"1": "isolated", "true": "isolated", "yes": "isolated", "on": "isolated"}
    return words.get(text, "no" if text in {"", "0", "false", "off"} else text)


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
    ollama_models: Path | None = Field(default=None, validation_alias="OLLAMA_MODELS")
    """Folder of Ollama's own store; default: where Ollama keeps it."""
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
    max_transfer_streams: int = Field(
        default=4,
        ge=1,
        le=64,
        validation_alias=AliasChoices(
            "LOCALKIT_MAX_TRANSFER_STREAMS", "OLLAMA_MAX_TRANSFER_STREAMS"
        ),
    )
    """Connections that one blob is pulled or pushed over at a time."""
    memory: Annotated[int | None, _read_by(parse_bytes)] = Field(default=None, ge=1)
    """Bytes that all loaded models may take together, read from ``8GiB``; default:
    what the machine has available."""
    lock: str | None = None
    """Lock file that models are held to, or ``off``; default: the nearest
    ``localkit.lock`` from the current folder upwards."""
    registry_host: str = "registry.ollama.ai"
    """Registry that the next four belong to; they are sent to no other."""
    registry_token: SecretStr | None = None
    """Token to show to it."""
    registry_user: str | None = None
    registry_password: SecretStr | None = None
    """Who to be there."""
    registry_realm: str | None = None
    """Origin that may hand out its tokens when it is another one:
    ``https://gitlab.example``."""
    docker_config: Path = Field(
        default_factory=lambda: Path.home() / ".docker",
        validation_alias=AliasChoices("LOCALKIT_DOCKER_CONFIG", "DOCKER_CONFIG"),
    )
    """Folder of docker's ``config.json``, where registry logins are looked up."""
    allow_code: Annotated[AllowCode, BeforeValidator(_as_allow_code)] = "no"
    """Whether code that a model wrote may be run against its tests: ``1`` where the
    system can shut it in (Linux namespaces), ``guarded`` also where it cannot."""
    api_key: SecretStr | None = None
    """Key to show to the server behind a model's URL."""
    api_host: str | None = None
    """Host that it belongs to, as in the URL: it is sent to no other then; default:
    any that is asked over https or on this machine."""
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias="OPENAI_API_KEY"
    )
    """The same for https://api.openai.com, and for nobody else."""
    effort: Effort = "standard"
    """How much a comparison measures when the call does not say."""
    stream: bool | None = None
    """Whether `%%llm` shows text as it comes; default: where someone can watch."""
    notebook: Path | None = Field(default=None, validation_alias="JPY_SESSION_NAME")
    """The notebook that this kernel belongs to, where the server says so."""
    fresh_run: bool = False
    """Whether this kernel runs a notebook to compare it; it starts no other then."""
    cache_answers: bool = True
    """Whether an answer is kept and shown again when the same is asked again."""
    keep_history: bool = True
    """Whether chats, answers and ratings go to disk; else they end with the process."""

    @property
    def models_dir(self) -> Path:
        """The store's folder."""
        return (self.models or self.home / "models").expanduser()

    @property
    def ollama_dirs(self) -> tuple[Path, ...]:
        """Folders that may hold Ollama's own store: the user's, the service's."""
        if self.ollama_models is not None:
            return (self.ollama_models.expanduser(),)
        return (
            Path.home() / ".ollama" / "models",
            Path("/usr/share/ollama/.ollama/models"),
        )

    @property
    def runs_db(self) -> Path:
        """The results database."""
        return self.home.expanduser() / "runs.db"

    @property
    def history_db(self) -> Path | None:
        """The history database; None: in memory."""
        return self.home.expanduser() / "history.db" if self.keep_history else None

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


class OtherTools(BaseSettings):
    """Where other programs keep models, as far as the environment moves them."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    llama_cache: Path | None = None
    """What llama.cpp's programs downloaded."""
    hf_hub_cache: Path | None = None
    """Hugging Face's cache of repos."""
    hf_home: Path | None = None
    """Folder of all that Hugging Face's libraries keep."""
    xdg_cache_home: Path | None = None
    """Caches on Linux."""
    xdg_data_home: Path | None = None
    """Data of programs on Linux."""
    localappdata: Path | None = None
    """Data of programs on Windows."""


# What a Python program needs to start and to find its packages; nothing secret.
_PASSED_ON = frozenset(
    {
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "LD_LIBRARY_PATH",
        "PATH",
        "PATHEXT",
        "PYTHONPATH",
        "PYTHONUSERBASE",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "TMPDIR",
        "USERPROFILE",
        "VIRTUAL_ENV",
    }
)


def child_environment(*, hub_cache: Path) -> dict[str, str]:
    """Return the environment of a child that works on files nobody vouches for.

    It has no credentials, and what it might look for on Hugging Face it is told not to.

    Args:
        hub_cache: Folder that stands for Hugging Face's cache there.
    """
    passed = {name: text for name, text in os.environ.items() if name in _PASSED_ON}
    return {
        **passed,
        "HF_HOME": str(hub_cache),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def kernel_environment(**changed: str) -> dict[str, str]:
    """Return this process's environment for a kernel that a notebook is run in.

    Args:
        changed: Variables that it gets other values of.
    """
    return {**os.environ, **changed}
