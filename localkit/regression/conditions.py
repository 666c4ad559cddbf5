"""What was not the same when an answer came about again, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from localkit.store.digest import short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.regression.records import AnswerRecord, ReceiptRecord

Kind = Literal["model", "request", "machine"]
"""``model``: a change by itself; ``request``: asked otherwise; ``machine``: where it
ran, which may change the last bits."""

# What is reported beside the answer changes none of it; on the seed, see `determined`.
_IGNORED = frozenset({"top_logprobs", "prompt_logprobs", "seed"})
_WORDS = {
    "engine": "the engine",
    "features": "the instruction sets",
    "device": "the device",
    "backend": "the backend",
    "n_ctx": "the context length",
    "n_threads": "the threads",
    "kv_type": "the KV type",
}


class Condition(NamedTuple):
    """One thing that differs."""

    kind: Kind
    what: str
    before: str
    after: str

    def __str__(self) -> str:
        """Say it: ``the weights changed: Q4_K_M sha256:ab… → Q4_0 sha256:cd…``."""
        return f"{self.what} changed: {self.before} → {self.after}"


def differing(saved: AnswerRecord, fresh: AnswerRecord) -> list[Condition]:
    """Return everything that differs between the makings of two answers.

    An empty list means the same fingerprint: the same text is owed then, if the
    sampling is `determined`.
    """
    before, after = saved.receipt, fresh.receipt
    found = [*_model(before, after), *_request(before, after)]
    found += machines(before.runtime, after.runtime)
    if not (before.exact and after.exact) and saved.n_reused != fresh.n_reused:
        # Other batches: the last bits may differ, see design/025.
        pair = str(saved.n_reused), str(fresh.n_reused)
        found.append(Condition("machine", "the count of reused tokens", *pair))
    return found


def machines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Condition]:
    """Return the differences of two runtime fingerprints."""
    return [
        Condition("machine", _WORDS.get(name, name), _shown(was, now), _shown(now, was))
        for name in dict.fromkeys([*before, *after])
        if (was := before.get(name)) != (now := after.get(name))
    ]


def determined(before: ReceiptRecord, after: ReceiptRecord) -> bool:
    """Whether the sampling leaves one text: greedy, or with a seed that was given.

    Of a seed that was drawn the receipt says which; the next run draws another.
    """
    if before.is_greedy and after.is_greedy:
        return True
    return before.params.get("seed") == after.params.get("seed")


def weights(quant: str, digest: str) -> str:
    """Return how a message names weights: ``Q4_0 sha256:2af6e1c0b81d…``."""
    return f"{quant} {short_digest(digest)}".strip()


def _model(before: ReceiptRecord, after: ReceiptRecord) -> list[Condition]:
    found = []
    if before.weights_digest != after.weights_digest:
        pair = (
            weights(before.quant, before.weights_digest),
            weights(after.quant, after.weights_digest),
        )
        found.append(Condition("model", "the weights", *pair))
    if before.template_digest != after.template_digest:
        pair = _template(before), _template(after)
        found.append(Condition("model", "the chat template", *pair))
    if before.adapters != after.adapters:
        pair = (
            ", ".join(before.adapters) or "none",
            ", ".join(after.adapters) or "none",
        )
        found.append(Condition("model", "the adapters", *pair))
    return found


def _request(before: ReceiptRecord, after: ReceiptRecord) -> list[Condition]:
    found = machines(
        {name: one for name, one in before.params.items() if name not in _IGNORED},
        {name: one for name, one in after.params.items() if name not in _IGNORED},
    )
    found = [one._replace(kind="request") for one in found]
    if before.exact != after.exact:
        pair = str(before.exact), str(after.exact)
        found.append(Condition("request", "exact", *pair))
    same_layers = before.manifest_digest == after.manifest_digest
    if not same_layers and before.weights_digest == after.weights_digest:
        pair = short_digest(before.manifest_digest), short_digest(after.manifest_digest)
        found.append(Condition("request", "the model's recipe", *pair))
    return found


def _template(receipt: ReceiptRecord) -> str:
    if receipt.template_digest is None:
        return "none"
    digest = short_digest(receipt.template_digest)
    return f"{receipt.template_kind or ''} {digest}".strip()


def _shown(value: object, other: object) -> str:
    """Return a value; of long lists of words those that the other has not."""
    if isinstance(value, str) and isinstance(other, str) and len(value) > 60:
        words = [word for word in value.split() if word not in other.split()]
        return f"… {' '.join(words)}" if words else "… without that"
    text = "none" if value is None else str(value)
    return text if len(text) <= 80 else text[:79] + "…"
