"""Our answers, as inspect_ai's output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    Content,
    ContentReasoning,
    ContentText,
    Logprob,
    Logprobs,
    ModelOutput,
    ModelUsage,
    StopReason,
    TopLogprob,
)
from inspect_ai.tool import ToolCall

from localkit.errors import Cancelled, RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localkit.chat.result import Result
    from localkit.runtime.protocol import Session


def as_output(
    model: str, results: Sequence[Result], session: Session, *, time_s: float
) -> ModelOutput:
    """Return the answers to one prompt, with their figures and receipts.

    Raises:
        Cancelled: an answer was stopped.
        RuntimeFailure: the engine failed before an answer was whole.
    """
    usages = [result.usage for result in results]
    n_reused = sum(usage.n_reused for usage in usages)
    n_prompt = sum(usage.n_prompt for usage in usages)
    n_generated = sum(usage.n_generated for usage in usages)
    return ModelOutput(
        model=model,
        choices=[_choice(model, result, session) for result in results],
        usage=ModelUsage(
            input_tokens=n_prompt - n_reused,
            input_tokens_cache_read=n_reused,
            output_tokens=n_generated,
            total_tokens=n_prompt + n_generated,
        ),
        input_context_tokens=usages[0].n_prompt,
        time=time_s,
        metadata={
            "receipts": [result.receipt.as_dict() for result in results],
            "notes": [note for result in results if (note := result.note)],
        },
    )


def _choice(model: str, result: Result, session: Session) -> ChatCompletionChoice:
    content: str | list[Content] = result.text
    if result.thinking:
        content = [
            ContentReasoning(reasoning=result.thinking),
            ContentText(text=result.text),
        ]
    calls = [
        ToolCall(id=call.id, function=call.name, arguments=dict(call.arguments))
        for call in result.tool_calls
    ]
    return ChatCompletionChoice(
        message=ChatMessageAssistant(
            content=content, tool_calls=calls or None, model=model, source="generate"
        ),
        stop_reason=_stop_reason(result),
        logprobs=_logprobs(
            session,
            (
                (token, one.logprob, one.top)
                for token, one in zip(result.tokens, result.logprobs, strict=False)
            ),
        ),
        prompt_logprobs=_logprobs(session, result.prompt_logprobs),
    )


def _stop_reason(result: Result) -> StopReason:
    match result.finish_reason:
        case "stop" | "tool_calls":
            return result.finish_reason
        case "length":
            # The context was full before the limit was reached.
            limit = result.receipt.params.max_tokens
            full = limit is None or result.usage.n_generated < limit
            return "model_length" if full else "max_tokens"
        case "interrupted":
            msg = "the answer was stopped"
            raise Cancelled(msg)
        case _:
            msg = "the engine failed before the answer was whole"
            raise RuntimeFailure(msg, hint=result.note)


def _logprobs(
    session: Session,
    found: Iterable[tuple[int, float, tuple[tuple[int, float], ...]]],
) -> Logprobs | None:
    """Return tokens with their log-probabilities; None where there are none."""

    def text(token: int) -> str:
        return session.detokenize([token], special=True)

    content = [
        Logprob(
            token=text(token),
            logprob=logprob,
            top_logprobs=[
                TopLogprob(token=text(other), logprob=of_other)
                for other, of_other in top
            ]
            or None,
        )
        for token, logprob, top in found
    ]
    return Logprobs(content=content) if content else None
