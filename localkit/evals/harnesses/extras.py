"""Say what to install where a harness is missing."""

from __future__ import annotations

from importlib.util import find_spec

from localkit.errors import Unsupported


def require(module: str, extra: str) -> None:
    """Return if ``module`` can be imported.

    Raises:
        Unsupported: it is not installed; names the extra that brings it.
    """
    if find_spec(module) is None:
        msg = f"{module} is not installed"
        raise Unsupported(msg, hint=f"pip install 'localkit[{extra}]'")
