"""A cell that the playground emits asks the same as the playground did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from localkit.chat.messages import Message
from localkit.errors import UsageError
from localkit.magics.arguments import parse_cell_line
from localkit.widgets.playground.cells import cell_of
from localkit.widgets.playground.draft import Setup
from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.widgets.playground.playground import Playground

    Make = Callable[..., Playground]


# Often of what a line of words gives a meaning to.
TEXT = st.text(
    st.sampled_from("{}\"'\\- \t\n=") | st.characters(codec="utf-8"), max_size=40
)


def read(cell: str) -> tuple[Any, str]:
    """Return the call of a ``%%llm`` cell and its prompt, as IPython hands them on."""
    first, _, body = cell.partition("\n")
    assert first.startswith("%%llm ")

    def nothing(source: str) -> object:
        raise AssertionError(source)

    # IPython ends a cell with a line end, and the magic takes one away.
    body = body if body.endswith("\n") else f"{body}\n"
    return parse_cell_line(first[len("%%llm ") :], nothing), body.removesuffix("\n")


def test_a_column_becomes_a_cell_that_asks_the_same(make: Make) -> None:
    params = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "min_p": 0.05,
        "seed": 3,
        "max_tokens": 20,
        "n_ctx": 256,
        "think": False,
    }
    pg = make(MODEL, prompt="Name a {{what}}", variables={"what": "fox"}, params=params)
    call, prompt = read(pg.cell_text())
    assert prompt == "Name a fox"
    assert dict(call.request.sampling) == {
        name: params[name] for name in params if name not in ("n_ctx", "think")
    }
    assert (call.request.n_ctx, call.request.think) == (256, False)


def test_columns_that_differ_in_the_model_alone_become_one_cell(make: Make) -> None:
    pg = make(params={"seed": 1})
    assert pg.cell_text().startswith("%%llm tiny:f16 other:f16 --seed 1\n")
    pg.set_up(0, seed=2)
    with pytest.raises(UsageError, match="differ"):
        pg.cell_text()
    assert pg.cell_text(0).startswith("%%llm tiny:f16 --seed 2\n")


@settings(max_examples=25)
@given(
    system=st.text(st.characters(codec="utf-8", exclude_characters="\ue000")).filter(
        lambda text: (
            text.strip() and len(text.splitlines()) == 1 and text[-1] not in "\n"
        )
    ),
    prompt=st.text(st.characters(codec="utf-8")).filter(str.strip),
)
def test_N6_no_quote_brace_or_dash_in_a_text_changes_the_request(
    system: str, prompt: str
) -> None:
    setup = Setup(ref=MODEL)
    cell = cell_of([setup], [Message("system", system), Message("user", prompt)])
    if not cell.startswith("%%llm "):
        assert system.splitlines() != [system] or "\ue000" in system
        return
    call, body = read(cell)
    assert call.request.system == system
    assert body == prompt
    assert call.raw == ("{{" in prompt)


def test_a_conversation_or_a_long_system_message_becomes_python(make: Make) -> None:
    pg = make(MODEL, system='two\nlines "quoted"', examples=[("a", "b'c")])
    pg.run()
    pg.say("And then?")
    asked: list[Any] = []

    class Model:
        def chat(self, messages: object, **options: object) -> str:
            asked.append((messages, options))
            return "said"

    import localkit

    space: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localkit, "load", lambda *_refs, **_options: Model())
        exec(pg.cell_text(0), space)
    turn = pg.turns[0]
    assert turn is not None
    wanted = [{"role": one.role, "content": one.content} for one in turn.messages()]
    assert asked == [(wanted, {})]


def test_to_cell_puts_the_cell_below_the_one_that_runs(make: Make) -> None:
    shell: InteractiveShell = InteractiveShell.instance()
    try:
        pg = make(MODEL)
        text = pg.to_cell(0)
        assert shell.rl_next_input == text
    finally:
        InteractiveShell.clear_instance()
