"""Who to be at a registry: from the environment, the keyring, or docker's file.

Looked up only when a registry asks who we are. Each credential belongs to one host
and is given to nobody else. The environment's belong to ``LOCALKIT_REGISTRY_HOST``:
without a host, whoever gets you to pull from their registry would get them.

Secrets are pydantic's ``SecretStr``: its repr and str are asterisks.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import importlib.util
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from localkit.config import settings
from localkit.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["password", "registry token", "identity token"]

_HELPER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_HELPER_S = 20.0
_MAX_FILE = 1 << 20
# What docker's helpers say in place of a user when the secret is a token.
_TOKEN_USER = "<token>"  # noqa: S105 - a marker, not a secret


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and secret, or a token, for one host."""

    kind: Kind
    user: str
    secret: SecretStr
    source: str
    """Where it was found, for messages."""


def find_credential(host: str) -> Credential | None:
    """Return who to be at ``host``: the first place that knows.

    Raises:
        RegistryError: docker's file or helper, or the keyring, does not work; the
            message says what to do and holds no secret.
    """
    return _from_settings(host) or _from_keyring(host) or _from_docker(host)


def _from_settings(host: str) -> Credential | None:
    ours = settings()
    if host.lower() != ours.registry_host.lower():
        return None
    if ours.registry_token is not None:
        source = "LOCALKIT_REGISTRY_TOKEN"
        return Credential("registry token", "", ours.registry_token, source)
    if ours.registry_user is not None and ours.registry_password is not None:
        source = "LOCALKIT_REGISTRY_PASSWORD"
        return Credential(
            "password", ours.registry_user, ours.registry_password, source
        )
    return None


def _from_keyring(host: str) -> Credential | None:
    """Ask the keyring for the user and password kept under the host's name."""
    if importlib.util.find_spec("keyring") is None:
        return None
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        found = keyring.get_credential(host, None)
    except errors.NoKeyringError:
        return None
    except errors.KeyringError as error:
        raise RegistryError(
            f"the keyring does not open: {type(error).__name__}",
            hint="unlock it, or set LOCALKIT_REGISTRY_USER and …_PASSWORD",
        ) from None
    if found is None or not found.password:
        return None
    return Credential(
        "password", found.username, SecretStr(found.password), "the keyring"
    )


def _from_docker(host: str) -> Credential | None:
    path = settings().docker_config.expanduser() / "config.json"
    document = _read(path)
    helpers = document.get("credHelpers")
    helper = helpers.get(host) if isinstance(helpers, dict) else None
    helper = helper or document.get("credsStore")
    if isinstance(helper, str) and helper:
        found = _from_helper(helper, host)
        if found is not None:
            return found
    auths = document.get("auths")
    for place, entry in auths.items() if isinstance(auths, dict) else ():
        if _host_of(place) == host.lower() and isinstance(entry, dict):
            return _from_entry(entry, path)
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            document = json.loads(stream.read(_MAX_FILE))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise RegistryError(
            f"{path} cannot be read: {error.strerror}", hint="make it readable"
        ) from None
    except (ValueError, RecursionError):
        # The parser's error holds the text, which holds secrets.
        raise RegistryError(
            f"{path} is not JSON", hint="`docker login` again"
        ) from None
    return document if isinstance(document, dict) else {}


def _host_of(place: str) -> str:
    """Return the host of ``https://index.docker.io/v1/``, or of a bare one."""
    return re.sub(r"^https?://", "", place.lower()).partition("/")[0]


def _from_entry(entry: dict[str, Any], path: Path) -> Credential | None:
    source = str(path)
    for key, kind in _TOKENS.items():
        if isinstance(token := entry.get(key), str) and token:
            return Credential(kind, "", SecretStr(token), source)
    user, password = entry.get("username"), entry.get("password")
    if isinstance(auth := entry.get("auth"), str) and auth:
        try:
            text = base64.b64decode(auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise RegistryError(
                f"{path} holds a broken 'auth'", hint="`docker login` again"
            ) from None
        user, _, password = text.partition(":")
    if isinstance(user, str) and isinstance(password, str) and password:
        # An old docker pads with NUL.
        return Credential("password", user, SecretStr(password.strip("\0")), source)
    return None


_TOKENS: dict[str, Kind] = {
    "registrytoken": "registry token",
    "identitytoken": "identity token",
}


def _from_helper(name: str, host: str) -> Credential | None:
    """Ask ``docker-credential-NAME``, a program on the PATH."""
    if not _HELPER_NAME.fullmatch(name):
        raise RegistryError(
            f"docker's config names {name[:60]!r} as its credential helper",
            hint="a helper is named, not given as a path: correct the file",
        )
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=host.encode(),
            capture_output=True,
            timeout=_HELPER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(
            f"docker's credential helper '{program}' does not work: "
            f"{type(error).__name__}",
            hint="install it, or take it out of docker's config.json",
        ) from None
    if done.returncode != 0:
        return None  # it knows nobody there
    try:
        document = json.loads(done.stdout[:_MAX_FILE])
        user, secret = document["Username"], document["Secret"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(user, str) or not isinstance(secret, str) or not secret:
        return None
    kind: Kind = "identity token" if user == _TOKEN_USER else "password"
    return Credential(kind, user, SecretStr(secret), program)
