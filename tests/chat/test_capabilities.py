"""What a model can do is read off its files, and nothing of them is run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from localkit.chat.capabilities import (
    CAPABILITIES,
    capabilities,
    control_texts,
    of_template,
)
from localkit.chat.template_choice import Choice
from localkit.gguf import read_header
from localkit.store import Recipe, Store
from tests.chat import templates
from tests.chat.go.models import TEMPLATES
from tests.fixtures.gguf import CHATML, write_tiny_llama
from tests.security.test_templates import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

GO: dict[str, set[str]] = {
    "prompt alone": set(),
    "chatml": set(),
    "chatml by exchange": set(),
    "llama3.2 with tools": {"tools"},
    "mistral with tools": {"tools"},
    "gemma3": set(),
    "qwen2.5 with tools": {"tools"},
    "qwen2.5-coder": {"tools", "insert"},
    "qwen3": {"tools", "thinking"},
    "deepseek-r1": {"thinking"},
    "command-r": {"tools"},
    "granite3 with tools": {"tools"},
    "gpt-oss": {"tools", "thinking"},
    "vicuna by exchange": set(),
}
JINJA: dict[str, tuple[str, set[str]]] = {
    "chatml": (CHATML, set()),
    "qwen3": (templates.QWEN3, {"tools", "thinking"}),
    "r1": (templates.R1, {"thinking"}),
    "llama3": (templates.LLAMA3, {"tools"}),
    "mistral": (templates.MISTRAL, {"tools"}),
    "coder": (templates.CODER, {"tools"}),
    "gpt-oss": (templates.GPT_OSS, {"tools", "thinking"}),
    "a comment": ("{# tools and <think></think> #}{{ messages }}", set()),
    "the word in a text": ("{{ 'tools' }}{{ x.tools }} tools", set()),
    "the calls of others": ("{{ messages[0].tool_calls }}", set()),
    "a switch": ("{% if enable_thinking %}{% endif %}", {"thinking"}),
    "granite": (
        "{{ messages }}Here is my thought process: Here is my response:",
        {"thinking"},
    ),
}
FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def _can(store: Store, path: Path, **metadata: Any) -> tuple[str, ...]:
    given = {key.replace("__", "."): value for key, value in metadata.items()}
    return capabilities(store.add(write_tiny_llama(path, metadata=given), "m").model)


@pytest.mark.parametrize(("name", "can"), GO.items(), ids=GO.keys())
def test_what_a_go_template_shows(name: str, can: set[str]) -> None:
    assert of_template(Choice("go", TEMPLATES[name], "go")) == can


@pytest.mark.parametrize(("source", "can"), JINJA.values(), ids=JINJA.keys())
def test_what_a_jinja_template_shows(source: str, can: set[str]) -> None:
    assert of_template(Choice("jinja", source, "jinja")) == can


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_R5_a_hostile_template_is_looked_at_and_not_run(source: str) -> None:
    before = time.process_time()
    for kind in ("jinja", "go"):
        of_template(Choice(kind, source, ""))
    assert time.process_time() - before < 1


def test_a_model_made_for_chat_completes_and_chats(
    store: Store, tmp_path: Path
) -> None:
    assert _can(store, tmp_path / "a.gguf") == ("completion", "chat")


def test_a_model_without_a_template_only_completes(
    store: Store, tmp_path: Path
) -> None:
    found = _can(store, tmp_path / "a.gguf", tokenizer__chat_template="")
    assert found == ("completion",)


def test_a_model_that_pools_embeds_and_does_not_complete(
    store: Store, tmp_path: Path
) -> None:
    found = _can(store, tmp_path / "a.gguf", llama__pooling_type=1)
    assert found == ("embedding",)


def test_a_vocabulary_with_marks_for_gaps_fills_them(
    store: Store, tmp_path: Path
) -> None:
    plain = write_tiny_llama(tmp_path / "plain.gguf")
    tokens: Any = read_header(plain).kv["tokenizer.ggml.tokens"]
    marked = [*tokens[: -len(FIM)], *FIM]
    found = _can(store, tmp_path / "a.gguf", tokenizer__ggml__tokens=marked)
    assert found == ("completion", "chat", "insert")


def test_the_template_in_use_counts_and_not_the_other(
    store: Store, tmp_path: Path
) -> None:
    metadata = {"tokenizer.chat_template": templates.QWEN3}
    base = store.add(write_tiny_llama(tmp_path / "a.gguf", metadata=metadata), "a")
    assert capabilities(base.model) == ("completion", "chat", "tools", "thinking")
    plain = store.create("b", Recipe(base.model, template=TEMPLATES["chatml"])).model
    assert capabilities(plain) == ("completion", "chat")
    coder = store.create("c", Recipe(base.model, template=TEMPLATES["qwen2.5-coder"]))
    assert capabilities(coder.model) == ("completion", "chat", "tools", "insert")


def test_they_come_in_one_order() -> None:
    assert CAPABILITIES == (
        "completion",
        "chat",
        "tools",
        "vision",
        "embedding",
        "thinking",
        "insert",
    )


def test_control_texts_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    texts = control_texts(write_tiny_llama(tmp_path / "a.gguf"))
    assert {"<|im_start|>", "<|im_end|>"} <= texts
    assert "a" not in texts
