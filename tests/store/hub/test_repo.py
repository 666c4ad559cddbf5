from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from localkit.errors import RegistryError, SourceNotFound
from localkit.store.hub.repo import read_repo
from tests.fixtures.hub import COMMIT, HubRepo

if TYPE_CHECKING:
    from tests.fixtures.hub import FakeHub


def test_one_request_tells_quants_projectors_licence_and_commit(hub: FakeHub) -> None:
    hub.repos["org/M-GGUF"] = HubRepo(
        files={
            "README.md": b"#",
            "M-Q4_K_M.gguf": b"4444",
            "M-Q8_0.gguf": b"88888888",
            "BF16/M-BF16-00001-of-00002.gguf": b"1" * 9,
            "BF16/M-BF16-00002-of-00002.gguf": b"2" * 8,
            "mmproj-F32.gguf": b"p" * 4,
            "mmproj-F16.gguf": b"p" * 2,
            "M-imatrix.gguf": b"i",
        },
        card={"license": "apache-2.0"},
    )
    repo = read_repo("org/M-GGUF")
    assert [(one.label, one.size) for one in repo.quants] == [
        ("BF16", 17),
        ("Q8_0", 8),
        ("Q4_K_M", 4),
    ]
    assert [file.path for file in repo.quants[0].files] == [
        "BF16/M-BF16-00001-of-00002.gguf",
        "BF16/M-BF16-00002-of-00002.gguf",
    ]
    assert repo.commit == COMMIT
    assert repo.licence == "apache-2.0"
    assert repo.projector_for(repo.quants[1]) == repo.projectors[0]
    assert repo.projectors[0].path == "mmproj-F16.gguf"
    assert repo.quants[2].files[0].sha256 == hashlib.sha256(b"4444").hexdigest()
    assert len(hub.requests) == 1


def test_a_quant_is_found_by_label_file_and_stem_in_any_case(hub: FakeHub) -> None:
    hub.repos["o/r"] = HubRepo({"d/M-Q4_K_M.gguf": b"4", "M-Q8_0.gguf": b"8"})
    repo = read_repo("o/r")
    for name in ("q4_k_m", "Q4_K_M", "d/M-Q4_K_M.gguf", "m-q4_k_m.gguf", "M-Q4_K_M"):
        assert repo.named(name).label == "Q4_K_M"


def test_an_unknown_quant_is_answered_with_those_that_there_are(hub: FakeHub) -> None:
    hub.repos["o/r"] = HubRepo({"M-Q4_K_M.gguf": b"4", "M-Q8_0.gguf": b"88"})
    with pytest.raises(SourceNotFound, match="no quant 'Q5_K_M'") as caught:
        read_repo("o/r").named("Q5_K_M")
    assert caught.value.hint == "there is Q4_K_M, Q8_0"


def test_several_models_in_one_repo_are_not_chosen_between(hub: FakeHub) -> None:
    hub.repos["o/r"] = HubRepo({"a-Q8_0.gguf": b"1", "b-Q8_0.gguf": b"22"})
    repo = read_repo("o/r")
    assert not repo.is_one_model
    with pytest.raises(SourceNotFound, match="several models") as caught:
        repo.of_one_model()
    assert "hf.co/o/r/a-Q8_0.gguf" in caught.value.hint
    with pytest.raises(SourceNotFound, match="2 files of quant 'q8_0'"):
        repo.named("q8_0")
    assert repo.named("b-Q8_0.gguf").size == 2


def test_a_split_quant_without_all_its_parts_is_not_offered(hub: FakeHub) -> None:
    hub.repos["o/r"] = HubRepo(
        {"M-Q8_0-00001-of-00003.gguf": b"1", "M-Q4_0.gguf": b"4"}
    )
    repo = read_repo("o/r")
    assert [one.label for one in repo.quants] == ["Q4_0"]
    assert repo.incomplete == ("Q8_0",)
    with pytest.raises(SourceNotFound) as caught:
        repo.named("Q8_0")
    assert "parts are missing of Q8_0" in caught.value.hint


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ({}, None),
        ({"license": "mit"}, "mit"),
        ({"license": ["mit", "apache-2.0"]}, "mit, apache-2.0"),
        (
            {
                "license": "other",
                "license_name": "llama3",
                "license_link": "https://example.org/l",
            },
            "llama3 (https://example.org/l)",
        ),
        ({"license": "other", "license_link": "javascript:x"}, "other"),
    ],
)
def test_the_licence_is_what_the_card_names(
    hub: FakeHub, card: dict[str, object], licence: str | None
) -> None:
    hub.repos["o/r"] = HubRepo({"M-Q8_0.gguf": b"8"}, card=card)
    assert read_repo("o/r").licence == licence


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/M-Q8_0.gguf",
        "a/../../M-Q8_0.gguf",
        "/etc/M-Q8_0.gguf",
        "a//M-Q8_0.gguf",
        "..\\..\\M-Q8_0.gguf",
        "C:M-Q8_0.gguf",
        "M-Q8_0\n.gguf",
        "M-Q8_0\x00.gguf",
        "a /M-Q8_0.gguf",
        "m" * 2000 + ".gguf",
    ],
)
def test_S6_a_repo_that_lists_a_name_out_of_its_folder_is_refused(
    hub: FakeHub, path: str
) -> None:
    hub.repos["o/r"] = HubRepo({"M-Q4_0.gguf": b"4", path: b"8"})
    with pytest.raises(RegistryError, match="could leave its folder"):
        read_repo("o/r")


@pytest.mark.parametrize("commit", ["../../x", "main", "A" * 40, ""])
def test_S6_a_commit_that_is_none_is_refused(hub: FakeHub, commit: str) -> None:
    hub.repos["o/r"] = HubRepo({"M-Q4_0.gguf": b"4"}, commit=commit)
    with pytest.raises(RegistryError, match="sha"):
        read_repo("o/r")


def test_P8_an_answer_without_end_is_cut(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localkit.store.hub.library._MOST_JSON", 1000)
    hub.repos["o/r"] = HubRepo({f"M-{n}-Q8_0.gguf": b"8" for n in range(50)})
    with pytest.raises(RegistryError, match="answered with more than"):
        read_repo("o/r")
