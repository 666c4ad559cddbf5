"""create, cp, show and licenses, through the front door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import localkit
from localkit.creating import Quantization
from localkit.errors import ModelfileInvalid, QuantizeFailed, UsageError
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.lora import write_lora

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_create_reads_the_modelfile_here(run: Run, kit: Kit, folder: Path) -> None:
    (folder / "Modelfile").write_text("FROM tiny\nSYSTEM Be brief.\n")
    shown = run("create", "brief")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("brief:latest: F16, ")
    assert " B of it new to the store" in shown.stdout
    assert kit.store.resolve("brief").system == "Be brief."


def test_paths_begin_where_the_modelfile_lies(
    run: Run, kit: Kit, tmp_path: Path, folder: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    write_tiny_llama(there / "m.gguf", seed=3)
    write_lora(folder / "a.gguf")
    (there / "recipe").write_text("FROM ./m.gguf\nPARAMETER tfs_z 1\n")
    file = str(there / "recipe")
    shown = run("create", "there", "-f", file, "--adapter", "a.gguf")
    assert shown.exit_code == 0, shown.output
    assert "note: PARAMETER tfs_z (line 2): left out" in shown.stdout
    assert len(kit.store.resolve("there").adapters) == 1


def test_options_say_the_same_and_go_over_the_modelfile(
    run: Run, kit: Kit, folder: Path
) -> None:
    (folder / "template").write_text("{{ .Prompt }}")
    (folder / "licence").write_text("All mine.\n")
    words = (
        *("--from", "tiny", "--system", "two", "--template", "template"),
        *("-p", "temperature=0", "-p", "stop=a", "-p", "stop= b"),
        *("--message", "user", "hi", "--license", "licence", "--license", "mit"),
    )
    assert run("create", "a", *words).exit_code == 0
    made = kit.store.resolve("a")
    assert (made.system, made.template) == ("two", "{{ .Prompt }}")
    assert dict(made.params) == {"temperature": 0, "stop": ["a", " b"]}
    assert [dict(one) for one in made.messages] == [{"role": "user", "content": "hi"}]
    assert made.licences == ("apache-2.0", "All mine.\n", "mit")
    recipe = "FROM a\nSYSTEM one\nPARAMETER top_k 1\n"
    over = ("create", "b", "-f", "-", "--system", "three", "-p", "seed=1")
    assert run(*over, stdin=recipe).exit_code == 0
    second = kit.store.resolve("b")
    assert second.system == "three"
    assert dict(second.params) == {
        "temperature": 0,
        "stop": ["a", " b"],
        "top_k": 1,
        "seed": 1,
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("create", "x"), "there is no Modelfile here"),
        (("create", "x", "-f", "nosuch"), "there is no file"),
        (("create", "x", "--from", "tiny", "-p", "temperature"), "NAME=VALUE"),
        (("create", "x", "--from", "tiny", "-p", "temprature=1"), "temperature"),
        (("create", "x", "--from", "tiny", "--requantize"), "without -q"),
        (("create", "x", "--from", "tiny", "-q", "Q9"), "no file type"),
        (
            ("create", "x", "--from", "tiny", "-q", "Q8_0", "--tensor-type", "x"),
            "PATTERN=TYPE",
        ),
        (("create", "x", "--from", "tiny", "--template", "nosuch"), "there is no file"),
        (("create", "bad name", "--from", "tiny"), "cannot be the model"),
        (("cp", "nosuch", "x"), "not in the store"),
        (("show", "tiny", "--system", "--license"), "several parts"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_wrong_is_said_in_one_line(
    run: Run, words: tuple[str, ...], says: str
) -> None:
    shown = run(*words)
    assert shown.exit_code == 1
    assert says in shown.stderr
    assert len(shown.stderr.splitlines()) <= 2


@pytest.mark.usefixtures("folder")
def test_a_modelfile_that_is_wrong_names_its_line(run: Run) -> None:
    shown = run("create", "x", "-f", "-", stdin="FROM tiny\nSYTEM hi\n")
    assert shown.exit_code == 1
    assert "(line 2): command must be one of" in shown.stderr


def test_quantizing_on_create_keeps_the_rest(run: Run, kit: Kit) -> None:
    assert run("create", "one", "--from", "tiny", "--system", "hi").exit_code == 0
    shown = run("create", "small", "--from", "one", "-q", "q8_0")
    assert shown.exit_code == 0, shown.output
    assert "small:latest: Q8_0" in shown.stdout
    small = kit.store.resolve("small")
    assert (small.info.quant, small.system) == ("Q8_0", "hi")
    assert small.weights != kit.store.resolve("tiny").weights
    mixed = run(
        *("create", "mixed", "--from", "one", "-q", "Q8_0"),
        *("--tensor-type", "ffn_down=f16"),
    )
    assert mixed.exit_code == 0, mixed.output
    types = {share.type for share in kit.store.resolve("mixed").info.type_mix}
    assert types == {"q8_0", "f16", "f32"}


def test_a_type_that_the_weights_are_already_costs_nothing(run: Run, kit: Kit) -> None:
    shown = run("create", "same", "--from", "tiny", "-q", "F16")
    assert "note: the weights are F16 already" in shown.stdout
    assert kit.store.resolve("same").weights == kit.store.resolve("tiny").weights


def test_a_quantized_source_is_refused_until_it_is_allowed(kit: Kit) -> None:
    localkit.create("q8", "tiny", quantize="Q8_0")
    with pytest.raises(QuantizeFailed, match="q8:latest is Q8_0 already"):
        localkit.create("q4", "q8", quantize="Q4_0")
    receipt = localkit.create(
        "q4", "q8", quantize=Quantization("Q4_0", allow_requantize=True)
    )
    assert receipt.model.info.lossy_origin == "Q8_0"
    assert kit.store.resolve("q4").info.quant == "Q4_0"


def test_keywords_make_what_a_modelfile_makes(kit: Kit, tmp_path: Path) -> None:
    adapter = write_lora(tmp_path / "a.gguf")
    said = localkit.create(
        "said",
        from_="tiny",
        system="hi",
        parameters={"temperature": 0.5, "stop": "x"},
        messages=[{"role": "user", "content": "a"}],
        adapters=[adapter],
        licences="mit",
    ).model
    text = (
        f"FROM tiny\nADAPTER {adapter}\nSYSTEM hi\nPARAMETER temperature 0.5\n"
        "PARAMETER stop x\nMESSAGE user a\nLICENSE mit\n"
    )
    read = localkit.create("said", modelfile=text).model
    assert read.digest == said.digest
    file = tmp_path / "Modelfile"
    file.write_text("FROM ./w.gguf\n")
    write_tiny_llama(tmp_path / "w.gguf", seed=8)
    made = localkit.create("file", modelfile=file, system="over").model
    assert made.system == "over"
    assert made.weights != kit.store.resolve("tiny").weights
    direct = localkit.create("direct", tmp_path / "w.gguf").model
    assert direct.weights == made.weights


def test_keywords_are_checked(kit: Kit) -> None:
    with pytest.raises(UsageError, match="what to make 'x' from"):
        localkit.create("x")
    with pytest.raises(ModelfileInvalid, match="temprature"):
        localkit.create("x", "tiny", parameters={"temprature": 1})
    assert [str(one.ref) for one in kit.store.list()] == ["tiny:f16"]


def test_a_template_that_go_cannot_parse_is_refused(run: Run, kit: Kit) -> None:
    recipe = 'FROM tiny\nTEMPLATE """{{ if .System }"""\n'
    shown = run("create", "x", "-f", "-", stdin=recipe)
    assert shown.exit_code == 1
    assert "the Go template does not parse" in shown.stderr
    assert [str(one.ref) for one in kit.store.list()] == ["tiny:f16"]


def test_cp_gives_a_second_name(run: Run, kit: Kit) -> None:
    assert run("cp", "tiny", "twin").stdout == "twin:latest is tiny:f16\n"
    assert kit.store.resolve("twin").digest == kit.store.resolve("tiny").digest


def test_show_names_what_a_model_brings_along(run: Run) -> None:
    run("create", "v", "--from", "tiny", "--system", "Be brief.", "-p", "top_k=3")
    shown = run("show", "v").stdout
    for words in ("Be brief.", "top_k 3", "jinja", "apache-2.0", "capabilities"):
        assert words in shown
    assert "adapters" not in shown


def test_show_gives_one_part_alone(run: Run) -> None:
    run(
        *("create", "v", "--from", "tiny", "--system", "Be brief."),
        *("-p", "top_k=3", "-p", "num_keep=4"),
    )
    assert run("show", "v", "--system").stdout == "Be brief.\n"
    assert run("show", "tiny", "--system").stdout == (
        "tiny:f16 has no system message of its own\n"
    )
    assert "{% for message in messages %}" in run("show", "v", "--template").stdout
    assert run("show", "v", "--license").stdout == "apache-2.0\n"
    parameters = run("show", "v", "--parameters").stdout
    assert "tokens to choose among" in parameters
    assert "no effect" in parameters
    assert "sets no parameters" in run("show", "tiny", "--parameters").stdout
    modelfile = run("show", "v", "--modelfile").stdout
    assert "\nSYSTEM Be brief.\n" in modelfile
    again = run("create", "again", "-f", "-", stdin=modelfile)
    assert again.exit_code == 0, again.output


def test_show_verbose_counts_types_and_names_every_key(run: Run) -> None:
    shown = run("show", "tiny", "-v").stdout
    assert "tokenizer.ggml.merges" in shown
    assert "in all" in shown
    assert "f16" in shown


def test_licenses_says_what_is_allowed_where_that_is_known(
    run: Run, folder: Path
) -> None:
    (folder / "own").write_text("Do as you like.\nReally.\n")
    run("create", "v", "--from", "tiny", "--license", "own")
    rows = run("licenses").stdout.splitlines()
    assert any("apache-2.0" in row and "keep the notice" in row for row in rows)
    assert any("Do as you like." in row and "see text" in row for row in rows)
    shown = run("licenses", "v").stdout
    assert "Really." in shown
    assert run("licenses", "nosuch").exit_code == 1


def test_a_copy_in_another_quant_brings_the_same_along(run: Run, kit: Kit) -> None:
    run("create", "v", "--from", "tiny", "--system", "Be brief.", "-p", "top_k=3")
    assert run("quantize", "v", "Q8_0").exit_code == 0
    copy = kit.store.resolve("v:q8_0")
    assert (copy.info.quant, copy.system) == ("Q8_0", "Be brief.")
    assert dict(copy.params) == {"top_k": 3}
    assert copy.licences == kit.store.resolve("v:latest").licences
