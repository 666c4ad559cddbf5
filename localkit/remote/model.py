"""RemoteModel: a model behind a URL, once it is known what is spoken there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from localkit.errors import RemoteError
from localkit.remote.address import Address, Dialect, parse_address
from localkit.remote.keys import key_for
from localkit.remote.ollama import Ollama
from localkit.remote.openai import OpenAI
from localkit.remote.wire import PACE, TIMEOUT_S, Wire

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from localkit.events import CancelToken
    from localkit.io.http.pace import Pace
    from localkit.remote.values import Facts, Speaks


class RemoteModel:
    """A model on a server: what it is (`facts`, `digest`), and how to talk (`speaks`).

    Made by `open_model`. Nothing of a key is in its repr, its address or its digest.
    """

    def __init__(
        self, address: Address, wire: Wire, speaks: Speaks, facts: Facts
    ) -> None:
        """Join what was found out."""
        self.address = address
        self.speaks = speaks
        self.facts = facts
        self._wire = wire

    def __repr__(self) -> str:
        """Name the address."""
        return f"<RemoteModel {self.address}>"

    @property
    def digest(self) -> str:
        """sha256 of where it is, its name, and what the server says of it.

        It is as good as what the server says: Ollama names the digest of its
        manifest; others may serve other weights under a name without a word.
        """
        named = [
            self.address.dialect,
            self.address.origin + self.address.path,
            self.address.model,
            dict(self.facts.model),
        ]
        text = json.dumps(named, sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def close(self) -> None:
        """Close what is open; may be called twice."""
        self._wire.close()

    def __enter__(self) -> Self:
        """Return the model."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


def open_model(
    address: str | Address,
    *,
    timeout_s: float = TIMEOUT_S,
    pace: Pace = PACE,
    cancel: CancelToken | None = None,
) -> RemoteModel:
    """Find out what is spoken at an address, and whether the model is there.

    Args:
        address: ``MODEL@URL``, see `remote.address`.
        timeout_s: Seconds that one answer may take.
        pace: How often a server that is busy is asked again; each time is noted.
        cancel: Raise it to stop.

    Raises:
        UsageError: it is no address.
        RemoteError: nobody is there, no dialect is understood, or there is no such
            model.
        Cancelled: ``cancel`` was raised.
    """
    known = parse_address(address) if isinstance(address, str) else address
    wire = Wire(known, key=key_for(known.origin), timeout_s=timeout_s, pace=pace)
    try:
        dialect = known.dialect or _dialect(wire, cancel)
        known = wire.address = replace(known, dialect=dialect)
        speaks: Speaks = OpenAI(wire) if dialect == "openai" else Ollama(wire)
        return RemoteModel(known, wire, speaks, speaks.facts(cancel=cancel))
    except BaseException:
        wire.close()
        raise


def _dialect(wire: Wire, cancel: CancelToken | None) -> Dialect:
    """Return what the server speaks: Ollama says its version, the others do not."""
    path = wire.address.path
    if path.endswith("/v1"):
        return "openai"
    doing = "asking what it speaks"
    try:
        said = wire.get(f"{path}/api/version", doing=doing, cancel=cancel)
    except RemoteError as error:
        if error.status is None:  # nobody is there
            raise
    else:
        if isinstance(said, dict) and isinstance(said.get("version"), str):
            return "ollama"
    try:
        wire.get(f"{path or '/v1'}/models", doing=doing, cancel=cancel)
    except RemoteError as error:
        if error.status not in {200, 404, 405, 501}:
            raise
        msg = f"{wire.address.origin} speaks neither Ollama's dialect nor OpenAI's"
        hint = "check the URL, or say it: MODEL@openai+URL"
        raise RemoteError(msg, hint=hint, status=error.status) from error
    return "openai"
