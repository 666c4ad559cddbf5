from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localkit.errors import ModelfileInvalid
from localkit.store.modelfile.grammar import (
    COMMANDS,
    MAX_SIZE,
    ROLES,
    Instruction,
    decode,
    read,
    written,
)


def values(text: str) -> list[tuple[str, str, str]]:
    return [(one.command, one.key, one.value) for one in read(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('FROM "FOO  BAR  "', "FOO  BAR  "),
        ("FROM     FOOO BAR    ", "FOOO BAR"),
        ("from llama3:7b-instruct-q4_K_M", "llama3:7b-instruct-q4_K_M"),
        ("FrOm /what/is/the path ", "/what/is/the path"),
        ("\tFROM\tmodel", "model"),
        ("\ufeffFROM model", "model"),
        ("FROM model # no comment", "model # no comment"),
        ("# FROM other\r\nFROM model\r\n", "model"),
        ("FROM model\rSYSTEM x", "model"),
        ('FROM """"""', ""),
        ('FROM ""', ""),
        (
            'FROM """\nThis is a\nmultiline system.\n"""',
            "\nThis is a\nmultiline system.\n",
        ),
        ('FROM """This is a\nmultiline system."""   ', "This is a\nmultiline system."),
        ('FROM "one\ntwo"', "one\ntwo"),
        ('FROM "\'"', "'"),
        (
            'FROM """\'\'"\'""\'""\'"\'\'\'\'\'""\'""\'"""',
            "''\"'\"\"'\"\"'\"'''''\"\"'\"\"'",
        ),
        ('FROM """\nwith "quotes".\n"""', '\nwith "quotes".\n'),
        ('FROM """   {{ if .System }}\n   """    ', "   {{ if .System }}\n   "),
        ('FROM say "hi"', 'say "hi"'),
        ("FROM 🦙\u00a0家", "🦙\u00a0家"),
    ],
)
def test_a_value_is_read_as_ollama_reads_it(text: str, value: str) -> None:
    assert values(text)[0] == ("from", "", value)


def test_every_instruction_is_read_in_any_case_and_order() -> None:
    text = "\n".join(
        f"{command.upper()} {'user ' if command == 'message' else ''}"
        f"{'stop ' if command == 'parameter' else ''}value"
        for command in reversed(COMMANDS)
    )
    assert [one.command for one in read(text)] == list(reversed(COMMANDS))
    assert {one.value for one in read(text.lower())} == {"value"}


def test_keys_may_be_followed_by_any_blanks() -> None:
    assert values("PARAMETER  \t stop \t <|eot_id|> ") == [
        ("parameter", "stop", "<|eot_id|>")
    ]
    assert values('MESSAGE system """\nBe brief.\n"""') == [
        ("message", "system", "\nBe brief.\n")
    ]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("FROM foo\nBADCOMMAND x y", 2, 'command must be one of "from", "license",'),
        ("FROM foo\nsome text\n", 2, "it is 'some'"),
        ("\n\nFROM", 3, "FROM has no value"),
        (
            "FROM foo\n\nPARAMETER temperature\n",
            3,
            "PARAMETER temperature has no value",
        ),
        ("FROM foo\nPARAMETER\n", 2, "PARAMETER has no value"),
        ("FROM foo\nMESSAGE badguy I am", 2, "message role must be one of"),
        ("FROM foo\nMESSAGE system", 2, "MESSAGE system has no value"),
        ('FROM foo\r\nSYSTEM """\r\nabc\r\n""', 2, "never closed"),
        ('FROM foo\nSYSTEM "', 2, "never closed"),
        ('FROM foo\nSYSTEM "a" b\nLICENSE MIT\n', 2, "never closed"),
        ('SYSTEM """\n\n\n"""\nFROM', 5, "FROM has no value"),
        ("FROM foo\nSYSTEM a\x1b[31mb", 2, "control character U+001B"),
        ("FROM a\x00b", 1, "control character U+0000"),
        ("FROM \ud800", 1, "half a surrogate pair"),
    ],
)
def test_what_breaks_the_grammar_is_refused_with_its_line(
    text: str, line: int, says: str
) -> None:
    with pytest.raises(ModelfileInvalid) as caught:
        read(text)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"(line {line}): ")
    assert says in caught.value.one_line()
    assert caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings_are_told_by_their_mark(encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    data = f"{mark}FROM 家\r\nSYSTEM é".encode(encoding)
    assert [value for *_, value in values(decode(data))] == ["家", "é"]


def test_other_encodings_are_refused_with_the_line() -> None:
    with pytest.raises(ModelfileInvalid, match=r"line 2.*0xe9") as caught:
        decode("FROM a\nSYSTEM é".encode("latin-1"))
    assert caught.value.line == 2


def test_a_huge_modelfile_is_refused_at_once() -> None:
    with pytest.raises(ModelfileInvalid, match="larger than 4 MiB"):
        read("x" * (MAX_SIZE + 1))
    with pytest.raises(ModelfileInvalid, match="larger than 4 MiB"):
        decode(b" " * (MAX_SIZE + 1))


def test_the_longest_of_texts_is_read_in_one_pass() -> None:
    text = 'SYSTEM """' + "\n" * (MAX_SIZE // 2) + '"""'
    assert len(read(text)[0].value) == MAX_SIZE // 2


_TEXTS = st.text(
    st.one_of(
        st.sampled_from('"" \t\n\r#{}\\ab'),
        st.characters(exclude_categories=("Cs", "Cc")),
    ),
    max_size=20,
)


@st.composite
def _instructions(draw: st.DrawFn) -> Instruction:
    command = draw(st.sampled_from(COMMANDS))
    keys = {
        "message": st.sampled_from(ROLES),
        "parameter": st.sampled_from(["stop", "num_ctx", "x"]),
    }
    return Instruction(command, draw(_TEXTS), draw(keys.get(command, st.just(""))))


@given(st.lists(_instructions(), max_size=6))
def test_what_is_written_is_read_back(instructions: list[Instruction]) -> None:
    lines, kept = [], []
    for one in instructions:
        try:
            lines.append(written(one))
        except ModelfileInvalid:
            # Only a line that ends in quotes cannot be said.
            assert '"' in one.value
            continue
        kept.append((one.command, one.key, one.value))
    assert values("\n".join(lines)) == kept


@given(st.text(st.sampled_from('ab" \n#"FROMfrom'), max_size=40))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    n_lines = text.count("\n") + 1
    lines: list[int | None]
    try:
        lines = [one.line for one in read(text)]
    except ModelfileInvalid as error:
        lines = [error.line]
    assert all(line is not None and 1 <= line <= n_lines for line in lines)


def test_a_text_that_no_quotes_hold_is_refused_with_a_way_out() -> None:
    with pytest.raises(ModelfileInvalid, match="ends in quotes") as caught:
        written(Instruction("system", 'say\n"""\nthis "\nno'))
    assert "cp" in caught.value.hint
