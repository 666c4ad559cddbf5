"""What an answer was made with: enough to make it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from localkit.runtime.protocol import SERVE

if TYPE_CHECKING:
    from localkit.gguf.info import TypeShare
    from localkit.runtime.params import ServeParams
    from localkit.runtime.protocol import Fingerprint, SamplingParams, Session
    from localkit.store import StoredModel

_VERSION = version("localkit")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Model, sampling and runtime of one answer."""

    ref: str
    """Model ref as the store knows it."""
    manifest_digest: str
    weights_digest: str
    quant: str
    """Label of the file; `bits_per_weight` is what it really holds."""
    bits_per_weight: float
    type_mix: str
    """Share of the bytes by weight type, largest first: ``q4_1 78 %, q8_0 22 %``."""
    lossy_origin: str | None
    """Quant that the weights were expanded or requantized from."""
    template_digest: str | None
    """Of the chat template; None for raw text."""
    params: SamplingParams
    """Sampling params as used: the seed is the one that was drawn."""
    adapters: tuple[str, ...]
    """LoRA adapters, each as ``name × scale``."""
    exact: bool
    """Whether it was computed apart from all other requests."""
    runtime: Fingerprint
    localkit: str
    """Version of localkit."""
    of_model: tuple[str, ...] = ()
    """What the model brought along, because the caller did not say otherwise:
    ``system``, ``temperature``, ``adapters``."""
    template_kind: str | None = None
    """``jinja`` or ``go``; None for raw text."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as nested plain values, ready for JSON."""
        return asdict(self)


def make_receipt(
    stored: StoredModel,
    session: Session,
    params: SamplingParams,
    *,
    serve: ServeParams = SERVE,
    template_digest: str | None = None,
    of_model: tuple[str, ...] = (),
    template_kind: str | None = None,
) -> Receipt:
    """Return the receipt of an answer of ``session``; ``params`` hold the seed used."""
    return Receipt(
        ref=str(stored.ref),
        manifest_digest=stored.digest,
        weights_digest=stored.weights_digest,
        quant=stored.info.quant,
        bits_per_weight=round(stored.info.bits_per_weight, 4),
        type_mix=_mix(stored.info.type_mix),
        lossy_origin=stored.info.lossy_origin,
        template_digest=template_digest,
        params=params,
        adapters=tuple(f"{one.path.name} × {one.scale:g}" for one in serve.adapters),
        exact=serve.exact,
        runtime=session.fingerprint,
        localkit=_VERSION,
        of_model=of_model,
        template_kind=template_kind,
    )


def _mix(shares: tuple[TypeShare, ...]) -> str:
    total = sum(share.n_bytes for share in shares) or 1
    return ", ".join(
        f"{share.type} {100 * share.n_bytes / total:.0f} %"
        for share in shares
        if share.n_bytes >= total / 200
    )
