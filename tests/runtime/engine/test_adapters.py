"""LoRA: who gets which adapter, and what is refused before llama.cpp sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.errors import AdapterInvalid
from localkit.runtime.params import Adapter, SamplingParams, ServeParams
from tests.fixtures.gguf import FLOAT64, write_tiny_llama
from tests.fixtures.lora import lora, write_lora

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.runtime.session import LlamaSession

GREEDY = SamplingParams(temperature=0, max_tokens=12)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [write_lora(folder / f"{seed}.gguf", seed=seed) for seed in range(3)]


def serve(path: Path, scale: float = 1.0) -> ServeParams:
    return ServeParams(adapters=(Adapter(path, scale),))


def forget(session: LlamaSession) -> None:
    """Empty the KV cache."""

    def work(_: object) -> None:
        with session._scheduler.emptied():
            pass

    session._owner.call(work)


def score(session: LlamaSession, serve: ServeParams) -> np.ndarray:
    prompt, ending = session.tokenize("hello world"), session.tokenize(" and then")
    return session.score(prompt, [ending], serve=serve)[0].logprobs


def test_an_adapter_changes_the_logits_and_stays_off_for_the_next_request(
    tiny: LlamaSession, adapters: list[Path]
) -> None:
    plain = score(tiny, ServeParams(exact=True))
    adapted = score(tiny, serve(adapters[0]))
    assert np.abs(adapted - plain).max() > 0.01
    np.testing.assert_array_equal(score(tiny, ServeParams(exact=True)), plain)


def test_scale_0_changes_nothing_and_half_is_between(
    tiny: LlamaSession, adapters: list[Path]
) -> None:
    plain = score(tiny, ServeParams())
    off = score(tiny, serve(adapters[0], 0.0))
    half = score(tiny, serve(adapters[0], 0.5))
    whole = score(tiny, serve(adapters[0], 1.0))
    np.testing.assert_allclose(off, plain, atol=2e-3)
    assert 0.01 < np.abs(half - plain).max() < np.abs(whole - plain).max()


def test_two_adapters_at_once_are_both_on(
    tiny: LlamaSession, adapters: list[Path]
) -> None:
    both = ServeParams(adapters=(Adapter(adapters[0]), Adapter(adapters[1])))
    found = [score(tiny, one) for one in (serve(adapters[0]), serve(adapters[1]), both)]
    assert np.abs(found[2] - found[0]).max() > 0.01
    assert np.abs(found[2] - found[1]).max() > 0.01


def test_requests_with_different_adapters_at_once_each_get_their_own(
    tiny: LlamaSession, adapters: list[Path]
) -> None:
    prompt = tiny.tokenize("hello world")
    styles = [ServeParams(), *(serve(path) for path in adapters)]
    alone = [tiny.stream(prompt, GREEDY, serve=one).wait().tokens for one in styles]
    assert len(set(alone)) == 4
    streams = [tiny.stream(prompt, GREEDY, serve=one) for one in styles * 4]
    for stream in streams:
        stream.start()
    assert [stream.wait().tokens for stream in streams] == alone * 4


def test_a_cached_prefix_is_never_shared_across_adapters(
    tiny: LlamaSession, adapters: list[Path]
) -> None:
    prompt = tiny.tokenize("a prompt that is long enough to be worth something")
    reused = []
    for one in (
        ServeParams(),
        serve(adapters[0]),
        serve(adapters[0], 0.5),
        serve(adapters[0]),
        ServeParams(),
    ):
        generation = tiny.stream(prompt, GREEDY, serve=one).wait()
        reused.append(generation.usage.n_reused)
    assert reused == [0, 0, 0, len(prompt) - 1, len(prompt) - 1]


def test_a_saved_state_is_never_an_adapters(
    tiny: LlamaSession, adapters: list[Path]
) -> None:
    prompt = tiny.tokenize("a state that two of them computed")
    plain = tiny.score(prompt, [[40, 41]], serve=ServeParams(exact=True))[0]
    # Its slot holds just the prompt, and was used longer ago than the plain one.
    one_token = SamplingParams(temperature=0, max_tokens=1)
    tiny.stream(prompt, one_token, serve=serve(adapters[0])).wait()
    state = tiny.save_state(prompt)
    forget(tiny)
    tiny.restore_state(state)
    start = tiny.activity.n_computed
    restored = tiny.score(prompt, [[40, 41]])[0]
    assert tiny.activity.n_computed - start == 2
    np.testing.assert_allclose(restored.logprobs, plain.logprobs, atol=2e-3)


def refused(session: LlamaSession, path: Path, match: str) -> None:
    plain = score(session, ServeParams())
    with pytest.raises(AdapterInvalid, match=match) as caught:
        session.stream([5, 6], GREEDY, serve=serve(path)).wait()
    assert caught.value.hint
    with pytest.raises(AdapterInvalid, match=match):
        session.score([5, 6], [[7]], serve=serve(path))
    np.testing.assert_allclose(score(session, ServeParams()), plain, atol=2e-3)


def test_a_missing_adapter_is_named(tiny: LlamaSession, tmp_path: Path) -> None:
    refused(tiny, tmp_path / "none.gguf", "there is no adapter")


def test_what_is_no_gguf_is_refused(tiny: LlamaSession, tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    refused(tiny, path, "adapter_model.safetensors is not an adapter")


def test_a_model_is_no_adapter(tiny: LlamaSession, tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "model.gguf")
    refused(tiny, path, "its general.type is 'model'")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_embd": 128}, "refused"),
        ({"n_layers": 3}, "refused"),
        ({"keys": {"general.architecture": "qwen2"}}, "mismatch"),
        ({"keys": {"adapter.type": "loha"}}, "loha"),
        ({"keys": {"adapter.type": None}}, "adapter.type is None"),
        # These abort the process when llama.cpp reads them.
        ({"keys": {"adapter.lora.alpha": 16}}, "adapter.lora.alpha is 16"),
        ({"keys": {"adapter.lora.alpha": "16"}}, "adapter.lora.alpha is '16'"),
        ({"keys": {"adapter.type": 7}}, "adapter.type is 7"),
        ({"keys": {"general.architecture": 7}}, "general.architecture is 7"),
    ],
)
def test_an_adapter_of_another_model_or_a_broken_one_is_refused(
    tiny: LlamaSession, tmp_path: Path, options: dict[str, Any], match: str
) -> None:
    refused(tiny, write_lora(tmp_path / "other.gguf", **options), match)


def test_an_alpha_of_double_precision_is_refused(
    tiny: LlamaSession, tmp_path: Path
) -> None:
    builder = lora(keys={"adapter.lora.alpha": None})
    path = tmp_path / "double.gguf"
    path.write_bytes(builder.kv("adapter.lora.alpha", 4.0, FLOAT64).build())
    refused(tiny, path, "adapter.lora.alpha")


def test_half_an_adapter_is_refused(tiny: LlamaSession, tmp_path: Path) -> None:
    builder = lora()
    builder.tensor("blk.0.attn_k.weight.lora_a", (64, 4), bytes(4 * 64 * 4))
    path = tmp_path / "half.gguf"
    path.write_bytes(builder.build())
    refused(tiny, path, "lora")


def test_a_truncated_adapter_is_refused(tiny: LlamaSession, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(lora().build()[:-100])
    refused(tiny, path, r"cut.gguf is not an adapter")
