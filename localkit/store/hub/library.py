"""huggingface_hub, imported on first use, and what it raises in our own errors.

Two things it does are changed for the process. It would look up which coding agent
runs it, with a request of its own, and send the name along: turned off. And its log
shows signed download addresses: without their signatures.
"""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from localkit.errors import LocalkitError, RegistryError, SourceNotFound
from localkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from huggingface_hub.errors import HfHubHTTPError

TIMEOUT_S = 30.0
"""Seconds that the hub may stay silent: it lists a repo in one answer."""
_MOST_JSON = 32 << 20
"""Bytes of one answer; a repo of 10,000 files takes about 3 MiB."""
_LOGIN = "set HF_TOKEN, or log in with `hf auth login`"
_REACHABLE = "check the connection, or HF_ENDPOINT if that is set"


def endpoint() -> str:
    """Return the address of the hub in use."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def prepare() -> None:
    """Turn off what the library would do unasked; before every call of it."""
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    # It writes the address when it takes a download up again.
    logging.getLogger("huggingface_hub.file_download").addFilter(_without_queries)


def _without_queries(record: logging.LogRecord) -> bool:
    """Cut what follows the path of an address: a signature opens the file to all."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            re.sub(r"(https?://[^?\s]+)\?\S+", r"\1?…", arg)
            if isinstance(arg, str)
            else arg
            for arg in record.args
        )
    return True


def headers() -> dict[str, str]:
    """Return what a request to the hub carries: who asks, and the user's token.

    The token comes from where the hub's library finds it: ``HF_TOKEN`` or the file
    that ``hf auth login`` wrote.
    """
    from huggingface_hub.utils import build_hf_headers

    prepare()
    return build_hf_headers(library_name="localkit", library_version=__version__)


def get_json(path: str, params: Mapping[str, Any], *, about: str) -> Any:
    """Return what the hub answers to one question, asked once.

    Args:
        path: Under the endpoint: ``/api/models``.
        params: Of the query, unless the path has one.
        about: The repo or the words asked for, for messages.

    Raises:
        SourceNotFound: no such repo or revision.
        RegistryError: the hub refuses, fails, cannot be reached, or its answer is
            no JSON or longer than 32 MiB.
    """
    from huggingface_hub.utils import get_session, hf_raise_for_status

    with (
        hub_errors(about),
        get_session().stream(
            "GET",
            f"{endpoint()}{path}",
            params=dict(params) or None,
            headers=headers(),
            timeout=TIMEOUT_S,
        ) as response,
    ):
        hf_raise_for_status(response)
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > _MOST_JSON:
                raise RegistryError(
                    f"{about}: {endpoint()} answered with more than "
                    f"{_MOST_JSON >> 20} MiB",
                    hint=_REACHABLE,
                )
        return json.loads(data)


@contextmanager
def hub_errors(repo: str, what: str = "") -> Iterator[None]:
    """Turn what the hub's library raises inside the block into our errors.

    Args:
        repo: ``org/repo``, or words for what was asked.
        what: The file in it, when there is one.

    Raises:
        SourceNotFound: no such repo, revision or file.
        RegistryError: the hub refuses, fails or cannot be reached.
    """
    import httpx2
    from huggingface_hub import errors

    asked = f"{repo}: {what}" if what else repo
    try:
        yield
    except LocalkitError:
        raise
    except errors.OfflineModeIsEnabled as error:
        raise RegistryError(
            f"{asked}: HF_HUB_OFFLINE is set, so the hub is not asked",
            hint="unset HF_HUB_OFFLINE and start again",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise SourceNotFound(
            f"{repo} has no such revision", hint="name a branch, a tag or a commit"
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise SourceNotFound(
            f"{repo} has no file '{what}'",
            hint=f"`quants hf.co/{repo}` lists what it has",
        ) from error
    except errors.HfHubHTTPError as error:
        raise _refusal(error, repo, asked) from error
    except errors.HFValidationError as error:
        raise SourceNotFound(
            f"'{repo[:200]}' cannot be a repo of Hugging Face",
            hint="write hf.co/ORG/REPO",
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, errors.FileMetadataError) as error:
        raise RegistryError(
            f"{asked}: {endpoint()} cannot be reached: {_plain(error)}",
            hint=_REACHABLE,
            retryable=True,
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise RegistryError(
            f"{asked}: {endpoint()} stopped answering",
            hint=_REACHABLE,
            retryable=True,
        ) from error
    except errors.XetDownloadError as error:
        raise RegistryError(
            f"{asked}: the download failed: {_plain(error)}",
            hint="pull again",
            retryable=True,
        ) from error
    except ValueError as error:
        raise RegistryError(
            f"{asked}: {endpoint()} gave an answer that cannot be used: "
            f"{_plain(error)}",
            hint=_REACHABLE,
        ) from error
    except OSError as error:
        if error.errno is not None:  # of this machine, not of the hub
            raise
        raise RegistryError(
            f"{asked}: the download is not whole: {_plain(error)}",
            hint="pull again",
            retryable=True,
        ) from error


def _refusal(error: HfHubHTTPError, repo: str, asked: str) -> LocalkitError:
    from huggingface_hub import errors

    status = error.response.status_code
    gated = isinstance(error, errors.GatedRepoError) or status == 403
    if gated:
        return RegistryError(
            f"{asked}: the repo is gated, and this account may not read it "
            f"(HTTP {status})",
            hint=f"accept its terms at {endpoint()}/{repo}, then {_LOGIN}",
            status=status,
        )
    refused = "credentials" in (error.response.headers.get("X-Error-Message") or "")
    if not refused and status in (401, 404):
        return SourceNotFound(
            f"there is no repo {repo} on {endpoint()}, or it is private",
            hint=f"`search WORDS` finds repos; for a private one {_LOGIN}",
        )
    if refused:
        return RegistryError(
            f"{asked}: the token was refused (HTTP {status})",
            hint=f"make a new one at {endpoint()}/settings/tokens, then {_LOGIN}",
            status=status,
        )
    again = status == 429 or status >= 500
    return RegistryError(
        f"{asked}: {endpoint()} answered HTTP {status}",
        hint="try again in a few minutes" if again else _REACHABLE,
        status=status,
        retryable=again,
    )


def _plain(error: BaseException) -> str:
    """Return the first line of an error, without the addresses in it.

    A signed download address is a secret for as long as it is valid.
    """
    line = (str(error).splitlines() or [""])[0]
    return re.sub(r"https?://\S+", "its address", line)[:200] or type(error).__name__
