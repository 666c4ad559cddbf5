"""Log-likelihoods of our engine in lm-eval are those of its own `hf` model, in F32."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from localkit.kit import Kit
from tests.parity import lm_eval_reference as reference

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    find_spec("lm_eval") is None,
    reason="lm-eval is not installed (pip install 'localkit[lm-eval]')",
)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    from localkit.evals.harnesses.lm_eval.model import LocalkitLM

    folder = tmp_path_factory.mktemp("lm_eval")
    kit = Kit()
    kit.store.add(reference.write_gguf(folder / "tiny-F32.gguf"), "tiny:f32")
    try:
        with LocalkitLM(
            "tiny:f32", kit=kit, n_threads=1, kv_type="f32", flash_attn=False
        ) as model:
            return reference.log_likelihoods(model, reference.write_tasks(folder))
    finally:
        kit.close()


def test_every_log_likelihood_is_that_of_the_hf_model_as_recorded(
    ours: dict[str, list[float]],
) -> None:
    recorded = json.loads(reference.COMMITTED.read_text(encoding="utf-8"))
    theirs = recorded["log_likelihoods"]
    assert ours.keys() == theirs.keys()
    for task, found in ours.items():
        assert found == pytest.approx(theirs[task], rel=0, abs=reference.TOLERANCE)


@pytest.mark.parity
def test_every_log_likelihood_is_that_of_the_hf_model_run_now(
    ours: dict[str, list[float]], tmp_path: Path
) -> None:
    pytest.importorskip("accelerate", reason="lm-eval's hf model needs accelerate")
    pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = reference.of_hf(tmp_path)
    for task, found in ours.items():
        assert found == pytest.approx(theirs[task], rel=0, abs=reference.TOLERANCE)
