"""The half of a widget that a front end shows: one trait, and messages both ways."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

_PARTS = {"tokens": ("strip",), "prompt": ("strip",)}
"""What views have in common with some others: a module and a style sheet each."""


class Face(anywidget.AnyWidget):
    """A view of ``state``.

    What is synced can be saved in the notebook: it holds no token and no path.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    """What the view draws, as JSON. Text that grows goes by messages instead."""

    def __init__(self, view: str, state: dict[str, Any]) -> None:
        """Show ``state`` by the module ``esm/<view>.js``."""
        # The front end keeps one style sheet for each of these ids.
        name = f"localkit.{view}"
        super().__init__(
            state=state, _esm=module(view), _css=style(view), _anywidget_id=name
        )
        self._view = view

    def __repr__(self) -> str:
        """Name the widget without an address, so that outputs compare."""
        return f"<localkit {self._view}>"


@cache
def module(view: str) -> str:
    """Return the JavaScript of a view: the shared part, its own, then the frame.

    Each front end gets it with the widget's state, so nothing is asked of a CDN.
    """
    names = ("dom", *_PARTS.get(view, ()), view, "frame")
    return "\n".join(_read(f"{name}.js") for name in names)


@cache
def style(view: str) -> str:
    """Return the CSS of a view: the shared part, then its own, if it has any."""
    shared = "".join(_read(f"{name}.css") for name in _PARTS.get(view, ()))
    own = files("localkit.widgets").joinpath(f"esm/{view}.css")
    return (
        _read("frame.css") + shared + (own.read_text("utf-8") if own.is_file() else "")
    )


def _read(name: str) -> str:
    return files("localkit.widgets").joinpath(f"esm/{name}").read_text("utf-8")
