from __future__ import annotations

import base64
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import keyring
import keyring.backends.fail
import pytest
from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential

from localkit.config import settings
from localkit.errors import RegistryError
from localkit.store.registry.credentials import find_credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOST = "registry.example:5000"
SECRET = "canary-33fd"


@pytest.fixture(autouse=True)
def docker_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture
def docker(docker_folder: Path) -> Callable[[object], None]:
    def write(document: object) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        (docker_folder / "config.json").write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Install ``docker-credential-test``, which runs Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(code: str) -> None:
        program = folder / "docker-credential-test"
        program.write_text(f"#!{sys.executable}\nimport json, sys\n{code}\n")
        program.chmod(0o755)

    return install


def encoded(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def test_without_any_of_them_there_is_none() -> None:
    assert find_credential(HOST) is None


def test_the_environments_token_is_for_its_host_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCALKIT_REGISTRY_TOKEN", SECRET)
    settings.cache_clear()
    assert find_credential(HOST) is None
    found = find_credential("registry.ollama.ai")
    assert found is not None
    assert (found.kind, found.secret.get_secret_value()) == ("registry token", SECRET)
    monkeypatch.setenv("LOCALKIT_REGISTRY_HOST", HOST)
    settings.cache_clear()
    assert find_credential(HOST.upper()) is not None
    assert find_credential("registry.ollama.ai") is None
    assert find_credential(HOST.removesuffix(":5000")) is None


def test_the_environments_user_and_password_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCALKIT_REGISTRY_HOST", HOST)
    monkeypatch.setenv("LOCALKIT_REGISTRY_USER", "me")
    settings.cache_clear()
    assert find_credential(HOST) is None
    monkeypatch.setenv("LOCALKIT_REGISTRY_PASSWORD", SECRET)
    settings.cache_clear()
    found = find_credential(HOST)
    assert found is not None
    assert (found.user, found.secret.get_secret_value()) == ("me", SECRET)


@pytest.mark.parametrize(
    "entry",
    [
        {"auth": encoded(f"me:{SECRET}")},
        {"username": "me", "password": SECRET},
        {"auth": encoded(f"me:{SECRET}\0\0")},
    ],
)
@pytest.mark.parametrize("place", [HOST, f"https://{HOST}", f"http://{HOST}/v1/"])
def test_dockers_file_is_read(
    docker: Callable[[object], None], place: str, entry: dict[str, str]
) -> None:
    docker({"auths": {"other.example": {"auth": encoded("x:y")}, place: entry}})
    found = find_credential(HOST)
    assert found is not None
    assert (found.user, found.secret.get_secret_value()) == ("me", SECRET)
    assert find_credential("registry.example") is None


def test_a_password_with_colons_keeps_them(docker: Callable[[object], None]) -> None:
    docker({"auths": {HOST: {"auth": encoded("me:a:b:c")}}})
    found = find_credential(HOST)
    assert found is not None
    assert found.secret.get_secret_value() == "a:b:c"


@pytest.mark.parametrize("kind", ["identity token", "registry token"])
def test_dockers_tokens_are_told_apart(
    docker: Callable[[object], None], kind: str
) -> None:
    docker({"auths": {HOST: {kind.replace(" ", ""): SECRET}}})
    found = find_credential(HOST)
    assert found is not None
    assert found.kind == kind


def test_an_entry_that_says_nothing_is_none(docker: Callable[[object], None]) -> None:
    docker({"auths": {HOST: {}}})
    assert find_credential(HOST) is None


@pytest.mark.parametrize("broken", [f'{{"auths": "{SECRET}', "[" * 5000])
def test_a_broken_file_is_refused_without_showing_it(
    docker: Callable[[object], None], broken: str
) -> None:
    docker(broken)
    with pytest.raises(RegistryError, match="not JSON") as caught:
        find_credential(HOST)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_broken_entry_is_refused_without_showing_it(
    docker: Callable[[object], None],
) -> None:
    docker({"auths": {HOST: {"auth": f"!!{SECRET}!!"}}})
    with pytest.raises(RegistryError, match="broken 'auth'") as caught:
        find_credential(HOST)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("setting", ["credsStore", "credHelpers"])
def test_dockers_helper_is_asked_for_the_host(
    docker: Callable[[object], None], helper: Callable[[str], None], setting: str
) -> None:
    docker({setting: "test" if setting == "credsStore" else {HOST: "test"}})
    helper(
        "host = sys.stdin.read()\n"
        "assert sys.argv[1:] == ['get']\n"
        f"assert host == {HOST!r}\n"
        f"print(json.dumps({{'Username': 'me', 'Secret': {SECRET!r}}}))"
    )
    found = find_credential(HOST)
    assert found is not None
    assert (found.user, found.secret.get_secret_value()) == ("me", SECRET)
    assert found.kind == "password"


def test_a_helper_may_hand_out_an_identity_token(
    docker: Callable[[object], None], helper: Callable[[str], None]
) -> None:
    docker({"credsStore": "test"})
    helper(f"print(json.dumps({{'Username': '<token>', 'Secret': {SECRET!r}}}))")
    found = find_credential(HOST)
    assert found is not None
    assert found.kind == "identity token"


def test_a_helper_that_knows_nobody_leaves_it_to_the_file(
    docker: Callable[[object], None], helper: Callable[[str], None]
) -> None:
    auths = {HOST: {"auth": encoded(f"me:{SECRET}")}}
    docker({"credsStore": "test", "auths": auths})
    helper("print('credentials not found in native keychain'); sys.exit(1)")
    assert find_credential(HOST) is not None


@pytest.mark.parametrize("name", ["../evil", "/bin/sh", "a b", "-x", "", "x;y", "x\n"])
def test_S6_a_helper_is_a_name_and_no_path(
    docker: Callable[[object], None], name: str
) -> None:
    docker({"credsStore": name})
    if name:
        with pytest.raises(RegistryError, match="credential helper"):
            find_credential(HOST)
    else:
        assert find_credential(HOST) is None


def test_a_helper_that_is_not_there_is_named(docker: Callable[[object], None]) -> None:
    docker({"credsStore": "no-such-helper"})
    with pytest.raises(RegistryError, match="docker-credential-no-such-helper"):
        find_credential(HOST)


class Ring(KeyringBackend):
    """A keyring in memory, open or locked."""

    priority = 1.0

    def __init__(self, *, locked: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._locked = locked

    def get_password(self, service: str, username: str) -> str | None:
        return SECRET if (service, username) == (HOST, "me") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def get_credential(self, service: str, username: str | None) -> Any:
        if self._locked:
            raise keyring.errors.KeyringLocked(SECRET)
        return SimpleCredential("me", SECRET) if service == HOST else None


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    """Keep the tester's own keyring out of this."""
    before = keyring.get_keyring()
    nobody = keyring.backends.fail.Keyring()  # type: ignore[no-untyped-call]
    keyring.set_keyring(nobody)
    yield
    keyring.set_keyring(before)


def test_the_keyring_is_asked_under_the_hosts_name() -> None:
    keyring.set_keyring(Ring())
    found = find_credential(HOST)
    assert found is not None
    assert (found.user, found.secret.get_secret_value()) == ("me", SECRET)
    assert find_credential("other.example") is None


@pytest.mark.parametrize("installed", [True, False])
def test_a_machine_without_a_keyring_goes_on(
    docker: Callable[[object], None],
    monkeypatch: pytest.MonkeyPatch,
    installed: bool,
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "keyring", None)
    docker({"auths": {HOST: {"auth": encoded(f"me:{SECRET}")}}})
    assert find_credential(HOST) is not None


def test_a_locked_keyring_is_said_without_its_words() -> None:
    keyring.set_keyring(Ring(locked=True))
    with pytest.raises(RegistryError, match="KeyringLocked") as caught:
        find_credential(HOST)
    assert SECRET not in str(caught.value)
