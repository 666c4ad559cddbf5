"""From a question to an answer that is looked at token by token."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from localkit.asking.asker import Manner
from localkit.chat.receipt import Receipt, make_receipt
from localkit.chat.result import Result
from localkit.errors import Cancelled, NotComparable, UsageError
from localkit.evals.token_views.answer_tokens import (
    AnswerTokens,
    OwnAnswer,
    shown_tokens,
)
from localkit.evals.token_views.look import look
from localkit.evals.token_views.spelling import spell

if TYPE_CHECKING:
    from localkit.asking.answering import Question
    from localkit.asking.asker import Conversation
    from localkit.asking.options import Asked
    from localkit.events import CancelToken
    from localkit.model import Model
    from localkit.runtime.params import SamplingParams


class Looked(NamedTuple):
    """An answer, and how it was asked for."""

    answer: AnswerTokens
    sampling: SamplingParams
    """With which a model goes on from any token of it."""
    receipts: tuple[Receipt, ...]
    """Of each model."""


def look_at(
    model: Model,
    prompt: Conversation | None,
    *,
    against: Model | None = None,
    text: str | Result | None = None,
    system: str | None = None,
    max_tokens: int = 64,
    seed: int = 0,
    temperature: float = 0.0,
    top: int = 5,
    raw: bool = False,
    cancel: CancelToken | None = None,
) -> Looked:
    """Answer ``prompt``, or take ``text`` as the answer, and look at each token.

    Args:
        model: Answers and looks.
        prompt: What the user says, a conversation, or raw text; None: the one that
            the result in ``text`` answers.
        against: Another quant of the model: it is given the same tokens, and answers
            the prompt by itself where no text is given.
        text: An answer to look at in place of the model's own.
        system: Instructions to put first.
        max_tokens: Most tokens of an answer.
        seed: Of the sampling.
        temperature: 0 takes the most likely token every time.
        top: Alternatives to keep of each position.
        raw: Continue the prompt as it is, without the chat template.
        cancel: Raise it to stop.

    Raises:
        NotComparable: the two models do not read the same tokens, or the result is
            of another model.
        UsageError: there is no prompt, or the options contradict each other.
        ContextTooLong: prompt and answer exceed a context.
        Cancelled: ``cancel`` was raised.
    """
    if against is not None:
        require_same_vocabulary(model, against)
    options = {"max_tokens": max_tokens, "seed": seed, "temperature": temperature}
    asked = model.asker.asked(options)
    question = _question(model, prompt, text, system, asked, raw=raw)
    notes: list[str] = []
    own: list[OwnAnswer] = []
    if isinstance(text, Result):
        answer = _tokens_of(model, text)
        notes += [text.note] if text.note else []
    elif text is not None:
        answer = model.session.tokenize(text, add_special=False)
    else:
        models = (model,) if against is None else (model, against)
        own += [_own(one, question, asked.sampling, cancel) for one in models]
        answer = list(own[0].tokens)
        cut = [one.ref for one in own if one.finish_reason == "length"]
        if cut:
            notes.append(f"cut at {max_tokens} tokens: {', '.join(cut)}")
    figures = look(
        model.session,
        question.tokens,
        answer,
        against=None if against is None else against.session,
        n_top=top,
        cancel=cancel,
    )
    n_others = sum(one.here.rank > 1 for one in figures)
    if own and not temperature and n_others:
        notes.append(
            f"{n_others} of its own tokens {'is' if n_others == 1 else 'are'} not the "
            "likeliest when the answer is read at once: the shape of a batch moves "
            "logits of quantized weights, and penalties move the choice"
        )
    found = AnswerTokens(
        ref=str(model.stored.ref),
        label=model.stored.info.label,
        prompt=tuple(question.tokens),
        tokens=shown_tokens(model.session, figures),
        against=None if against is None else str(against.stored.ref),
        label_against="" if against is None else against.stored.info.label,
        own=tuple(own) if against is not None else (),
        notes=tuple(notes),
    )
    prepared = question.prepared
    receipts = tuple(
        make_receipt(
            one.stored,
            one.session,
            asked.sampling,
            template_digest=None if prepared is None else prepared.template_digest,
            of_model=(*question.of_model, *asked.of_model),
            template_kind=None if prepared is None else prepared.template_kind,
        )
        for one in ((model,) if against is None else (model, against))
    )
    return Looked(found, asked.sampling, receipts)


def require_same_vocabulary(model: Model, against: Model) -> None:
    """Refuse two models that do not read the same tokens.

    Raises:
        NotComparable: their vocabularies differ.
    """
    if model.stored.info.vocab_digest != against.stored.info.vocab_digest:
        msg = f"{against.stored.ref} has another tokenizer than {model.stored.ref}"
        raise NotComparable(msg, hint="compare quants of one model")


def _question(
    model: Model,
    prompt: Conversation | None,
    text: str | Result | None,
    system: str | None,
    asked: Asked,
    *,
    raw: bool,
) -> Question:
    if isinstance(text, Result) and prompt is None:
        if system is not None or raw:
            msg = "the result has its own prompt, and system or raw was given too"
            raise UsageError(msg, hint="give the result alone, or a prompt beside it")
        return _question_of(model, text, asked)
    if prompt is None:
        msg = "there is no prompt"
        raise UsageError(msg, hint="give one, or text=… with a result that has one")
    if raw:
        if system is not None or not isinstance(prompt, str):
            msg = "raw text is one text, and takes no system message"
            raise UsageError(msg, hint="leave out raw, or give the text alone")
        return model.asker.raw(prompt)()
    return model.asker.chat(prompt, Manner(system), asked)()


def _question_of(model: Model, result: Result, asked: Asked) -> Question:
    """Put again what a result answers.

    Raises:
        NotComparable: this model's template makes another prompt of it.
    """
    if not result.messages:
        return model.asker.raw(result.prompt)()
    # The last message is the answer itself.
    question = model.asker.chat(result.messages[:-1], Manner(), asked)()
    if question.text != result.prompt:
        msg = (
            f"{model.stored.ref} makes another prompt of this conversation than "
            f"{result.receipt.ref} was given"
        )
        hint = "its template, tools or thinking differ: give the prompt yourself"
        raise NotComparable(msg, hint=hint)
    return question


def _tokens_of(model: Model, result: Result) -> list[int]:
    """Return the tokens of a result, if they mean the same to ``model``.

    Raises:
        NotComparable: they are of another vocabulary.
    """
    same_file = result.receipt.weights_digest == model.stored.weights_digest
    n_vocab = model.session.n_vocab
    known = all(token < n_vocab for token in result.tokens)
    if not same_file and not (
        known and result.text.strip() in model.session.detokenize(result.tokens)
    ):
        msg = f"the tokens of this result are {result.receipt.ref}'s"
        hint = f"{model.stored.ref} reads others: pass text=result.text"
        raise NotComparable(msg, hint=hint)
    return list(result.tokens)


def _own(
    model: Model,
    question: Question,
    sampling: SamplingParams,
    cancel: CancelToken | None,
) -> OwnAnswer:
    """Have ``question`` answered, the tokens of it as they are."""
    images = question.prepared.images if question.prepared is not None else ()
    generation = model.session.stream(
        question.tokens,
        dataclasses.replace(sampling, top_logprobs=None, prompt_logprobs=None),
        images=images,
        cancel=cancel,
    ).wait()
    if generation.finish_reason == "interrupted":
        # Half an answer would be compared with a whole one.
        if cancel is not None and cancel.cancelled:
            msg = "the answer was stopped"
            raise Cancelled(msg)
        raise KeyboardInterrupt
    return OwnAnswer(
        str(model.stored.ref),
        generation.tokens,
        tuple(spell(model.session, generation.tokens)),
        generation.finish_reason,
    )
