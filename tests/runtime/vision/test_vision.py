"""Images in prompts, through a projector with random weights."""

from __future__ import annotations

import gc
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from localkit.errors import (
    ContextTooLong,
    LoadFailed,
    RuntimeFailure,
    Unsupported,
    UsageError,
)
from localkit.gguf import read_info
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.isolation.proving import ProvingRuntime, identity, proved
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams, ServeParams
from localkit.runtime.vision.images import Image, read_image
from tests.fixtures.projector import (
    BLUE,
    N_POSITIONS,
    RED,
    png,
    write_tiny_projector,
    write_tiny_qwen2vl,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.session import LlamaSession
    from localkit.runtime.values import Generation

GREEDY = SamplingParams(temperature=0, max_tokens=8, top_logprobs=3)


@pytest.fixture(scope="module")
def projector_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_projector(tmp_path_factory.mktemp("projector") / "mmproj.gguf")


@pytest.fixture(scope="module")
def sighted(tiny_gguf: Path, projector_gguf: Path) -> Iterator[LlamaSession]:
    session = load(tiny_gguf, projector_gguf)
    yield session
    session.close()


def load(model: Path, projector: Path, **params: Any) -> LlamaSession:
    asked = {"n_ctx": 512, "n_threads": 1, **params}
    return LlamaRuntime().load(
        read_info(model), LoadParams(projector=projector, **asked)
    )


def question(
    session: LlamaSession, *images: Image, before: str = "look: ", after: str = " what?"
) -> list[int]:
    """Return a prompt that shows ``images`` one by one between two texts."""
    prompt = session.tokenize(before)
    for image in images:
        prompt += session.see(image)
    return prompt + session.tokenize(after, add_special=False)


def answer(
    session: LlamaSession,
    *images: Image,
    serve: ServeParams | None = None,
    **texts: str,
) -> Generation:
    prompt = question(session, *images, **texts)
    return session.stream(
        prompt, GREEDY, images=images, serve=serve or ServeParams()
    ).wait()


def logprobs(generation: Generation) -> list[float]:
    return [value for one in generation.logprobs for _, value in one.top]


def red() -> Image:
    return read_image(png(RED))


def blue() -> Image:
    return read_image(png(BLUE))


def test_an_image_becomes_positions_that_no_token_of_text_can_be(
    sighted: LlamaSession,
) -> None:
    tokens = sighted.see(red())
    assert len(tokens) == N_POSITIONS
    assert all(token < 0 for token in tokens)
    assert sighted.see(red()) == tokens
    assert set(sighted.see(blue())).isdisjoint(tokens)


def test_the_same_image_gives_the_same_logits_and_another_gives_others(
    tiny_gguf: Path, projector_gguf: Path
) -> None:
    found = []
    for image in (red(), red(), blue()):
        session = load(tiny_gguf, projector_gguf)
        found.append(logprobs(answer(session, image)))
        session.close()
    assert found[0] == found[1]
    assert np.abs(np.subtract(found[0][:3], found[2][:3])).max() > 1e-3


def test_an_image_is_computed_as_its_embeddings_are_by_hand(
    sighted: LlamaSession,
) -> None:
    """The logits behind an image are those of its embeddings in one plain batch."""
    image = red()
    prompt = question(sighted, image)
    first = answer(sighted, image).logprobs[0]

    def by_hand(_: object) -> np.ndarray[Any, np.dtype[np.float32]]:
        loaded = sighted._loaded
        engine, context, projector = loaded.engine, loaded.context, loaded.projector
        assert projector is not None
        embeddings = projector._embed(projector.see(image)[0])  # type: ignore[arg-type]
        with loaded.scheduler.emptied():
            start = next(at for at, token in enumerate(prompt) if token < 0)
            context.decode(prompt[:start], start=0, outputs=[])
            batch = engine.llama_batch_init(N_POSITIONS, embeddings.shape[1], 1)
            batch.n_tokens = N_POSITIONS
            for at in range(N_POSITIONS):
                batch.pos[at], batch.n_seq_id[at] = start + at, 1
                batch.seq_id[at][0], batch.logits[at] = 0, 0
            for at, value in enumerate(embeddings.reshape(-1)):
                batch.embd[at] = value
            assert engine.llama_decode(context.native, batch) == 0
            engine.llama_batch_free(batch)
            rest = prompt[start + N_POSITIONS :]
            context.decode(rest, start=start + N_POSITIONS, outputs=[len(rest) - 1])
            return np.array(context.logits(1)[0])

    logits = sighted._owner.call(by_hand)
    log_probs = logits - np.logaddexp.reduce(logits.astype(np.float64))
    for token, value in first.top:
        assert log_probs[token] == pytest.approx(value, abs=1e-5)


def test_an_image_and_text_are_answered_and_counted(sighted: LlamaSession) -> None:
    generation = answer(sighted, red())
    assert len(generation.tokens) == 8
    assert generation.finish_reason == "length"
    assert generation.usage.n_prompt == len(question(sighted, red()))


def test_a_second_turn_reuses_the_image_from_the_cache(
    tiny_gguf: Path, projector_gguf: Path
) -> None:
    session = load(tiny_gguf, projector_gguf)
    image = red()
    first = answer(session, image, after=" what colour is it?")
    prompt = question(session, image, after=" what colour is it?")
    again = [*prompt, *first.tokens, *session.tokenize(" why?", add_special=False)]
    n_computed = session.activity.n_computed
    second = session.stream(again, GREEDY, images=[image]).wait()
    assert second.usage.n_reused >= len(prompt)
    assert session.activity.n_computed - n_computed < len(again) - len(prompt) + 16
    fresh = load(tiny_gguf, projector_gguf)
    expected = fresh.stream(again, GREEDY, images=[image]).wait()
    assert second.tokens == expected.tokens
    session.close()
    fresh.close()


def test_another_image_at_the_same_place_is_not_taken_for_the_first(
    sighted: LlamaSession,
) -> None:
    answer(sighted, red(), before="one place: ")
    other = answer(sighted, blue(), before="one place: ")
    n_before = len(sighted.tokenize("one place: "))
    assert other.usage.n_reused <= n_before


def test_two_images_in_one_prompt_and_the_same_image_twice(
    sighted: LlamaSession,
) -> None:
    both = answer(sighted, red(), blue())
    swapped = answer(sighted, blue(), red())
    twice = answer(sighted, red(), red())
    assert len({tuple(logprobs(one)) for one in (both, swapped, twice)}) == 3


def test_requests_with_different_images_run_side_by_side(
    tiny_gguf: Path, projector_gguf: Path
) -> None:
    """Each gets what it gets alone, with a text-only request between them.

    The first token's figures: later ones may part where two tokens are as likely.
    """
    alone = []
    for images in ((red(),), (), (blue(),)):
        session = load(tiny_gguf, projector_gguf)
        alone.append(logprobs(answer(session, *images))[:3])
        session.close()
    session = load(tiny_gguf, projector_gguf)
    streams = [
        session.stream(question(session, *images), GREEDY, images=images)
        for images in ((red(),), (), (blue(),))
    ]
    for stream in streams:
        stream.start()
    together = [logprobs(stream.wait())[:3] for stream in streams]
    session.close()
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=5e-3)
    assert np.abs(np.subtract(alone[0], alone[2])).max() > 2e-2


def test_an_image_longer_than_a_micro_batch_is_computed_in_parts(
    tiny_gguf: Path, projector_gguf: Path, sighted: LlamaSession
) -> None:
    session = load(tiny_gguf, projector_gguf, n_ubatch=8, n_seq_max=2)
    assert answer(session, red()).tokens == answer(sighted, red()).tokens
    session.close()


def test_exact_serving_gives_the_same_bits_whatever_is_cached(
    sighted: LlamaSession,
) -> None:
    serve = ServeParams(exact=True)
    first = answer(sighted, red(), serve=serve)
    answer(sighted, blue())
    answer(sighted, red())
    assert logprobs(answer(sighted, red(), serve=serve)) == logprobs(first)


def test_penalties_and_prompt_lookup_pass_over_an_image(sighted: LlamaSession) -> None:
    plain = answer(sighted, red(), red(), after=" so so so so")
    guessed = answer(
        sighted,
        *(red(), red()),
        after=" so so so so",
        serve=ServeParams(speculate="prompt-lookup"),
    )
    assert guessed.tokens == plain.tokens
    params = SamplingParams(
        seed=1, max_tokens=8, repeat_penalty=1.3, dry_multiplier=0.8, repeat_last_n=256
    )
    prompt = question(sighted, red())
    assert sighted.stream(prompt, params, images=[red()]).wait().tokens


def test_a_model_without_a_projector_says_so(tiny: LlamaSession) -> None:
    with pytest.raises(Unsupported, match="without a projector") as raised:
        tiny.see(red())
    assert "projector=" in raised.value.hint
    with pytest.raises(Unsupported, match="without a projector"):
        tiny.stream([1, 2], GREEDY, images=[red()])


def test_the_fake_sees_as_the_real_one_does(tiny_gguf: Path) -> None:
    info = read_info(tiny_gguf)
    blind = FakeRuntime().load(info, LoadParams())
    with pytest.raises(Unsupported, match="without a projector"):
        blind.see(red())
    session = FakeRuntime().load(info, LoadParams(projector=tiny_gguf))
    prompt = [*session.tokenize("a"), *session.see(red()), *session.tokenize("b")]
    assert session.stream(prompt, GREEDY, images=[red()]).wait().tokens
    with pytest.raises(UsageError, match="not given"):
        session.stream(prompt, GREEDY, images=[blue()])


def test_R6_a_prompt_cannot_show_an_image_that_was_not_given(
    sighted: LlamaSession,
) -> None:
    prompt = question(sighted, red())
    with pytest.raises(UsageError, match="shows an image that was not given"):
        sighted.stream(prompt, GREEDY, images=[blue()])
    cut = [*question(sighted, red(), after="")[:-1], *sighted.tokenize(" x")]
    with pytest.raises(UsageError, match="shows an image that was not given"):
        sighted.stream(cut, GREEDY, images=[red()])
    with pytest.raises(UsageError, match="vocabulary"):
        sighted.stream(prompt, GREEDY)
    with pytest.raises(UsageError, match="vocabulary"):
        sighted.score(prompt, [[1]])


def test_R6_text_that_spells_a_marker_of_images_stays_text(
    sighted: LlamaSession,
) -> None:
    tokens = sighted.tokenize("<__media__> <image> <|vision_start|>")
    assert all(token >= 0 for token in tokens)


def test_a_prompt_that_ends_with_an_image_is_refused(sighted: LlamaSession) -> None:
    with pytest.raises(UsageError, match="ends with an image"):
        sighted.stream(question(sighted, red(), after=""), GREEDY, images=[red()])


def test_images_count_in_the_context(sighted: LlamaSession) -> None:
    many = [red()] * 40
    with pytest.raises(ContextTooLong):
        sighted.stream(question(sighted, *many), GREEDY, images=many)


@pytest.mark.parametrize(
    "serve", [ServeParams(context_shift=True), ServeParams(speculate="draft")]
)
def test_what_does_not_go_with_images_is_refused(
    sighted: LlamaSession, serve: ServeParams
) -> None:
    prompt = question(sighted, red())
    with pytest.raises(Unsupported):
        sighted.stream(prompt, GREEDY, images=[red()], serve=serve)


def test_a_projector_for_another_width_is_refused(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    other = write_tiny_projector(tmp_path / "other.gguf", n_embd=128)
    with pytest.raises(LoadFailed, match="mismatch between text model"):
        load(tiny_gguf, other)


def test_a_projector_that_lacks_a_tensor_is_refused(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    other = write_tiny_projector(
        tmp_path / "other.gguf", without="v.blk.0.attn_out.weight"
    )
    with pytest.raises(LoadFailed, match="attn_out"):
        load(tiny_gguf, other)


def test_a_cancelled_answer_leaves_the_session_usable(sighted: LlamaSession) -> None:
    stream = sighted.stream(question(sighted, red()), GREEDY, images=[red()])
    iterator = iter(stream)
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert answer(sighted, red()).finish_reason == "length"


def test_an_image_that_cannot_be_encoded_ends_its_own_request(
    sighted: LlamaSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    projector = sighted._loaded.projector
    assert projector is not None
    image = read_image(png((1, 2, 3)))
    prompt = question(sighted, image)
    monkeypatch.setattr(projector._mtmd, "mtmd_encode_chunk", lambda *_: 1)
    with pytest.raises(RuntimeFailure, match="could not encode"):
        sighted.stream(prompt, GREEDY, images=[image]).wait()
    monkeypatch.undo()
    assert len(sighted.stream(prompt, GREEDY, images=[image]).wait().tokens) == 8


def test_seeing_after_the_model_was_closed_is_an_error_and_no_crash(
    tiny_gguf: Path, projector_gguf: Path
) -> None:
    session = load(tiny_gguf, projector_gguf)
    projector = session._loaded.projector
    assert projector is not None
    session.close()
    with pytest.raises(RuntimeFailure):
        session.see(red())
    with pytest.raises(RuntimeFailure):
        projector.see(read_image(png((9, 9, 9))))


@pytest.mark.alone
def test_closing_gives_the_memory_of_images_back(
    tiny_gguf: Path, projector_gguf: Path
) -> None:
    def round_trip(index: int) -> int:
        session = load(tiny_gguf, projector_gguf)
        for shade in range(4):
            answer(session, read_image(png((shade, index, 0), (512, 512))))
        session.close()
        gc.collect()
        return psutil.Process().memory_info().rss

    sizes = [round_trip(index) for index in range(12)]
    # A leak of the pictures alone would add 3 MiB a round.
    assert sizes[-1] - sizes[4] < 8 << 20


def test_an_image_that_is_seen_whole_at_once_gets_text_around_it(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    """Gemma 3: attention in both directions; one micro-batch must hold the image."""
    projector = write_tiny_projector(tmp_path / "gemma3.gguf", kind="gemma3")
    session = load(tiny_gguf, projector)
    tokens = session.see(red())
    text = session.tokenize("<start_of_image>", add_special=False)
    assert tokens[: len(text)] == text
    assert sum(token < 0 for token in tokens) == 4
    first, other = answer(session, red()), answer(session, blue())
    assert logprobs(first)[:3] != logprobs(other)[:3]
    assert logprobs(answer(session, red())) == pytest.approx(logprobs(first), abs=0.05)
    session.close()
    small = load(tiny_gguf, projector, n_ubatch=2, n_seq_max=2)
    with pytest.raises(Unsupported, match="4 tokens at once, n_ubatch is 2") as raised:
        small.see(red())
    assert "n_ubatch>=4" in raised.value.hint
    small.close()


def test_positions_of_two_dimensions_take_more_cells_than_positions(
    tmp_path: Path,
) -> None:
    """Qwen2-VL: the text behind an image goes on at its longer side."""
    model = write_tiny_qwen2vl(tmp_path / "model.gguf")
    projector = write_tiny_projector(tmp_path / "mmproj.gguf", kind="qwen2vl_merger")
    session = load(model, projector)
    image = read_image(png(RED, (160, 96)))
    n_positions = sum(token < 0 for token in session.see(image))
    n_computed = session.activity.n_computed
    prompt = question(session, image)
    first = session.stream(prompt, GREEDY, images=[image]).wait()
    n_text = len(prompt) - n_positions
    n_cells = session.activity.n_computed - n_computed - n_text - 7
    assert (n_positions, n_cells) == (10, 60)
    again = [*prompt, *first.tokens, *session.tokenize(" why?", add_special=False)]
    second = session.stream(again, GREEDY, images=[image]).wait()
    assert second.usage.n_reused >= len(prompt)
    fresh = load(model, projector)
    assert fresh.stream(again, GREEDY, images=[image]).wait().tokens == second.tokens
    streams = [
        fresh.stream(question(fresh, one), GREEDY, images=[one])
        for one in (image, read_image(png(BLUE, (96, 160))))
    ]
    for stream in streams:
        stream.start()
    beside = logprobs(streams[0].wait())[:3]
    assert beside == pytest.approx(logprobs(first)[:3], abs=5e-3)
    assert len(streams[1].wait().tokens) == 8
    # Cells are what fills the context: 9 times 60 in 512, and 90 positions.
    with pytest.raises(ContextTooLong):
        session.stream(question(session, *[image] * 9), GREEDY, images=[image])
    session.close()
    fresh.close()


@pytest.mark.faults
def test_G5_a_projector_that_aborts_the_engine_does_so_in_a_child(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    """Of 64 patches, 48 have no row among the position embeddings."""
    bad = write_tiny_projector(
        tmp_path / "bad.gguf", metadata={"clip.vision.image_size": 64}
    )
    inner = FakeRuntime()
    with pytest.raises(LoadFailed, match="SIGABRT"):
        ProvingRuntime(inner).load(
            read_info(tiny_gguf), LoadParams(n_ctx=256, n_threads=1, projector=bad)
        )
    assert inner.loaded == []


@pytest.mark.faults
def test_a_sound_projector_is_proved_with_its_model(
    tiny_gguf: Path, projector_gguf: Path, tmp_path: Path
) -> None:
    # A file of its own: others may have proved that one in this process.
    tiny_gguf = shutil.copy(tiny_gguf, tmp_path / "model.gguf")
    params = LoadParams(n_ctx=256, n_threads=1, projector=projector_gguf)
    session = ProvingRuntime(LlamaRuntime()).load(read_info(tiny_gguf), params)
    assert session.see(red())
    session.close()
    assert not proved(identity(tiny_gguf))
