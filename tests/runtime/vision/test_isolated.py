"""Images that are shown to a model in a worker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Unsupported, UsageError
from localkit.gguf import read_info
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams
from localkit.runtime.vision.images import read_image
from tests.fixtures.projector import BLUE, RED, png, write_tiny_projector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.protocol import Session

GREEDY = SamplingParams(temperature=0, max_tokens=8, top_logprobs=3)


@pytest.fixture
def both(tiny_gguf: Path, tmp_path: Path) -> Iterator[tuple[Session, Session]]:
    """Load a model that sees in a worker, and here."""
    projector = write_tiny_projector(tmp_path / "mmproj.gguf")
    params = LoadParams(n_ctx=512, n_threads=1, projector=projector)
    info = read_info(tiny_gguf)
    sessions = IsolatedRuntime().load(info, params), LlamaRuntime().load(info, params)
    yield sessions
    for session in sessions:
        session.close()


def test_a_model_in_a_worker_sees_as_one_in_the_kernel(
    both: tuple[Session, Session],
) -> None:
    theirs, ours = both
    images = [read_image(png(RED)), read_image(png(BLUE))]
    prompt = ours.tokenize("look: ")
    for image in images:
        assert theirs.see(image) == ours.see(image)
        prompt += ours.see(image)
    prompt += ours.tokenize(" what?", add_special=False)
    stream = theirs.stream(prompt, GREEDY, images=images)
    pieces = list(stream)
    expected = ours.stream(prompt, GREEDY, images=images).wait()
    assert stream.generation.tokens == expected.tokens
    assert [piece.token for piece in pieces] == list(expected.tokens)
    assert [one.logprob for one in stream.generation.logprobs] == pytest.approx(
        [one.logprob for one in expected.logprobs], abs=1e-3
    )
    assert theirs.stream(prompt, GREEDY, images=images).wait().text == expected.text
    with pytest.raises(UsageError, match="was not given"):
        theirs.stream(prompt, GREEDY, images=images[:1])
    with pytest.raises(UsageError, match="not in the vocabulary"):
        theirs.stream(prompt, GREEDY)
    told = replace(GREEDY, prompt_logprobs=0)
    for session in both:
        with pytest.raises(Unsupported, match="prompt_logprobs"):
            session.stream(prompt, told, images=images)


def test_a_worker_without_a_projector_says_so(tiny_gguf: Path) -> None:
    session = IsolatedRuntime().load(
        read_info(tiny_gguf), LoadParams(n_ctx=256, n_threads=1)
    )
    with pytest.raises(Unsupported, match="without a projector"):
        session.see(read_image(png(RED)))
    session.close()
