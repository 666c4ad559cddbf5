"""What a model brings along counts where the caller does not say otherwise."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import BlobCorrupt, UsageError
from localkit.runtime.params import LoadParams, SamplingParams
from localkit.store import Recipe
from tests.fixtures.draft import write_good_draft
from tests.fixtures.kits import fake_kit
from tests.fixtures.lora import write_lora

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.kit import Kit
    from localkit.model import Model

_LOAD = LoadParams(n_ctx=512, n_seq_max=2)


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    with fake_kit(tiny_gguf) as kit:
        yield kit


def made(kit: Kit, load: LoadParams | None = _LOAD, **recipe: Any) -> Model:
    base = kit.store.resolve("tiny:f16")
    kit.store.create("made", Recipe(base, **recipe))
    return kit.load("made", load)


def prompt(model: Model, *given: Any, **options: Any) -> str:
    return str(model.chat(*given, max_tokens=1, **options).prompt)


def test_the_models_instructions_are_used_and_the_receipt_says_so(kit: Kit) -> None:
    model = made(kit, system="Be brief.", params={"temperature": 0.0, "top_k": 3})
    result = model.chat("hi", max_tokens=2)
    assert result.prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>")
    assert result.receipt.of_model == ("system", "temperature", "top_k")
    assert (result.receipt.params.temperature, result.receipt.params.top_k) == (0.0, 3)
    # What goes on from here gets them again, so they are no part of it.
    assert [one.role for one in result.messages] == ["user", "assistant"]
    json.dumps(result.receipt.as_dict())


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ("hi", {"system": "Mine."}),
        (
            [{"role": "system", "content": "Mine."}, {"role": "user", "content": "hi"}],
            {},
        ),
    ],
)
def test_the_callers_instructions_take_their_place(
    kit: Kit, given: Any, options: dict[str, Any]
) -> None:
    model = made(
        kit,
        system="Be brief.",
        messages=(
            {"role": "system", "content": "Be long."},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
        ),
    )
    text = prompt(model, given, **options)
    assert "Be " not in text
    roles = [line.split("\n")[0] for line in text.split("<|im_start|>")[1:]]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert text.startswith("<|im_start|>system\nMine.")
    result = model.chat(given, max_tokens=1, **options)
    assert result.receipt.of_model == ("2 messages",)


def test_no_instructions_can_be_asked_for(kit: Kit) -> None:
    text = prompt(made(kit, system="Be brief."), "hi", system="")
    assert "Be brief." not in text


def test_the_models_messages_come_before_every_conversation(kit: Kit) -> None:
    model = made(kit, messages=({"role": "user", "content": "first"},), system="s")
    for conversation in ("hi", [{"role": "user", "content": "hi"}]):
        text = prompt(model, conversation)
        assert text.index("s<") < text.index("first") < text.index("hi")
    first, second = model.chat(["one", "two"], max_tokens=1)
    assert "first" in first.prompt
    assert "first" in second.prompt


def test_options_that_are_given_win_one_by_one(kit: Kit) -> None:
    params = {"temperature": 0.5, "top_k": 3, "stop": ["x"], "seed": 7}
    model = made(kit, params={**params, "num_predict": 5})
    used = model.chat("hi").receipt
    assert used.params.temperature == 0.5
    assert (used.params.stop, used.params.seed, used.params.max_tokens) == (
        ("x",),
        7,
        5,
    )
    over = model.chat("hi", temperature=0.1, stop=(), seed=None, max_tokens=2).receipt
    assert (over.params.temperature, over.params.top_k) == (0.1, 3)
    assert (over.params.stop, over.params.max_tokens) == ((), 2)
    assert over.of_model == ("top_k",)
    raw = model.generate("hi").receipt
    assert raw.of_model == ("max_tokens", "seed", "stop", "temperature", "top_k")


def test_whole_sampling_params_take_nothing_from_the_model(kit: Kit) -> None:
    model = made(kit, params={"temperature": 0.5, "top_k": 3})
    used = model.chat("hi", params=SamplingParams(max_tokens=1)).receipt
    assert (used.params.temperature, used.params.top_k, used.of_model) == (0.8, 40, ())


@pytest.mark.parametrize(
    ("params", "field", "value"),
    [
        ({"repeat_last_n": -1}, "repeat_last_n", 512),
        ({"repeat_last_n": 9}, "repeat_last_n", 9),
        ({"mirostat": 2, "mirostat_tau": 4.0}, "mirostat_tau", 4.0),
        ({"dry_sequence_breakers": ["a", "b"]}, "dry_sequence_breakers", ("a", "b")),
        ({"num_predict": -1}, "max_tokens", 1024),
    ],
)
def test_parameters_of_ollama_become_sampling_params(
    kit: Kit, params: dict[str, Any], field: str, value: object
) -> None:
    used = made(kit, params=params).generate("hi").receipt.params
    assert getattr(used, field) == value


def test_minus_one_draws_a_seed(kit: Kit) -> None:
    model = made(kit, params={"seed": -1})
    assert model.chat("hi", max_tokens=1).receipt.of_model == ()


def test_the_context_length_and_the_rest_of_loading_are_the_models(kit: Kit) -> None:
    params = {"num_ctx": 300, "num_batch": 64, "num_thread": 1, "num_gpu": 0}
    used = made(kit, None, params=params).session.fingerprint
    assert (used.n_batch, used.n_threads, used.n_gpu_layers) == (64, 1, 0)
    assert used.n_ctx == 512  # the bucket that 300 falls into
    assert made(kit, LoadParams(n_ctx=256), params=params).session.n_ctx <= 512


def test_a_measurement_takes_nothing_from_the_model(kit: Kit) -> None:
    made(kit, params={"num_batch": 64, "num_ctx": 256})
    session = kit.load_apart(kit.store.resolve("made"), LoadParams(n_ctx=512))
    assert (session.fingerprint.n_batch, session.n_ctx) == (2048, 512)
    session.close()


def test_adapters_and_a_draft_are_used_unless_others_are_given(
    kit: Kit, tmp_path: Path
) -> None:
    adapter = write_lora(tmp_path / "a.gguf")
    draft = write_good_draft(tmp_path / "d.gguf")
    model = made(kit, adapters=(adapter,), draft=draft, params={"draft_num_predict": 3})
    with_both = model.chat("hi", max_tokens=1).receipt
    assert with_both.of_model == ("adapters", "n_draft", "speculate")
    assert len(with_both.adapters) == 1
    without = model.chat("hi", max_tokens=1, adapters=(), speculate="off").receipt
    assert (without.adapters, without.of_model) == ((), ("n_draft",))
    exact = model.chat("hi", max_tokens=1, exact=True).receipt  # type: ignore[call-overload] # not among the typed options
    assert "speculate" not in exact.of_model
    quiet = made(kit, adapters=(), draft=draft, params={"draft_num_predict": 0})
    assert quiet.chat("hi", max_tokens=1).receipt.of_model == ()


def test_what_has_no_effect_is_said_in_every_result(kit: Kit) -> None:
    store = kit.store
    data = b'{"brand_new":1,"num_keep":4,"numa":true,"top_k":"x","seed":7.0}\n'
    digest = hashlib.sha256(data).hexdigest()
    (store.root / "blobs" / f"sha256-{digest}").write_bytes(data)
    (path,) = (store.root / "manifests").rglob("f16")
    document = json.loads(path.read_bytes())
    document["layers"].append(
        {
            "mediaType": "application/vnd.ollama.image.params",
            "digest": f"sha256:{digest}",
            "size": len(data),
        }
    )
    path.with_name("new").write_text(json.dumps(document), encoding="utf-8")
    result = kit.load("tiny:new", _LOAD).chat("hi", max_tokens=1)
    assert result.receipt.params.seed == 7
    said = [note for note in result.notes if "no effect" in note]
    assert len(said) == 2
    assert "brand_new" in said[0]
    assert "top_k" in said[1]


def test_S5_changed_instructions_are_refused(kit: Kit) -> None:
    model = made(kit, system="be kind")
    stored = kit.store.resolve("made")
    kind = "application/vnd.ollama.image.system"
    path = stored.layout.blob(stored.manifest.of_type(kind)[0].digest)
    path.chmod(0o644)
    path.write_text("be rude", encoding="utf-8")
    with pytest.raises(BlobCorrupt):
        model.chat("hi")


def test_an_unknown_option_is_still_refused(kit: Kit) -> None:
    with pytest.raises(UsageError, match="no option"):
        made(kit).chat("hi", temprature=1)  # type: ignore[call-overload]


def test_a_map_of_another_recipe_is_another_map(kit: Kit, tmp_path: Path) -> None:
    rows, kept = [{"text": "a"}], tmp_path / "kept.db"
    first = made(kit, system="one").map(rows, "{text}", resume=kept, max_tokens=1)
    assert first.attrs["localkit"]["of_model"] == ("system",)
    for system, n_new in (("one", 0), ("two", 1)):
        model = made(kit, system=system)
        seen: list[int] = []
        model.map(
            rows,
            "{text}",
            resume=kept,
            max_tokens=1,
            on_progress=lambda one: seen.append(int(one.done)),  # noqa: B023
        )
        assert seen[0] == 1 - n_new
