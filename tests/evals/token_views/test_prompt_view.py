from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import UsageError
from localkit.evals.token_views.prompt_view import view_prompt
from localkit.runtime.protocol import LoadParams
from tests.evals.tiny_family import add_tiny
from tests.fixtures.gguf import CHATML

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.evals.token_views.prompt_view import PromptView
    from localkit.kit import Kit
    from localkit.model import Model

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "No."},
    {"role": "user", "content": "Three?"},
]


def text_of(view: PromptView, kind: str) -> str:
    return "".join(one.spelling.text for one in view.tokens if one.kind == kind)


def message_of(view: PromptView, number: int) -> str:
    return "".join(one.spelling.text for one in view.tokens if one.message == number)


def with_template(kit: Kit, folder: Path, template: str) -> Model:
    add_tiny(kit, folder, "other:f16", "F16", tokenizer__chat_template=template)
    return kit.load("other:f16")


@pytest.mark.parametrize("which", ["fakes", "engines"])
def test_every_token_is_a_mark_or_of_the_template_or_of_a_message(
    which: str, request: pytest.FixtureRequest
) -> None:
    kit: Kit = request.getfixturevalue(which)
    model = kit.load("tiny:f16" if which == "fakes" else "tiny:one")
    view = view_prompt(model, TALK)
    assert [message_of(view, n) for n in range(6)] == [one["content"] for one in TALK]
    assert set(text_of(view, "control").split("<|")) <= {
        "",
        "<s>",
        "im_start|>",
        "im_end|>",
    }
    assert text_of(view, "opening") == "<|im_start|>assistant\n"
    assert text_of(view, "template").startswith("system\n\nuser\n")
    assert [one.state for one in view.parts] == ["whole"] * 6
    kinds = ("control", "template", "message", "opening")
    assert sum(map(view.n_of, kinds)) == view.n_tokens


def test_the_tokens_are_those_that_the_model_is_asked_with(engines: Kit) -> None:
    model = engines.load("tiny:one")
    result = model.chat(TALK, max_tokens=1)
    view = view_prompt(model, TALK)
    assert view.n_tokens == result.usage.n_prompt
    assert view.text == result.prompt


def test_a_control_text_that_a_user_wrote_is_pointed_out_and_stays_text(
    engines: Kit,
) -> None:
    view = view_prompt(engines.load("tiny:one"), "a<|im_end|>b <|im_start|>")
    assert [(one.message, one.text) for one in view.guarded] == [
        (0, "<|im_end|>"),
        (0, "<|im_start|>"),
    ]
    assert message_of(view, 0) == "a<|im_end|>b <|im_start|>"
    assert not any(one.spelling.control for one in view.tokens if one.message == 0)
    assert "it is read as text" in view.plain()


def test_nothing_is_left_out_by_itself_but_it_is_told_what_would_have_to_go(
    fakes: Kit,
) -> None:
    model = fakes.load("tiny:f16", LoadParams(n_ctx=256))
    whole = view_prompt(model, TALK, max_tokens=1)
    assert whole.would_drop == ()
    most = model.session.n_ctx - whole.n_tokens + 1
    view = view_prompt(model, TALK, max_tokens=most)
    assert view.would_drop == (1, 2)
    assert view.n_tokens == whole.n_tokens
    assert "messages 1, 2 would have to go" in view.plain()
    assert f"load with n_ctx>={view.n_tokens + most}" in view.plain()


def test_the_oldest_turns_go_first_and_whole_where_that_is_asked_for(
    fakes: Kit,
) -> None:
    model = fakes.load("tiny:f16", LoadParams(n_ctx=256))
    n_ctx = model.session.n_ctx
    room = n_ctx - view_prompt(model, TALK, max_tokens=1).n_tokens
    view = view_prompt(model, TALK, max_tokens=room + 1, fit="drop-oldest")
    assert [one.state for one in view.parts] == [
        "whole",
        "dropped",
        "dropped",
        "whole",
        "whole",
        "whole",
    ]
    assert "One?" not in view.text
    assert message_of(view, 3) == "Two?"
    assert view.overrun == 0
    assert "left out so that the rest fits: messages 1, 2" in view.plain()
    least = view_prompt(model, TALK, max_tokens=n_ctx, fit="drop-oldest")
    assert [one.state for one in least.parts] == ["whole", *["dropped"] * 4, "whole"]
    assert least.overrun > 0


def test_a_prompt_that_is_too_long_is_shown_and_said_to_be_refused(fakes: Kit) -> None:
    model = fakes.load("tiny:f16", LoadParams(n_ctx=256))
    view = view_prompt(model, "x" * 400)
    assert view.room < 0
    assert "so it is refused" in view.plain()


def test_a_template_that_trims_is_told_and_places_stay_right(
    fakes: Kit, tmp_path: Path
) -> None:
    template = CHATML.replace("message['content']", "message['content'] | trim")
    view = view_prompt(with_template(fakes, tmp_path, template), "  hello \n")
    assert message_of(view, 0) == "hello"
    assert view.parts[0].why == "the template trims the blanks around it"


def test_what_a_template_leaves_out_or_rewrites_is_told(
    fakes: Kit, tmp_path: Path
) -> None:
    template = CHATML.replace(
        "message['content']",
        "(message['content'] | upper if message['role'] == 'user' else '')",
    )
    model = with_template(fakes, tmp_path, template)
    view = view_prompt(model, [TALK[0], TALK[1]])
    assert [one.state for one in view.parts] == ["left out", "changed"]
    assert view.parts[0].n_tokens == 0
    assert message_of(view, 1) == "ONE?"
    assert "the template does not write this content" in view.plain()


def test_a_template_that_looks_into_contents_has_them_searched_for(
    fakes: Kit, tmp_path: Path
) -> None:
    template = CHATML.replace(
        "message['content']",
        "('!' if message['content'].startswith('O') else '') + message['content']",
    )
    view = view_prompt(with_template(fakes, tmp_path, template), TALK)
    assert [message_of(view, n) for n in range(6)] == [one["content"] for one in TALK]
    assert "user\n!One?" in view.text


def test_thoughts_that_a_template_drops_are_told(fakes: Kit) -> None:
    talk = [
        TALK[1],
        {"role": "assistant", "content": "Yes.", "thinking": "Is it?"},
        TALK[3],
    ]
    view = view_prompt(fakes.load("tiny:f16"), talk)
    assert "leaves out what message 1 thought (6 characters)" in view.plain()


def test_bos_is_there_once_and_said(engines: Kit) -> None:
    view = view_prompt(engines.load("tiny:spm"), "hello")
    assert view.tokens[0].spelling.text == "<s>"
    assert view.adds_bos
    assert "the tokenizer puts ‘<s>’ before every text, once" in view.plain()


def test_raw_text_has_no_messages_and_its_marks_act(engines: Kit) -> None:
    view = view_prompt(engines.load("tiny:one"), "the <|im_end|>", raw=True)
    assert view.parts == ()
    assert text_of(view, "control") == "<|im_end|>"
    with pytest.raises(UsageError, match="raw text"):
        view_prompt(engines.load("tiny:one"), TALK, raw=True)


def test_the_plain_form_is_the_same_each_time_and_has_positions(engines: Kit) -> None:
    model = engines.load("tiny:one")
    plain = view_prompt(model, TALK).plain()
    assert plain == view_prompt(model, TALK).plain()
    assert "\n 0 │ «<|im_start|>»system⏎\n" in plain
    assert "message  role       tokens  characters  is" in plain


def test_N1_a_hostile_message_reorders_and_steers_nothing_in_the_plain_form(
    fakes: Kit,
) -> None:
    plain = view_prompt(fakes.load("tiny:f16"), "a\u202eb\x1b[2Jc\u2066").plain()
    assert "\x1b" not in plain
    assert "\u202e" not in plain
    assert "\u2066" not in plain
