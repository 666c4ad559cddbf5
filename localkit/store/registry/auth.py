"""Answering a registry that asks who we are.

A registry says 401 and where a token is to be had (``WWW-Authenticate: Bearer
realm=…``). Whoever controls the answer controls that address, so it is believed
only if it is the registry's own origin, or one that is known to belong to it. Any
other is refused: nothing is sent there, not even without a secret.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pydantic import SecretStr

from localkit.config import settings
from localkit.errors import RegistryError
from localkit.io.http import Http, Origin, read_document
from localkit.io.http.failures import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localkit.events import CancelToken
    from localkit.io.http.document import Document
    from localkit.store.registry.credentials import Credential

MAX_TOKEN_SIZE = 64 << 10
"""Bytes that the answer with a token may have."""
_MAX_CHALLENGE = 8 << 10
_DEFAULT_LIFE_S = 60.0
# Asked for anew a little early, so that none ends on the way.
_MARGIN_S = 10.0

_KNOWN_REALMS = {
    "registry.ollama.ai": frozenset({"https://ollama.com"}),
    "registry-1.docker.io": frozenset({"https://auth.docker.io"}),
    "index.docker.io": frozenset({"https://auth.docker.io"}),
    "registry.gitlab.com": frozenset({"https://gitlab.com"}),
}
"""Origins that hand out tokens for a registry elsewhere, as their makers document."""

# name="value", name=value, or the name of a scheme.
_PIECE = re.compile(r'([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^",\s]+))|([A-Za-z]+)')
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 asks for."""

    scheme: str
    """``bearer`` or ``basic``."""
    realm: str = ""
    service: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class _Token:
    header: SecretStr
    good_until: float


class Auth:
    """What to send to one registry so that it knows us; kept per scope."""

    def __init__(
        self,
        http: Http,
        host: str,
        *,
        find: Callable[[str], Credential | None],
        realms: frozenset[str] = frozenset(),
    ) -> None:
        """Know nobody yet.

        Args:
            http: The registry.
            host: Its ``host[:port]``, under which credentials are kept.
            find: Looks a credential up, when one is asked for.
            realms: Further origins that may hand out tokens for it.
        """
        self._http = http
        self._host = host
        self._find = find
        self._realms = realms | _KNOWN_REALMS.get(host.lower(), frozenset())
        ours = settings()
        if ours.registry_realm and host.lower() == ours.registry_host.lower():
            self._realms |= {ours.registry_realm.rstrip("/")}
        self._known: dict[str, _Token] = {}
        self._lock = threading.Lock()

    def headers(self, scope: str) -> dict[str, SecretStr]:
        """Return the secret headers for a scope, as far as they are known."""
        token = self._known.get(scope)
        if token is None or time.monotonic() > token.good_until:
            return {}
        return {"Authorization": token.header}

    def answer(
        self,
        refusal: Mapping[str, str],
        scope: str,
        refused: Mapping[str, SecretStr],
        *,
        cancel: CancelToken | None = None,
    ) -> bool:
        """Get what a 401 asks for; return whether there is something new to send.

        Args:
            refusal: Headers of the 401.
            scope: What is wanted: ``repository:library/smollm2:pull``.
            refused: The secret headers that were sent.
            cancel: Ends the request for a token.

        Raises:
            RegistryError: the realm is not to be trusted, or gives no token.
            Cancelled: ``cancel`` was raised.
        """
        with self._lock:  # one token for all the threads that were refused
            if self.headers(scope) not in ({}, refused):
                return True
            challenge = parse_challenge(refusal.get("www-authenticate", ""))
            if challenge is None:
                return False
            credential = self._find(self._host)
            token = self._token_for(challenge, scope, credential, cancel)
            if token is None or {"Authorization": token.header} == refused:
                return False
            self._known[scope] = token
            return True

    def _token_for(
        self,
        challenge: Challenge,
        scope: str,
        credential: Credential | None,
        cancel: CancelToken | None,
    ) -> _Token | None:
        for_ever = float("inf")
        if credential is not None and credential.kind == "registry token":
            bearer = f"Bearer {credential.secret.get_secret_value()}"
            return _Token(_header(bearer, credential.source), for_ever)
        if challenge.scheme == "basic":
            return None if credential is None else _Token(basic(credential), for_ever)
        origin = self._trusted_realm(challenge)
        with Http(origin) as http:
            document = _ask(http, challenge, scope, credential, cancel)
        document.accepted(what=origin, doing=f"getting a token for {self._host}")
        return _read_token(document.body, origin)

    def _trusted_realm(self, challenge: Challenge) -> str:
        import httpx2

        try:
            realm = str(Origin.of(httpx2.URL(challenge.realm)))
        except httpx2.InvalidURL:
            realm = challenge.realm
        if realm == str(self._http.origin) or realm in self._realms:
            return realm
        raise RegistryError(
            f"{self._host} wants a password sent to '{shown(realm)}', "
            "which is not known to be its own",
            hint="nothing was sent; if it is right, set LOCALKIT_REGISTRY_HOST="
            f"{self._host} and LOCALKIT_REGISTRY_REALM to it",
            status=401,
        )


def parse_challenge(header: str) -> Challenge | None:
    """Read a ``WWW-Authenticate`` header; None when it asks for nothing we know.

    Where it offers both, a token is taken over sending the password each time.
    """
    found: dict[str, dict[str, str]] = {}
    values: dict[str, str] = {}
    for piece in _PIECE.finditer(header[:_MAX_CHALLENGE]):
        name, quoted, plain, scheme = piece.groups()
        if scheme:
            values = found.setdefault(scheme.lower(), {})
        else:
            values.setdefault(name.lower(), quoted or plain or "")
    for scheme in ("bearer", "basic"):
        if scheme in found:
            given = found[scheme]
            return Challenge(
                scheme,
                given.get("realm", ""),
                given.get("service", ""),
                given.get("scope", ""),
            )
    return None


def basic(credential: Credential) -> SecretStr:
    """Return the value of an ``Authorization`` header with user and password."""
    pair = f"{credential.user}:{credential.secret.get_secret_value()}"
    return SecretStr(f"Basic {base64.b64encode(pair.encode()).decode()}")


def _ask(
    http: Http,
    challenge: Challenge,
    scope: str,
    credential: Credential | None,
    cancel: CancelToken | None,
) -> Document:
    """Ask the realm for a token, with who we are if we are somebody."""
    wanted = {"service": challenge.service, "scope": challenge.scope or scope}
    wanted = {name: value for name, value in wanted.items() if value}
    if credential is not None and credential.kind == "identity token":
        form = {
            "grant_type": "refresh_token",
            "client_id": "localkit",
            **wanted,
            "refresh_token": credential.secret.get_secret_value(),
        }
        return read_document(
            http,
            "POST",
            challenge.realm,
            limit=MAX_TOKEN_SIZE,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            cancel=cancel,
        )
    joint = "&" if "?" in challenge.realm else "?"
    return read_document(
        http,
        "GET",
        f"{challenge.realm}{joint}{urlencode(wanted)}",
        limit=MAX_TOKEN_SIZE,
        secrets={} if credential is None else {"Authorization": basic(credential)},
        cancel=cancel,
    )


def _read_token(body: bytes, origin: str) -> _Token:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        token = document.get("token") or document.get("access_token")
        life_s = document.get("expires_in")
        if not isinstance(life_s, int | float) or not 0 < life_s < 1e9:
            life_s = _DEFAULT_LIFE_S
        if isinstance(token, str):
            until = time.monotonic() + max(1.0, life_s - _MARGIN_S)
            return _Token(_header(f"Bearer {token}", origin), until)
    raise RegistryError(f"{origin} answers without a token", hint="try again later")


def _header(value: str, source: str) -> SecretStr:
    """Refuse what cannot stand in a header, without showing it."""
    if _TOKEN.fullmatch(value.partition(" ")[2]) is None:
        raise RegistryError(
            f"the token of {source} has characters that no token has",
            hint="copy it again",
        )
    return SecretStr(value)
