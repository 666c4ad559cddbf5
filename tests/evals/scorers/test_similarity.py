"""Similarity by embeddings, with the encoders that stand for the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.errors import Unsupported, UsageError
from localkit.evals.scorers.protocol import Answer, Surroundings
from localkit.evals.scorers.similarity import Similarity
from localkit.evals.subjects.local import LocalSubject
from localkit.evals.tasks.sample import Sample
from localkit.events import CancelToken
from localkit.kit import Kit
from localkit.runtime.params import LoadParams
from tests.fixtures.encoder import minilm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass
class Vectors:
    """A model with a vector for each text that the test names."""

    by_text: Mapping[str, Sequence[float]]
    digest: str = "sha256:vectors"

    def embed(self, texts: Sequence[str], *, cancel: object) -> NDArray[np.float32]:
        assert cancel is not None
        if "?" in texts:
            raise Unsupported("it embeds nothing", hint="take another")
        return np.array([self.by_text[text] for text in texts], np.float32)


VECTORS = Vectors({"a": (1, 0), "b": (0.6, 0.8), "c": (-1, 0), "0": (0, 0)})


def around(subject: Any) -> Surroundings:
    return Surroundings(open_subject=lambda _: subject, cancel=CancelToken())


def score(scorer: Similarity, text: str, *targets: str) -> tuple[float | None, str]:
    sample = Sample(id="0", prompt="", target=targets)
    scored = scorer.score(sample, Answer(text=text), around(VECTORS))
    return scored.value, scored.why


def test_the_nearest_target_counts() -> None:
    scorer = Similarity("m")
    assert score(scorer, "a", "c", "b")[0] == pytest.approx(0.6)
    assert score(scorer, "a", "c") == (0.0, "cosine -1.0000")
    assert score(scorer, "a", "a")[0] == 1.0


def test_a_threshold_makes_it_right_or_wrong() -> None:
    assert score(Similarity("m", threshold=0.5), "a", "b")[0] == 1.0
    assert score(Similarity("m", threshold=0.7), "a", "b")[0] == 0.0
    with pytest.raises(UsageError, match="threshold"):
        Similarity("m", threshold=1.5)


def test_what_has_no_vector_is_unscored_with_its_reason() -> None:
    scorer = Similarity("m")
    assert score(scorer, " ", "a") == (0.0, "the answer is empty")
    assert score(scorer, "a", "")[0] is None
    assert score(scorer, "0", "a") == (None, "'m' gave a vector of no length")
    value, why = score(scorer, "?", "a")
    assert value is None
    assert "it embeds nothing → take another" in why
    held = scorer.pinned("sha256:other")
    assert "another model now" in score(held, "a", "a")[1]
    assert held.definition()["digest"] == "sha256:other"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSubject]:
    home = tmp_path_factory.mktemp("minilm")
    path: Path = home / "minilm.gguf"
    path.write_bytes(minilm().build())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALKIT_HOME", str(home))
        kit = Kit()
        kit.store.add(path, "minilm:f32")
        session = kit.load_apart(kit.resolve("minilm:f32"), LoadParams(n_ctx=256))
        yield LocalSubject(kit.resolve("minilm:f32"), session)
        session.close()
        kit.close()


@pytest.mark.thorough
@pytest.mark.model
def test_a_real_encoder_puts_a_paraphrase_before_something_else(
    real: LocalSubject,
) -> None:
    sample = Sample(id="0", prompt="", target=("The cat sat on the mat.",))
    near, far = (
        Similarity("m").score(sample, Answer(text=text), around(real)).value
        for text in ("A cat was sitting on a rug.", "Interest rates rose in May.")
    )
    assert near is not None
    assert far is not None
    assert near > 0.6 > 0.3 > far
