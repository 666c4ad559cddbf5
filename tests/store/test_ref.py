from __future__ import annotations

import pytest

from localkit.errors import RefError
from localkit.store import ModelRef

_DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "host", "namespace", "model", "tag", "shortest"),
    [
        ("smollm2", None, None, "smollm2", None, "smollm2"),
        ("smollm2:135m", None, None, "smollm2", "135m", "smollm2:135m"),
        ("library/smollm2:x", None, None, "smollm2", "x", "smollm2:x"),
        ("me/smollm2", None, "me", "smollm2", None, "me/smollm2"),
        (
            "hf.co/me/Model-GGUF:Q4_K_M",
            "hf.co",
            "me",
            "Model-GGUF",
            "Q4_K_M",
            "hf.co/me/Model-GGUF:Q4_K_M",
        ),
        ("localhost:5000/a/b", "localhost:5000", "a", "b", None, "localhost:5000/a/b"),
        ("https://hf.co/a/b:c", "hf.co", "a", "b", "c", "hf.co/a/b:c"),
        ("registry.ollama.ai/library/m:t", None, None, "m", "t", "m:t"),
        ("Registry.Ollama.AI/Library/m:t", None, None, "m", "t", "m:t"),
        ("_m.2-x_y:_t.1", None, None, "_m.2-x_y", "_t.1", "_m.2-x_y:_t.1"),
        ("a" * 80, None, None, "a" * 80, None, "a" * 80),
    ],
)
def test_parts_and_shortest_form(
    text: str,
    host: str | None,
    namespace: str | None,
    model: str,
    tag: str | None,
    shortest: str,
) -> None:
    ref = ModelRef.parse(text)
    assert ref.host.lower() == (host or "registry.ollama.ai")
    assert ref.namespace.lower() == (namespace or "library")
    assert (ref.model, ref.tag) == (model, tag)
    assert str(ref) == shortest
    assert ModelRef.parse(str(ref)).key == ref.key


def test_a_digest_is_kept_and_shown() -> None:
    ref = ModelRef.parse(f"m:t@{_DIGEST}")
    assert ref.digest == _DIGEST
    assert str(ref) == f"m:t@{_DIGEST}"
    assert str(ref.with_tag("u")) == "m:u"


def test_the_error_names_the_part_and_the_grammar() -> None:
    with pytest.raises(RefError, match=r"'a b' cannot be the tag of a model ref") as it:
        ModelRef.parse("model:a b")
    assert "smollm2:q4_k_m" in it.value.hint


def test_an_invalid_ref_cannot_be_built_either() -> None:
    with pytest.raises(RefError):
        ModelRef(model="..")
    with pytest.raises(RefError):
        ModelRef(model="m").with_tag("a/b")


def test_keys_ignore_case() -> None:
    assert ModelRef.parse("A/B:C").key == ModelRef.parse("a/b:c").key
    assert ModelRef.parse("a:b").key != ModelRef.parse("a").key
