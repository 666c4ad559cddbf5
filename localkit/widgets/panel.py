"""A widget and its record, side by side in one cell."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from localkit.errors import LocalkitError
from localkit.render.audience import present_audience
from localkit.render.page import details
from localkit.render.slot import Slot
from localkit.render.text import AS_WRITTEN, clean, one_line
from localkit.widgets.folders import without_folders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.render.audience import Audience
    from localkit.widgets.face import Face

_log = logging.getLogger("localkit.widgets")

_VIEW = "application/vnd.jupyter.widget-view+json"
MAX_STATE_CHARS = 1 << 20
"""A state that would be longer is a mistake of ours: the widget says so instead."""


class Action(BaseModel):
    """What a front end asks for; a subclass has ``do: Literal["…"]`` and its fields.

    Bound every text and list: a message may come from anybody who can reach the
    kernel.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Record(NamedTuple):
    """A widget as ordinary output."""

    plain: str
    """Deterministic: nbval compares it."""
    html: Markup
    """Inline styles alone: an untrusted notebook drops style elements and scripts."""
    title: str
    """One line that stands for it while it is folded."""
    metadata: Mapping[str, Any] = {}
    """What may differ from run to run, under ``localkit`` in the output's metadata."""
    folds: bool = True
    """Whether it is folded below its widget; False: it reads as it stands."""


class Content(Protocol):
    """What a panel shows: the Python half of one widget."""

    def state(self) -> dict[str, Any]:
        """Return what the view draws, as JSON; no token and no path in it."""

    def act(self, action: Any) -> None:
        """Do what the front end asks for; returns soon: work goes to a `Worker`.

        Called in whatever thread the kernel handles messages in, one at a time.
        """

    def record(self) -> Record:
        """Return the widget as ordinary output."""


class Panel:
    """Shows a content: live where a front end watches, as its record elsewhere.

    All methods may be called from any thread.
    """

    def __init__(self, view: str, content: Content, actions: Any) -> None:
        """Show nothing yet.

        Args:
            view: Module in ``esm/``.
            content: What to show.
            actions: Type of the messages it takes: a union of `Action` classes.
        """
        self.view = view
        self._content = content
        self._actions: TypeAdapter[Any] = TypeAdapter(actions)
        self._face: Face | None = None
        self._kept: Slot | None = None
        self._frozen = False
        self._error = ""
        self._lock = threading.RLock()
        self.n_ignored = 0
        """Messages from front ends that meant nothing."""

    @property
    def face(self) -> Face | None:
        """The front end half; None until it is shown to somebody."""
        return self._face

    @property
    def error(self) -> str:
        """What went wrong last, on one line; empty once something was done since."""
        return self._error

    @property
    def record(self) -> Record:
        """The widget as ordinary output, as it is now."""
        with self._lock:
            return self._content.record()

    def show(self, audience: Audience | None = None) -> None:
        """Display the widget and, below it, its record; the record alone unwatched.

        Each call is another pair of outputs; the latest record is kept up to date.
        """
        who = present_audience() if audience is None else audience
        with self._lock:
            record = self._content.record()
            if who != "front end":
                Slot().show(*_bundle(record, is_open=True))
                return
            self._frozen = False
            if self._face is None:
                self._face = self._make_face()
            else:
                self._draw()
            Slot().show(
                {
                    _VIEW: {
                        "version_major": 2,
                        "version_minor": 0,
                        "model_id": self._face.model_id,
                    },
                    "text/plain": f"<localkit {self.view}>",
                }
            )
            self._kept = Slot(live=True)
            self._kept.show(*_bundle(record, is_open=False))

    def refresh(self, *, keep_error: bool = False) -> None:
        """Draw the state again, and drop an error that was shown.

        ``keep_error`` leaves it: what looks again every second clears nothing away.
        """
        with self._lock:
            if not keep_error:
                self._error = ""
            self._draw()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message to the open views; a view that opens later missed it."""
        if self._face is not None:
            self._face.send(dict(message))

    def keep(self) -> None:
        """Bring the record up to date; call when something worth keeping is there."""
        with self._lock:
            if self._kept is not None:
                bundle = _bundle(self._content.record(), is_open=self._frozen)
                self._kept.show(*bundle)

    def freeze(self) -> None:
        """Leave the record, unfolded, and take the controls away."""
        with self._lock:
            self._frozen = True
            self._draw()
            self.keep()

    def fail(self, error: BaseException) -> None:
        """Show an error in the widget: callbacks have no cell to fail."""
        if isinstance(error, LocalkitError):
            line = error.one_line()
        else:
            line = f"{type(error).__name__}: {error}"
            _log.error("a widget failed", exc_info=error)
        with self._lock:
            self._error = one_line(without_folders(line), limit=500)
            self._draw()

    def hear(self, message: object) -> None:
        """Take a message of a front end; what means nothing is ignored and logged."""
        try:
            action = self._actions.validate_python(message)
        except (ValidationError, RecursionError) as error:
            self.n_ignored += 1
            _log.info("%s ignored a message: %.200s", self.view, error)
            return
        try:
            with self._lock:
                self._error = ""
                self._content.act(action)
        except Exception as error:
            self.fail(error)

    def close(self) -> None:
        """Take the widget out of the front end; the record stays."""
        with self._lock:
            if self._face is not None:
                self._face.close()
                self._face = None

    def _make_face(self) -> Face:
        from localkit.widgets.face import Face

        face = Face(self.view, self._whole_state())
        face.on_msg(lambda _face, message, _buffers: self.hear(message))
        return face

    def _draw(self) -> None:
        if self._face is not None:
            self._face.state = self._whole_state()

    def _whole_state(self) -> dict[str, Any]:
        state = {
            **self._content.state(),
            "error": self._error,
            "frozen": self._frozen,
        }
        n_chars = len(repr(state))
        if n_chars > MAX_STATE_CHARS:
            error = f"this is too much to show here ({n_chars:,} characters)"
            return {"error": error, "frozen": True}
        return state


def _bundle(record: Record, *, is_open: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    folded = record.folds and not is_open
    body = details(record.title, record.html) if folded else record.html
    html = Markup('<div class="{}">{}</div>').format(AS_WRITTEN, body)
    data = {"text/plain": clean(record.plain), "text/html": str(html)}
    return data, {"localkit": dict(record.metadata)}
