"""Which models a comparison compares, and with which one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from localkit.errors import NotComparable, UsageError
from localkit.evals.comparing.variant import PLAIN, Variant
from localkit.gguf.types import nominal_bits
from localkit.remote.address import is_address
from localkit.store.ref import ModelRef

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from localkit.gguf.info import ModelInfo
    from localkit.store import Store
    from localkit.store.stored import StoredModel


@dataclass(frozen=True, slots=True)
class Candidate:
    """One weight file to measure."""

    label: str
    """Quant label; with the tag where another candidate has the same label."""
    model: StoredModel
    variant: Variant = PLAIN
    """How it is loaded and asked."""
    stranger: str = ""
    """Why no loss against the reference can be measured; empty: it can."""

    @property
    def info(self) -> ModelInfo:
        """What the file says."""
        return self.model.info

    @property
    def weights_digest(self) -> str:
        """Names the bytes that are measured."""
        return self.model.weights_digest


@dataclass(frozen=True, slots=True)
class Remote:
    """A model behind a URL: it answers tasks, and nothing else is known of it."""

    label: str
    address: str
    """``MODEL@URL``."""


@dataclass(frozen=True, slots=True)
class Family:
    """The candidates, and the one that the others are compared with."""

    name: str
    reference: Candidate
    candidates: tuple[Candidate, ...]
    """The reference first, then by bits per weight, most first; strangers last."""
    remarks: tuple[str, ...]
    """Tags that were left out, and why."""
    remotes: tuple[Remote, ...] = ()

    @property
    def kin(self) -> Family:
        """The family without strangers: those whose loss can be measured."""
        strangers = {one.label for one in self.candidates if one.stranger}
        return self.without(strangers)

    def without(self, labels: Container[str]) -> Family:
        """Return the family less some candidates; never less the reference."""
        kept = [
            candidate
            for candidate in self.candidates
            if candidate is self.reference or candidate.label not in labels
        ]
        return replace(self, candidates=tuple(kept))


def find_family(
    store: Store,
    ref: str | ModelRef,
    *,
    quants: Sequence[str] | None = None,
    reference: str | None = None,
    variants: Sequence[Variant] = (PLAIN,),
    against: Sequence[str] = (),
) -> Family:
    """Return the quants of a model that are in the store.

    ``ref`` without a tag means every tag; with one, that tag and the reference.
    ``quants`` picks by quant label or tag, in any case. The reference is
    ``reference``, else the one of the highest precision, in the first of the
    ``variants``. ``against`` names other models, and such behind URLs.

    Raises:
        ModelNotFound: no such model.
        UsageError: a quant that was asked for is not there.
        NotComparable: what was asked for is not one model in several quants.
    """
    asked = ModelRef.parse(ref) if isinstance(ref, str) else ref
    everything = _distinct([store.resolve(tag) for tag in store.tags(asked)])
    chosen_reference = (
        _pick(everything, [reference], asked)[0] if reference else _finest(everything)
    )
    if asked.digest is not None:
        store.resolve(asked)  # refuses another digest than the one asked for
    if quants is not None:
        chosen = _pick(everything, quants, asked)
    elif asked.tag is not None or asked.digest is not None:
        digest = store.resolve(asked).weights_digest
        chosen = [model for model in everything if model.weights_digest == digest]
    else:
        chosen = everything
    explicit = chosen is not everything
    kept, remarks = [chosen_reference], []
    for model in chosen:
        reason = _stranger(model.info, chosen_reference.info)
        if reason and explicit:
            msg = (
                f"{model.ref} cannot be compared with {chosen_reference.ref}: {reason}"
            )
            raise NotComparable(msg, hint="compare quants of one model")
        if reason:
            remarks.append(f"{model.ref} was left out: {reason}.")
        elif model.weights_digest != chosen_reference.weights_digest:
            kept.append(model)
    kept[1:] = sorted(kept[1:], key=lambda model: -model.info.bits_per_weight)
    taken = {model.weights_digest for model in chosen}
    reference_alone = explicit and chosen_reference.weights_digest not in taken
    candidates = [
        replace(candidate, variant=variant, label=_varied(candidate.label, variant))
        for candidate in _labelled(kept)
        for variant in variants
        if variant is variants[0]
        or not reference_alone
        or candidate.model is not chosen_reference
    ]
    rivals = [store.resolve(name) for name in against if not is_address(name)]
    candidates += [_rival(model, chosen_reference, variants[0]) for model in rivals]
    remotes = [Remote(name, name) for name in against if is_address(name)]
    return Family(
        asked.model, candidates[0], tuple(candidates), tuple(remarks), tuple(remotes)
    )


def _varied(label: str, variant: Variant) -> str:
    return f"{label}, {variant.label}" if variant.label else label


def _rival(model: StoredModel, reference: StoredModel, variant: Variant) -> Candidate:
    """Return a model outside the family; as a stranger unless it happens to be kin."""
    return Candidate(
        label=str(model.ref),
        model=model,
        variant=replace(variant, names=()),
        stranger=_stranger(model.info, reference.info),
    )


def _distinct(models: Iterable[StoredModel]) -> list[StoredModel]:
    """Keep one of the models that share their weights; ``latest`` goes first."""
    by_digest: dict[str, StoredModel] = {}
    for model in models:
        known = by_digest.get(model.weights_digest)
        if known is None or known.ref.tag == "latest":
            by_digest[model.weights_digest] = model
    return list(by_digest.values())


def _pick(
    models: Sequence[StoredModel], names: Sequence[str], ref: ModelRef
) -> list[StoredModel]:
    """Return the models that the quant labels or tags name."""
    found, missing = [], []
    for name in names:
        wanted = name.rpartition(":")[2].lower()
        # A tag that is called so is meant alone, not all that share its quant.
        hits = [
            model for model in models if wanted == (model.ref.tag or "").lower()
        ] or [model for model in models if wanted == model.info.quant.lower()]
        found += [model for model in hits if model not in found]
        if not hits:
            missing.append(name)
    if missing:
        base = replace(ref, tag=None, digest=None)
        msg = f"no {', '.join(missing)} of {base} is in the store"
        here = ", ".join(sorted({model.info.quant for model in models}))
        raise UsageError(
            msg,
            hint=f"make it: `%llm quantize {base} {missing[0]}`; here are {here}",
        )
    return found


def _finest(models: Sequence[StoredModel]) -> StoredModel:
    """Return the model of the highest precision.

    A file made from a quantized one is as fine as its origin, and above it: it
    holds the origin's weights, computed in more bits.
    """
    return max(
        models,
        key=lambda model: (
            nominal_bits(model.info.lossy_origin or model.info.quant),
            model.info.bits_per_weight,
        ),
    )


def _stranger(info: ModelInfo, reference: ModelInfo) -> str:
    """Return why ``info`` is not the reference's model; empty when it is."""
    if info.vocab_digest != reference.vocab_digest:
        return "it has another tokenizer"
    shape = (info.architecture, info.n_layers, info.n_embd, info.n_heads)
    if shape != (
        reference.architecture,
        reference.n_layers,
        reference.n_embd,
        reference.n_heads,
    ):
        return f"it is another model, with {info.n_params / 1e9:.2f} billion weights"
    return ""


def _labelled(models: Sequence[StoredModel]) -> tuple[Candidate, ...]:
    counts = Counter(model.info.quant for model in models)
    return tuple(
        Candidate(
            model.info.quant
            if counts[model.info.quant] == 1
            else f"{model.info.quant} ({model.ref.tag})",
            model,
        )
        for model in models
    )
