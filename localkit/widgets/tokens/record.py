"""A token view as ordinary output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.render.page import details
from localkit.render.table import html_table, plain_table
from localkit.render.tokens import (
    MAX_TOKENS,
    PARTS,
    Hue,
    TokenSpan,
    paragraph,
    token_legend,
    token_text,
)
from localkit.widgets.panel import Record
from localkit.widgets.tokens.words import (
    align,
    branch_line,
    headers,
    row,
    span,
    sums,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.receipt import Receipt
    from localkit.evals.token_views.answer_tokens import AnswerTokens, OwnAnswer
    from localkit.evals.token_views.branch import Branch

N_STRANGEST = 10
"""Rows of the table under the text."""
OWN_CHARS = 100_000
"""Of HTML for each model's own answer."""
BRANCH_CHARS = 200_000
"""…and for all branches together."""
MAX_ROWS = 200
"""Of the table in plain text; longer answers show the strangest tokens alone."""


def record(
    answer: AnswerTokens,
    branches: Sequence[Branch] = (),
    receipts: Sequence[Receipt] = (),
) -> Record:
    """Return all of what the view shows as text and as inline-style HTML."""
    return Record(
        plain=plain(answer, branches),
        html=_html(answer, branches),
        title=heading(answer),
        metadata={
            "tokens": {
                "n_tokens": len(answer.tokens),
                "logprob": answer.logprob,
                "kl_mean": answer.kl_mean if answer.kls else None,
                "parts_at": answer.parts_at,
                "n_branches": len(branches),
            },
            "receipts": [one.as_dict() for one in receipts],
        },
    )


def heading(answer: AnswerTokens) -> str:
    """Return one line that names the view."""
    first = f"{answer.ref} ({answer.label})"
    if answer.against is None:
        return f"Tokens of {first}"
    return f"Tokens of {first} against {answer.against} ({answer.label_against})"


def plain(answer: AnswerTokens, branches: Sequence[Branch] = ()) -> str:
    """Return the view as text: sums, the marked answer, and a table."""
    n = len(answer.tokens)
    places = range(n) if n <= MAX_ROWS else answer.strangest()
    shown = [row(answer, at) for at in places]
    left = f"… the {len(shown)} strangest of {n} tokens" if len(shown) < n else ""
    blocks = [
        "\n".join([heading(answer), *sums(answer), *answer.notes]),
        _marked(answer),
        plain_table(headers(answer), shown, align=align(answer)) if shown else "",
        left,
        *(
            f"{one.ref} answers ({one.finish_reason}):\n{_own_text(one)}"
            for one in answer.own
        ),
        *(f"{branch_line(one, answer)}\n{one.text()}" for one in branches),
    ]
    return "\n\n".join(block for block in blocks if block)


def _marked(answer: AnswerTokens) -> str:
    """Return the answer with marks: ``⟪…⟫`` around what is underlined elsewhere."""
    pieces, marked = [], False
    for shown in _spans(answer):
        strange = shown.mark in {"unlikely", "rare", "differs"}
        if marked and (shown.parts or not strange):
            pieces.append("⟫")
            marked = False
        if shown.parts:
            pieces.append(PARTS)
        if strange and not marked:
            pieces.append("⟪")
            marked = True
        pieces.append(shown.shown)
    return "".join(pieces) + ("⟫" if marked else "")


def _html(answer: AnswerTokens, branches: Sequence[Branch]) -> Markup:
    hue: Hue = "surprise" if answer.against is None else "divergence"
    text = token_text(_spans(answer), hue=hue, n_tokens=len(answer.tokens))
    parts = [
        paragraph(heading(answer), strong=True),
        *(paragraph(line) for line in (*sums(answer), *answer.notes)),
        text.html,
        token_legend(_legend(answer), hue=hue),
        html_table(
            headers(answer),
            [row(answer, at) for at in answer.strangest(N_STRANGEST)],
            align=align(answer),
            caption=_caption(answer),
        ),
        *(_own_html(one, answer) for one in answer.own),
        *(
            details(
                branch_line(one, answer),
                token_text(
                    [span(token, answer) for token in one.tokens[:MAX_TOKENS]],
                    hue="surprise",
                    n_tokens=len(one.tokens),
                    max_chars=BRANCH_CHARS // len(branches),
                ).html,
                is_open=True,
            )
            for one in branches
        ),
    ]
    return Markup("").join(parts)


def _spans(answer: AnswerTokens) -> list[TokenSpan]:
    parts_at = answer.parts_at
    return [
        span(one, answer, parts=at == parts_at)
        for at, one in enumerate(answer.tokens[:MAX_TOKENS])
    ]


def _caption(answer: AnswerTokens) -> str:
    n = min(N_STRANGEST, len(answer.tokens))
    what = "most surprising" if answer.against is None else "most divergent"
    return f"The {n} {what} tokens"


def _legend(answer: AnswerTokens) -> list[tuple[TokenSpan, str]]:
    if answer.against is None:
        return [
            (TokenSpan("token", "", 0.3), "more colour: more surprising"),
            (TokenSpan("token", "", 0.4, "unlikely"), "dotted: p below 0.1"),
            (TokenSpan("token", "", 0.8, "rare"), "line: p below 0.01"),
        ]
    return [
        (TokenSpan("token", "", 0.5), "more colour: more divergence (KL)"),
        (TokenSpan("token", "", 0.2, "differs"), "line: another token is likeliest"),
        (TokenSpan("token", "", 0.0, parts=True), "here the two part"),
    ]


def _own_text(one: OwnAnswer) -> str:
    return "".join(spelling.read(keep_lines=True) for spelling in one.spellings)


def _own_html(own: OwnAnswer, answer: AnswerTokens) -> Markup:
    """Return a model's own answer, the first token that differs marked."""
    parts_at = answer.parts_at
    spans = [
        TokenSpan(
            spelling.shown(keep_lines=True),
            f"token {at}",
            0.0,
            "control" if spelling.control else "",
            parts=at == parts_at,
        )
        for at, spelling in enumerate(own.spellings[:MAX_TOKENS])
    ]
    text = token_text(
        spans, hue="divergence", n_tokens=len(own.spellings), max_chars=OWN_CHARS
    )
    return details(f"{own.ref} answers ({own.finish_reason})", text.html, is_open=True)
