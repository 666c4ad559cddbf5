"""A query and a document as the one input that a reranking model reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localkit.runtime.vocabulary import Vocabulary

_FIELD = re.compile(r"(\{query\}|\{document\})")


def pair_tokens(
    engine: Any, model: Any, vocabulary: Vocabulary, query: str, document: str
) -> list[int]:
    """Return the tokens of a pair, as llama-server's ``/rerank`` puts them.

    Through the template ``tokenizer.chat_template.rerank`` where the model has
    one, else ``BOS query EOS SEP document EOS`` with those of them that the
    tokenizer adds: ``[CLS] query [SEP] document [SEP]`` for BERT.
    """
    template = engine.llama_model_chat_template(model, b"rerank")
    if template:
        return _filled(template.decode(errors="replace"), vocabulary, query, document)
    before = vocabulary.tokenize(query)
    after = vocabulary.tokenize(document)
    if vocabulary.adds_bos and after[:1] == [vocabulary.bos]:
        del after[0]
    return [*before, *_between(engine, model, vocabulary), *after]


def _between(engine: Any, model: Any, vocabulary: Vocabulary) -> list[int]:
    """Return the separator that stands behind the query's own end, if one does."""
    # A BERT has no EOS: its texts end with the separator already. RoBERTa's end
    # with EOS, and in a pair the separator follows.
    vocab = engine.llama_model_get_vocab(model)
    follows = vocabulary.adds_eos and engine.llama_vocab_get_add_sep(vocab)
    separator: int = engine.llama_vocab_sep(vocab)
    if follows and vocabulary.eos is not None and separator >= 0:
        return [separator]
    return []


def _filled(
    template: str, vocabulary: Vocabulary, query: str, document: str
) -> list[int]:
    """Tokenize a filled template; control texts in what was filled in stay text."""
    texts = {"{query}": query, "{document}": document}
    controls = vocabulary.control_tokens
    if not any(control in text for control in controls for text in texts.values()):
        filled = _FIELD.sub(lambda found: texts[found[0]], template)
        return vocabulary.tokenize(filled, add_special=False, parse_special=True)
    tokens: list[int] = []
    for part in _FIELD.split(template):
        tokens += vocabulary.tokenize(
            texts.get(part, part), add_special=False, parse_special=part not in texts
        )
    return tokens
