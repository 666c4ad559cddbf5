"""The whole way: a repo, a choice, a model of the store that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.config import settings
from localkit.errors import DoesNotFit, RegistryError, SourceNotFound, StoreError
from localkit.kit import Kit
from localkit.runtime.protocol import LoadParams
from tests.fixtures.gguf import tiny_llama
from tests.fixtures.hub import HubRepo
from tests.fixtures.projector import tiny_projector
from tests.fixtures.splitting import split

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.hub import FakeHub

REPO = "hf.co/org/Tiny"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Return a function that says how many bytes models may take."""

    def limit(n_bytes: int) -> Kit:
        monkeypatch.setenv("LOCALKIT_MEMORY", str(n_bytes))
        settings.cache_clear()
        return Kit()

    yield limit
    settings.cache_clear()


def test_a_repo_is_pulled_chosen_stored_and_answers(
    repo: HubRepo, kit: Kit, hub: FakeHub
) -> None:
    pulled = kit.pull(REPO)
    assert str(pulled.model.ref) == f"{REPO}:Q8_0"
    assert pulled.source == f"{REPO}:Q8_0"
    assert pulled.method in ("hardlink", "reflink")
    weighing = pulled.weighing
    assert weighing is not None
    assert [row.label for row in weighing.rows] == ["F16", "Q8_0", "Q4_K_M", "Q2_K"]
    assert weighing.chosen == "Q8_0"
    assert "more than 8 bits are taken only by name" in weighing.why
    # One header for all of them, then the one file.
    assert len(hub.asked("GET", "/cdn/")) == 2
    answer = kit.load(f"{REPO}:Q8_0").generate("hello", max_tokens=3)
    assert answer.usage.n_generated >= 1


def test_bits_and_memory_are_known_before_a_download(
    repo: HubRepo, kit: Kit, hub: FakeHub, ladder: dict[str, bytes]
) -> None:
    weighing = kit.quants(REPO)
    assert kit.store.list() == []
    assert hub.n_sent < sum(map(len, ladder.values())) / 2
    for row in weighing.rows:
        stored = kit.pull(f"{REPO}:{row.label}").model
        info = stored.info
        assert row.size == info.file_size
        assert row.bits_per_weight == pytest.approx(info.bits_per_weight, rel=0.01)
        again = kit.quants(f"{REPO}:{row.label}").rows[0]
        assert again.needed == pytest.approx(row.needed, rel=0.001)


@pytest.mark.parametrize("wanted", ["Q8_0", "Q4_K_M", "Q2_K"])
def test_R3_the_choice_is_the_largest_that_a_real_load_accepts(
    repo: HubRepo, kit: Kit, memory: object, wanted: str
) -> None:
    rows = {row.label: row for row in kit.quants(REPO).rows}
    labels = list(rows)
    needed = rows[wanted].needed
    above = rows[labels[labels.index(wanted) - 1]].needed
    assert needed is not None
    assert above is not None
    short = memory((needed + above) // 2)  # type: ignore[operator]
    pulled = short.pull(REPO)
    assert pulled.weighing is not None
    assert pulled.weighing.chosen == wanted
    assert short.load(pulled.model.ref).session.n_ctx == 4096
    short.close()
    larger = labels[labels.index(wanted) - 1]
    refused = pulled.weighing.row(larger)
    assert not refused.fits
    if refused.verdict == "no":
        refusing = Kit()
        stored = refusing.pull(f"{REPO}:{larger}").model
        with pytest.raises(DoesNotFit):
            refusing.load(stored, LoadParams(n_ctx=4096))
        refusing.close()


def test_room_for_the_asked_context_decides(
    repo: HubRepo, kit: Kit, memory: object
) -> None:
    needed = kit.quants(REPO, n_ctx=4096).row("Q8_0").needed
    assert needed is not None
    short = memory(needed - (1 << 20))  # type: ignore[operator]
    chosen = {n: short.quants(REPO, n_ctx=n).chosen for n in (256, 4096)}
    assert chosen == {256: "Q8_0", 4096: "Q4_K_M"}
    assert short.pull(REPO, n_ctx=4096).model.info.quant == "Q4_K_M"


def test_nothing_that_fits_is_an_error_that_names_the_smallest(
    repo: HubRepo, memory: object, hub: FakeHub
) -> None:
    short = memory(1 << 20)  # type: ignore[operator]
    with pytest.raises(StoreError, match="none of the 4 quants") as caught:
        short.pull(REPO)
    assert "Q2_K, the smallest, needs" in str(caught.value)
    assert f"{REPO}:Q2_K" in caught.value.hint
    assert short.store.list() == []


def test_a_named_quant_is_taken_unweighed(
    repo: HubRepo, kit: Kit, hub: FakeHub
) -> None:
    pulled = kit.pull(f"{REPO}:q4_k_m", "mine", n_ctx=1024)
    assert str(pulled.model.ref) == "mine:q4_k_m"
    assert pulled.weighing is None
    assert len(hub.asked("GET", "/cdn/")) == 1
    assert "was named" in pulled.notes[0]


def test_a_file_is_named_by_its_path_or_its_page(repo: HubRepo, kit: Kit) -> None:
    page = "https://huggingface.co/org/Tiny/blob/main/Tiny-Q2_K.gguf"
    assert str(kit.pull(page).model.ref) == f"{REPO}:Q2_K"
    assert str(kit.pull(f"{REPO}/Tiny-F16.gguf").model.ref) == f"{REPO}:F16"


def test_a_wrong_quant_is_answered_with_those_that_there_are(
    repo: HubRepo, kit: Kit
) -> None:
    with pytest.raises(SourceNotFound, match="no quant 'Q5_K_M'") as caught:
        kit.pull(f"{REPO}:Q5_K_M")
    assert caught.value.hint == "there is Q2_K, Q4_K_M, Q8_0, F16"


def test_a_split_quant_is_weighed_by_all_its_parts_and_answers(
    hub: FakeHub, kit: Kit, tmp_path: Path, ladder: dict[str, bytes]
) -> None:
    whole = tmp_path / "whole.gguf"
    whole.write_bytes(ladder["Q4_K_M"])
    parts = split(whole, tmp_path / "parts", "Tiny-Q4_K_M", n_parts=3)
    hub.repos["org/Tiny"] = HubRepo(
        {f"Q4_K_M/{part.name}": part.read_bytes() for part in parts}
    )
    pulled = kit.pull(REPO)
    assert pulled.weighing is not None
    (row,) = pulled.weighing.rows
    info = pulled.model.info
    assert row.bits_per_weight == pytest.approx(info.bits_per_weight, rel=0.01)
    assert pulled.method == "merged"
    assert kit.load(f"{REPO}:Q4_K_M").generate("hi", max_tokens=2).usage.n_generated


def test_a_close_call_about_a_split_quant_is_decided_by_arithmetic(
    hub: FakeHub, kit: Kit, tmp_path: Path, ladder: dict[str, bytes], memory: object
) -> None:
    whole = tmp_path / "whole.gguf"
    whole.write_bytes(ladder["Q4_K_M"])
    parts = split(whole, tmp_path / "parts", "Tiny-Q4_K_M", n_parts=2)
    hub.repos["org/Tiny"] = HubRepo({part.name: part.read_bytes() for part in parts})
    needed = kit.quants(REPO).rows[0].needed
    assert needed is not None
    verdicts = [
        memory(int(needed * share)).quants(REPO).rows[0].verdict  # type: ignore[operator]
        for share in (1.1, 0.97, 0.2)
    ]
    assert verdicts == ["fits", "tight", "no"]


def test_a_projector_counts_before_and_after_the_download(
    repo: HubRepo, kit: Kit
) -> None:
    without = kit.quants(REPO).row("Q8_0").needed
    repo.files["mmproj-F16.gguf"] = tiny_projector(n_embd=512).build()
    needed = kit.quants(REPO).row("Q8_0").needed
    assert needed is not None
    assert without is not None
    assert needed > without
    pulled = kit.pull(f"{REPO}:Q8_0")
    assert pulled.model.projector is not None


def test_an_adapter_among_the_files_is_no_model(hub: FakeHub, kit: Kit) -> None:
    lora = tiny_llama(metadata={"general.type": "adapter"}).build()
    hub.repos["org/Tiny"] = HubRepo({"Tiny-lora-F16.gguf": lora})
    with pytest.raises(StoreError, match="kind 'adapter'"):
        kit.pull(REPO)


def test_a_model_that_llama_cpp_does_not_know_is_said_before_the_download(
    hub: FakeHub, memory: object
) -> None:
    model = tiny_llama(metadata={"general.architecture": "nextgen"})
    model.keys = [
        (str(key).replace("llama.", "nextgen."), raw) for key, raw in model.keys
    ]
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": model.build()})
    short = memory(1_500_000)  # type: ignore[operator] # a close call: planned exactly
    with pytest.raises(StoreError, match="nextgen"):
        short.pull(REPO)
    assert not hub.asked("HEAD", "")


def test_P4_a_gated_repo_is_said_before_anything_is_weighed(
    hub: FakeHub, kit: Kit, ladder: dict[str, bytes]
) -> None:
    hub.repos["org/Tiny"] = HubRepo(
        {"Tiny-Q8_0.gguf": ladder["Q8_0"]}, gated="manual", token="x"
    )
    with pytest.raises(RegistryError, match="gated"):
        kit.pull(REPO)


def test_P2_a_hub_that_ignores_ranges_still_tells_the_header(
    repo: HubRepo, kit: Kit, hub: FakeHub
) -> None:
    hub.ignores_ranges = True
    assert kit.quants(REPO).row("Q2_K").fits


def test_pulling_again_brings_nothing(repo: HubRepo, kit: Kit) -> None:
    first = kit.pull(f"{REPO}:Q2_K")
    again = kit.pull(f"{REPO}:Q2_K")
    assert first.downloaded > 0
    assert (again.downloaded, again.method) == (0, "present")
    assert again.model.digest == first.model.digest
