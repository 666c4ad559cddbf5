from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localkit.errors import ModelfileInvalid
from localkit.store.modelfile import Modelfile, parse
from localkit.store.modelfile.parameters import PARAMETERS, Parameter, checked_all

_WHOLE = '''\
# A pirate.
FROM smollm2-135m-instruct:q4_1
FROM ./eyes.gguf
ADAPTER ./accent.gguf
DRAFT ./parrot.gguf
TEMPLATE """{{ .System }}
{{ .Prompt }}"""
SYSTEM """
You are a pirate.
"""
RENDERER sea
PARSER rum
REQUIRES v0.14.0
PARAMETER temperature 0.7
parameter stop "<|im_end|>"
PARAMETER stop "Arr! "
PARAMETER num_ctx 4096
PARAMETER use_mmap true
LICENSE MIT
LICENSE """
Two
lines
"""
MESSAGE user Ahoy
MESSAGE assistant """Ahoy, "mate"
"""
'''


def test_a_modelfile_says_everything_once() -> None:
    found = parse(_WHOLE)
    assert found == Modelfile(
        sources=("smollm2-135m-instruct:q4_1", "./eyes.gguf"),
        params={
            "temperature": 0.7,
            "stop": ["<|im_end|>", "Arr! "],
            "num_ctx": 4096,
            "use_mmap": True,
        },
        template="{{ .System }}\n{{ .Prompt }}",
        system="\nYou are a pirate.\n",
        adapters=("./accent.gguf",),
        licences=("MIT", "\nTwo\nlines\n"),
        messages=(
            {"role": "user", "content": "Ahoy"},
            {"role": "assistant", "content": 'Ahoy, "mate"\n'},
        ),
        draft="./parrot.gguf",
        renderer="sea",
        parser="rum",
        requires="0.14.0",
    )
    assert parse(str(found)) == found
    assert found.notes == (
        "PARAMETER use_mmap (line 18): no effect: weights are mapped where they can be",
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "SYSTEM hello\n"])
def test_without_from_there_is_no_model(text: str) -> None:
    with pytest.raises(ModelfileInvalid) as caught:
        parse(text)
    assert str(caught.value) == "no FROM line"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("PARAMETER temperatur 1", "did you mean temperature"),
        ("PARAMETER Temperature 1", "did you mean temperature"),
        ("PARAMETER top-k 1", "did you mean top_k"),
        ("PARAMETER zzz 1", "there are temperature"),
        ("PARAMETER temperature hot", "not a number"),
        ("PARAMETER temperature nan", "from 0 to 100"),
        ("PARAMETER temperature 1e999", "from 0 to 100"),
        ("PARAMETER temperature -1", "from 0 to 100"),
        ("PARAMETER top_k 1.5", "not a whole number"),
        ("PARAMETER top_k 99999999999999999999999", "not a whole number"),
        ("PARAMETER seed 4294967296", "from -1 to 4294967294"),
        ("PARAMETER num_ctx -5", "from 0 to"),
        ("PARAMETER use_mmap perhaps", "true or false"),
        ('PARAMETER stop ""', "at most 4096 characters"),
        ("REQUIRES soon", "valid semver"),
        ("REQUIRES 1.2.3.4", "valid semver"),
        ('ADAPTER ""', "ADAPTER names nothing"),
        ('DRAFT ""', "DRAFT names nothing"),
        ('RENDERER " "', "RENDERER names nothing"),
        ('FROM ""', "FROM names nothing"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(line: str, says: str) -> None:
    with pytest.raises(ModelfileInvalid) as caught:
        parse(f"FROM x\n\n{line}\n")
    assert caught.value.line == 3
    assert says in caught.value.one_line()


@pytest.mark.parametrize(
    ("name", "parameter"), PARAMETERS.items(), ids=PARAMETERS.keys()
)
def test_every_parameter_takes_the_ends_of_its_range_and_no_more(
    name: str, parameter: Parameter
) -> None:
    if parameter.kind == "texts":
        assert parse(f"FROM x\nPARAMETER {name} a b").params == {name: ["a b"]}
        return
    if parameter.kind == "truth":
        assert parse(f"FROM x\nPARAMETER {name} F").params == {name: False}
        return
    for end in (parameter.low, parameter.high):
        found = parse(f"FROM x\nPARAMETER {name} {end:.10g}").params[name]
        assert found == pytest.approx(end, rel=1e-6)
        assert isinstance(found, int if parameter.kind == "integer" else float)
    for beyond in (parameter.low - 1, parameter.high + 1):
        with pytest.raises(ModelfileInvalid, match=name):
            parse(f"FROM x\nPARAMETER {name} {beyond:.10g}")


def test_what_newer_engines_lack_is_left_out_and_said() -> None:
    found = parse("FROM x\nPARAMETER num_gqa 8\nPARAMETER tfs_z 1\nPARAMETER top_k 3\n")
    assert found.params == {"top_k": 3}
    why = "left out: newer engines have no such setting"
    assert found.notes == (
        f"PARAMETER num_gqa (line 2): {why}",
        f"PARAMETER tfs_z (line 3): {why}",
    )


def test_a_second_of_what_counts_once_is_said() -> None:
    found = parse("FROM x\nSYSTEM a\nSYSTEM b\nPARAMETER top_k 1\nPARAMETER top_k 2\n")
    assert (found.system, found.params) == ("b", {"top_k": 2})
    assert found.notes == (
        "SYSTEM stands twice; line 3 counts",
        "PARAMETER top_k stands twice; line 5 counts",
    )


def test_numbers_keep_the_digits_that_32_bits_hold() -> None:
    assert parse("FROM x\nPARAMETER top_p 0.90000000001").params == {"top_p": 0.9}
    assert "PARAMETER top_p 0.9\n" in str(parse("FROM x\nPARAMETER top_p 0.9"))
    assert "PARAMETER min_p 1e-7\n" in str(parse("FROM x\nPARAMETER min_p 1e-07"))


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": True},
        {"temperature": "0.5"},
        {"top_k": 1.0},
        {"stop": [1]},
        {"stop": ["x"] * 129},
        {"stop": "x" * 5000},
        {"use_mmap": 1},
        {"nope": 1},
    ],
)
def test_keywords_are_held_to_their_kinds(params: dict[str, Any]) -> None:
    with pytest.raises(ModelfileInvalid):
        checked_all(params)


def test_none_leaves_a_keyword_out() -> None:
    assert checked_all({"seed": None, "stop": "x"}) == {"stop": ["x"]}


_LINES = st.text(
    string.ascii_letters + string.digits + " .:/{}<|>'\n\u00e9\u5bb6", min_size=1
).filter(lambda text: text.strip())


@st.composite
def _modelfiles(draw: st.DrawFn) -> Modelfile:
    texts = st.lists(_LINES, max_size=3).map(tuple)
    maybe = st.none() | _LINES
    params = {
        "temperature": st.floats(0, 100, width=32),
        "top_k": st.integers(0, 1000),
        "use_mmap": st.booleans(),
        "stop": st.lists(_LINES, min_size=1, max_size=3),
    }
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": _LINES}
    )
    return Modelfile(
        sources=(draw(_LINES), *draw(texts)),
        params=checked_all(draw(st.fixed_dictionaries({}, optional=params))),
        template=draw(maybe),
        system=draw(maybe),
        adapters=draw(texts),
        licences=draw(texts),
        messages=tuple(draw(st.lists(message, max_size=3))),
        draft=draw(maybe),
        renderer=draw(maybe),
        parser=draw(maybe),
        requires=draw(st.none() | st.sampled_from(["0.14.0", "1.2.3-rc1"])),
    )


@given(_modelfiles())
def test_a_modelfile_is_read_back_from_its_text(modelfile: Modelfile) -> None:
    assert parse(str(modelfile)) == modelfile
    assert parse(str(modelfile).encode("utf-16")) == modelfile
