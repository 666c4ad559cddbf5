r"""``{{name}}`` in a prompt of the playground: a value from its table of variables.

Names alone, no Python: a prompt that is stored and opened elsewhere must not run
code. ``\{{name}}`` is literal; braces around anything else mean nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The view finds fields by the same rule: esm/playground.js.
_FIELD = re.compile(r"(\\?)\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")


def field_names(texts: Iterable[str]) -> list[str]:
    """Return the names of the fields in ``texts``, each once, in order."""
    found = (match for text in texts for match in _FIELD.finditer(text))
    return list(dict.fromkeys(match[2] for match in found if not match[1]))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return ``text`` with every field replaced by its value.

    What a value contains is not looked at again.

    Raises:
        UsageError: a field has no value; names all of them.
    """
    missing = [name for name in field_names([text]) if name not in values]
    if missing:
        shown = ", ".join(f"{{{{{name}}}}}" for name in missing)
        msg = f"the prompt has {shown} and no value for {missing[0]}"
        raise UsageError(msg, hint="fill it in under the prompt, or write \\{{ for {{")

    def value(match: re.Match[str]) -> str:
        return match[0][1:] if match[1] else values[match[2]]

    return _FIELD.sub(value, text)
