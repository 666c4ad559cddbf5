"""An answer: its text, and everything that is known about how it came about."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from localkit.chat.parsing import parse
from localkit.chat.receipt import Receipt
from localkit.render.markdown import markdown_to_html, preformatted
from localkit.render.page import details
from localkit.render.text import clean, escape

if TYPE_CHECKING:
    import pandas as pd

    from localkit.chat.messages import Message
    from localkit.chat.tools import ToolCall
    from localkit.events import Timings, Usage
    from localkit.runtime.protocol import FinishReason, PromptLogprob, TokenLogprob

__all__ = ["Receipt", "Result"]

REPLAYED = "from the cache"
"""How the note begins of an answer that was shown again (`localkit.history`)."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a model answered.

    ``str(result)`` is the text. A notebook shows the text alone, so that the same
    answer is saved the same way; figures are in the output's metadata.
    """

    text: str = field(repr=False)
    """Left out of the repr, as prompt and messages are: logs carry counts only."""
    tokens: tuple[int, ...] = field(repr=False)
    """Sampled tokens, the one that ended the answer included."""
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    receipt: Receipt = field(repr=False)
    prompt: str = field(repr=False, default="")
    """Text the model continued: the rendered conversation, or the raw prompt."""
    messages: tuple[Message, ...] = field(repr=False, default=())
    """The conversation so far; empty for raw text."""
    max_tokens_hit: int | None = None
    """Token limit that the settings put on the answer, when it ended there."""
    thinking: str = field(repr=False, default="")
    """What the model thought before it answered; not part of the text."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls the model made; nothing has run them."""
    notes: tuple[str, ...] = field(repr=False, default=())
    """What else a reader must know; `note` shows it."""
    logprobs: tuple[TokenLogprob, ...] = field(repr=False, default=())
    """One per token, when ``top_logprobs`` was asked for."""
    prompt_logprobs: tuple[PromptLogprob, ...] = field(repr=False, default=())
    """One per token of the prompt but the first, when ``prompt_logprobs`` was asked
    for."""
    form: Any = field(repr=False, compare=False, default=None)
    """Pydantic class that was asked for; a Python value, so never stored."""

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    @property
    def partial(self) -> bool:
        """Whether the answer was interrupted before the model ended it."""
        return self.finish_reason == "interrupted"

    @property
    def parsed(self) -> Any:
        """The value of an answer of a fixed form; None where `parse_error` says why.

        JSON becomes an instance of the pydantic class that was given, else dicts and
        lists; a choice, and what a regular expression or grammar allows, is the text.
        """
        return parse(self.text, self.receipt.params.structure, self.form).value

    @property
    def parse_error(self) -> str:
        """Why `parsed` has no value; empty if it has."""
        return parse(self.text, self.receipt.params.structure, self.form).error

    @property
    def note(self) -> str:
        """What a reader must know beside the text; empty if there is nothing."""
        return "; ".join(filter(None, [self._ending(), *self.notes]))

    @property
    def replayed(self) -> str:
        """The note of an answer that was kept and shown again; else empty."""
        return next((one for one in self.notes if one.startswith(REPLAYED)), "")

    def _ending(self) -> str:
        """Return how the answer ended, if it is not whole."""
        if self.partial:
            return "interrupted: the text ends where the answer was stopped"
        if self.max_tokens_hit is not None:
            return (
                f"cut at {self.max_tokens_hit} tokens, the limit in the settings: "
                "ask for more with max_tokens"
            )
        if self.finish_reason == "length":
            return "cut: the answer reached its token limit or the context is full"
        if self.finish_reason == "error":
            return "the runtime failed before the answer was whole"
        formed = self.receipt.params.structure is not None
        if formed and self.finish_reason == "stop" and self.parse_error:
            return f"the answer has not the form that was asked for: {self.parse_error}"
        return ""

    @property
    def context_used(self) -> int:
        """Tokens of prompt and answer together."""
        return self.usage.n_prompt + self.usage.n_generated

    def usage_line(self) -> str:
        """Return the figures of the answer on one line."""
        prefill = self.timings.prefill_per_s(self.usage)
        decode = self.timings.decode_per_s(self.usage)
        parts = [
            f"prompt {_tokens(self.usage.n_prompt)}{_reused(self.usage)}",
            f"prefill {prefill:.1f} tok/s" if math.isfinite(prefill) else "",
            f"generated {_tokens(self.usage.n_generated)}",
            f"decode {decode:.1f} tok/s" if math.isfinite(decode) else "",
            f"TTFT {self.timings.ttft_s:.2f} s",
            f"context {self.context_used}/{self.receipt.runtime.n_ctx}",
            self.finish_reason,
            self.replayed,
        ]
        return " · ".join(part for part in parts if part)

    def to_frame(self) -> pd.DataFrame:
        """Return one row: model, figures with their units in the name, and text."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "model": self.receipt.ref,
                    "quant": self.receipt.quant,
                    "bits_per_weight": self.receipt.bits_per_weight,
                    "text": self.text,
                    "finish_reason": self.finish_reason,
                    "n_prompt": self.usage.n_prompt,
                    "n_generated": self.usage.n_generated,
                    "prefill_per_s": self.timings.prefill_per_s(self.usage),
                    "decode_per_s": self.timings.decode_per_s(self.usage),
                    "ttft_s": self.timings.ttft_s,
                    "context_used": self.context_used,
                    "n_ctx": self.receipt.runtime.n_ctx,
                    "seed": self.receipt.params.seed,
                }
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures and the receipt, ready for JSON; no text, no prompt."""
        return {
            "finish_reason": self.finish_reason,
            "note": self.note,
            "n_prompt": self.usage.n_prompt,
            "n_generated": self.usage.n_generated,
            "n_reused": self.usage.n_reused,
            "prefill_s": self.timings.prefill_s,
            "decode_s": self.timings.decode_s,
            "ttft_s": self.timings.ttft_s,
            "load_s": self.timings.load_s,
            "prefill_per_s": _or_none(self.timings.prefill_per_s(self.usage)),
            "decode_per_s": _or_none(self.timings.decode_per_s(self.usage)),
            "context_used": self.context_used,
            "n_tool_calls": len(self.tool_calls),
            "receipt": self.receipt.as_dict(),
        }

    def bundle(self, *, markdown: bool = True) -> tuple[dict[str, str], dict[str, Any]]:
        """Return what a notebook displays, and the metadata that goes with it.

        There is no ``text/markdown``: front ends render that form of a trusted
        output without cleaning it, scripts and remote images included.

        Args:
            markdown: Read the text as Markdown; else show its lines as they are.
        """
        plain, html = self.drawn(markdown=markdown)
        data = {"text/plain": plain, "text/html": str(html)}
        return data, {"localkit": self.as_dict()}

    def drawn(self, *, markdown: bool = True) -> tuple[str, Markup]:
        """Return the answer as clean text and as HTML; arguments as `bundle`.

        Whether it was shown again is left to the figures: the answer is the same, and
        so must its output be.
        """
        html = (markdown_to_html if markdown else preformatted)(self.text)
        plain = clean(self.text)
        if self.thinking:
            # Folded, so that the answer is what one sees; no script is needed for it.
            html = details("Thinking", preformatted(self.thinking)) + html
            plain = f"[thinking]\n{clean(self.thinking)}\n[answer]\n{plain}"
        if self.tool_calls:
            calls = "\n".join(map(_call_line, self.tool_calls))
            html += preformatted(calls)
            plain = f"{plain}\n{clean(calls)}" if plain else clean(calls)
        told = [one for one in self.notes if one != self.replayed]
        note = "; ".join(filter(None, [self._ending(), *told]))
        if note:
            html += Markup("<p><em>[{}]</em></p>").format(escape(note))
            plain += f"\n[{clean(note)}]"
        return plain, html

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """Show the answer in a notebook; the arguments are part of the protocol."""
        del include, exclude
        return self.bundle()


def _tokens(count: int) -> str:
    return f"{count} token" if count == 1 else f"{count} tokens"


def _reused(usage: Usage) -> str:
    return f" ({usage.n_reused} reused)" if usage.n_reused else ""


def _call_line(call: ToolCall) -> str:
    """Return a call as Python would write it."""
    values = (f"{name}={value!r}" for name, value in call.arguments.items())
    return f"→ {call.name}({', '.join(values)})"


def _or_none(value: float) -> float | None:
    """Return ``value``, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None
