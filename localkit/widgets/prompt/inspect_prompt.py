"""A rendered prompt with its tokens, a ruler, and what was left out and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from localkit.evals.token_views.prompt_text import MAX_TOKENS, figures, remarks
from localkit.evals.token_views.prompt_view import Fit, PromptView, view_prompt
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.kit import default_kit
from localkit.render.text import clean
from localkit.runtime.params import LoadParams
from localkit.widgets.panel import Action, Panel, Record
from localkit.widgets.prompt.record import heading, record
from localkit.widgets.tokens.state import MAX_CHARS, as_far
from localkit.widgets.tokens.words import named

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from localkit.chat.messages import MessageLike
    from localkit.chat.tools import ToolLike
    from localkit.kit import Kit


class Freeze(Action):
    """Leave the static record."""

    do: Literal["freeze"]


def inspect_prompt(
    ref: str,
    messages: str | MessageLike | Iterable[MessageLike],
    *,
    system: str | None = None,
    tools: Iterable[ToolLike] = (),
    think: bool | None = None,
    n_ctx: int | None = None,
    max_tokens: int | None = None,
    fit: Fit | None = None,
    raw: bool = False,
    kit: Kit | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Inspector:
    """Show a conversation as the model would read it; nothing is generated.

    Args:
        ref: A model ref.
        messages: What the user says, or a whole conversation.
        system: Instructions to put first; by default the model's own, if any.
        tools: What the model may call.
        think: Whether a model that can think shall.
        n_ctx: Context length; default: as `localkit.load`.
        max_tokens: Room that the answer wants; default: the settings' cap.
        fit: ``drop-oldest``: leave out the oldest turns until prompt and answer fit;
            None: leave out nothing, and say what would have to go.
        raw: Take a text as it is, without the chat template.
        kit: Whose store to use; None: the default one.
        on_progress: Told how far loading is.
        cancel: Raise it to stop loading.

    Raises:
        ModelNotFound: no such ref.
        TemplateError: the model has no chat template, or it refuses.
        UsageError: the messages are none.
    """
    model = (kit or default_kit()).load(
        ref, LoadParams(n_ctx=n_ctx), on_progress=on_progress, cancel=cancel
    )
    return Inspector(
        view_prompt(
            model,
            messages,
            system=system,
            tools=tools,
            think=think,
            max_tokens=max_tokens,
            fit=fit,
            raw=raw,
        )
    )


class Inspector:
    """A widget: the tokens of a prompt, and whose they are."""

    def __init__(self, view: PromptView) -> None:
        """Show ``view``."""
        self.view = view
        self.panel = Panel("prompt", self, Freeze)

    def __repr__(self) -> str:
        """Name the model and count the tokens."""
        return f"<Inspector {self.view.ref} n={self.view.n_tokens}>"

    def _ipython_display_(self) -> None:
        self.panel.show()

    def freeze(self) -> None:
        """Leave the static record, and take the controls away."""
        self.panel.freeze()

    def to_frame(self) -> pd.DataFrame:
        """Return one row a token."""
        import pandas as pd

        return pd.DataFrame(
            {
                "at": at,
                "id": token.id,
                "token": token.spelling.shown(),
                "kind": token.kind,
                "message": token.message,
            }
            for at, token in enumerate(self.view.tokens)
        )

    def state(self) -> dict[str, Any]:
        """Return what the view draws."""
        tokens = [
            [
                clean(one.spelling.shown(keep_lines=True)),
                one.id,
                one.kind,
                one.message,
                clean(named(one.spelling)),
                one.spelling.control,
            ]
            for one in self.view.tokens[:MAX_TOKENS]
        ]
        return {
            "title": clean(heading(self.view)),
            "figures": [clean(line) for line in list(figures(self.view))[1:]],
            "remarks": list(remarks(self.view)),
            "tokens": as_far(tokens, MAX_CHARS),
            "n_tokens": self.view.n_tokens,
            "n_ctx": self.view.n_ctx,
            "parts": [
                [part.number, part.role, part.n_tokens, part.n_chars, part.state]
                for part in self.view.parts
            ],
        }

    def record(self) -> Record:
        """Return the view as ordinary output."""
        return record(self.view)

    def act(self, action: Freeze) -> None:
        """Do what the front end asks for."""
        del action
        self.freeze()
