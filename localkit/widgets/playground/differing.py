"""How what was asked differs from one version to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from markupsafe import Markup

from localkit.render.text import clean, escape
from localkit.render.word_diff import word_diff, word_diff_html, word_diff_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localkit.render.word_diff import Op
    from localkit.widgets.playground.draft import Draft

Kind = TypeVar("Kind")
_ORDER = ("system", "example", "prompt", "variable")


@dataclass(frozen=True, slots=True)
class Difference:
    """The texts of two drafts, compared word by word, each with its like."""

    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def is_none(self) -> bool:
        """Whether both are the same."""
        return dict(self.before) == dict(self.after)

    def pieces(self) -> list[tuple[Op, str]]:
        """Return what is in both, gone, and new, in order."""
        found: list[tuple[Op, str]] = []
        for name in self._names():
            found += [("=", f"[{name}]\n"), *self._compared(name, word_diff)]
            found.append(("=", "\n"))
        return found

    def __str__(self) -> str:
        """Return both as one, as wdiff writes it."""
        parts = [
            f"[{name}]\n{self._compared(name, word_diff_plain)}"
            for name in self._names()
        ]
        return "\n".join(parts)

    def _names(self) -> list[str]:
        known = self.before.keys() | self.after.keys()
        return sorted(known, key=lambda name: (_ORDER.index(name.split()[0]), name))

    def _compared(self, name: str, compare: Callable[[str, str], Kind]) -> Kind:
        return compare(self.before.get(name, ""), self.after.get(name, ""))

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str]:
        """Show it in a notebook; the arguments are part of the protocol."""
        del include, exclude
        parts = Markup("").join(
            Markup('<div style="white-space:pre-wrap">[{}]\n{}</div>').format(
                escape(name), self._compared(name, word_diff_html)
            )
            for name in self._names()
        )
        return {"text/plain": clean(str(self)), "text/html": str(parts)}


def texts_of(draft: Draft) -> dict[str, str]:
    """Return the texts of a draft by name, as a model reads them; empty ones not."""
    texts = {"system": draft.system}
    for number, one in enumerate(draft.examples, 1):
        texts |= {f"example {number}": f"{one.user}\n→ {one.assistant}"}
    texts["prompt"] = draft.prompt
    texts |= {f"variable {name}": value for name, value in draft.variables.items()}
    return {name: text for name, text in texts.items() if text}
