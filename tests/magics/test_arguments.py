from __future__ import annotations

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localkit.errors import LocalkitError, UsageError
from localkit.magics.arguments import Call, parse_cell_line, split


def evaluate(source: str) -> object:
    names = {"ref": "tiny:f16", "text": "two words", "flag": "--raw", "quote": "it's"}
    return eval(source, names)


def parse(line: str) -> Call:
    call = parse_cell_line(line, evaluate)
    assert call is not None
    return call


def test_every_option_of_a_cell() -> None:
    call = parse(
        'tiny:f16 -o answer -s "Be brief" -t 0.2 --top-p 0.5 --top-k 7 --min-p 0.1 '
        "--seed 4 --max-tokens 9 --n-ctx 512 --raw --quiet --no-stream --format text"
    )
    sampling = call.request.sampling
    assert (call.models, call.assign_to) == (("tiny:f16",), "answer")
    assert (call.raw, call.quiet, call.stream, call.fmt) == (True, True, False, "text")
    assert (call.request.system, call.request.n_ctx) == ("Be brief", 512)
    assert sampling == {
        "temperature": 0.2,
        "top_p": 0.5,
        "top_k": 7,
        "min_p": 0.1,
        "seed": 4,
        "max_tokens": 9,
    }


def test_an_empty_line_takes_every_default() -> None:
    call = parse("")
    assert call.models == ()
    assert call.stream
    assert call.fmt is None  # as configured
    assert call.request.system is None
    assert not call.request.sampling  # the model's own then count


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('add "my model.gguf"', ["add", "my model.gguf"]),
        (r"add C:\models\m.gguf", ["add", r"C:\models\m.gguf"]),
        ("show {{ref}}", ["show", "tiny:f16"]),
        ('show {{ {"a b": ref}["a b"] }}', ["show", "tiny:f16"]),
        ("run m {{text}}", ["run", "m", "two words"]),
        ("run m {{quote}}", ["run", "m", "it's"]),
        ("run m --system={{flag}}", ["run", "m", "--system=--raw"]),
        ("run m {ref} $ref", ["run", "m", "{ref}", "$ref"]),
    ],
)
def test_words_are_separated_before_values_are_filled_in(
    line: str, words: list[str]
) -> None:
    assert split(line, evaluate) == words


def test_N6_a_value_cannot_become_an_option() -> None:
    with pytest.raises(UsageError, match="read as an option"):
        parse("{{flag}}")


def test_N6_an_open_quote_is_one_line() -> None:
    with pytest.raises(UsageError, match="quote"):
        parse("-s it's")


@pytest.mark.parametrize("name", ["1x", "a b", "class", "a.b", "x=1", ""])
def test_N6_only_a_python_name_can_be_assigned(name: str) -> None:
    with pytest.raises(click.UsageError, match="not a Python name"):
        parse(f'-o "{name}"')


# Every character, and pieces of what a line really holds.
PIECES = r"""
tiny:f16 -o x -- --schema json --choices a,b --tools f,g --run-tools -n 3 --chat --from
--image {{text}} {{flag}} " ' --format code -f --regex [ --grammar {x} $x --dry-run \ a,
"""
LINES = st.text(max_size=80) | st.lists(
    st.sampled_from(PIECES.split()), max_size=12
).map(" ".join)


def check_line(line: str) -> None:
    def never(source: str) -> object:
        raise NameError(source)

    try:
        call = parse_cell_line(line, never, {"x": 5, "f": len})
    except (LocalkitError, click.UsageError):
        return
    assert call is None or isinstance(call, Call)


@settings(max_examples=500, deadline=None)
@given(LINES)
def test_N6_any_line_is_a_call_or_a_refusal(line: str) -> None:
    check_line(line)


@pytest.mark.thorough
@settings(max_examples=10_000, deadline=None)
@given(LINES)
def test_N6_any_of_ten_thousand_lines_is_a_call_or_a_refusal(line: str) -> None:
    check_line(line)
