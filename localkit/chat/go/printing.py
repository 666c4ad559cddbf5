"""Values as Go's ``fmt`` prints them: ``%v``, ``print`` and ``printf``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.chat.go.failure import GoTemplateFault
from localkit.chat.go.numbers import character, exponential, fixed, general, integer
from localkit.chat.go.quoting import quoted
from localkit.chat.go.values import (
    Map,
    Slice,
    Struct,
    as_bytes,
    is_invalid,
    kind_of,
    type_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_WIDTH = 10_000
"""Of all directives of one pattern; Go pads each to a million."""
_DIRECTIVE = re.compile(r"%([-+# 0]*)(\*|\d+)?(\.(?:\*|\d+)?)?(.?)", re.DOTALL)
_MAX_DEPTH = 100
_NAMES = "N"
"""Flag that stands for the plus of ``%+v``."""


def shown(value: Any, depth: int = 0) -> str:
    """Return what ``%v`` prints."""
    if depth > _MAX_DEPTH:
        msg = f"a value nests deeper than {_MAX_DEPTH}"
        raise GoTemplateFault(msg)
    deeper = depth + 1
    if is_invalid(value):
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return general(value)
    if isinstance(value, Slice | Map | Struct) and value.text is not None:
        return value.text(value)  # type: ignore[arg-type]  # its own method
    if isinstance(value, Slice):
        return f"[{' '.join(shown(one, deeper) for one in value.items())}]"
    if isinstance(value, Map):
        keys = sorted(value.of, key=as_bytes)
        pairs = (f"{key}:{shown(value.of[key], deeper)}" for key in keys)
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, Struct):
        fields = " ".join(shown(one, deeper) for one in value.of.values())
        return f"{'&' if value.is_pointer and not depth else ''}{{{fields}}}"
    return str(int(value)) if isinstance(value, int) else str(value)


def printed(values: Sequence[Any], *, line: bool = False) -> str:
    """Return what ``print`` or ``println`` gives."""
    if line:
        return " ".join(map(shown, values)) + "\n"
    parts: list[str] = []
    for at, value in enumerate(values):
        # A blank goes between two values of which neither is a text.
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            parts.append(" ")
        parts.append(shown(value))
    return "".join(parts)


def formatted(pattern: str, values: Sequence[Any]) -> str:
    """Return what ``printf`` gives.

    Raises:
        GoTemplateFault: the pattern is wider than `MAX_WIDTH`, or uses what no
            template does: ``%#v`` and arguments by number.
    """
    parts: list[str] = []
    done, used, widths = 0, 0, 0

    def star() -> int | None:
        """Take a width from the arguments; None if it is none."""
        nonlocal used
        value = values[used] if used < len(values) else None
        used += 1
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value)
        return None

    for found in _DIRECTIVE.finditer(pattern):
        parts.append(pattern[done : found.start()])
        done = found.end()
        flags, width_text, precision_text, verb = found.groups()
        width = precision = None
        if width_text == "*":
            width = star()
            if width is None:
                parts.append("%!(BADWIDTH)")
            elif width < 0:
                flags, width = flags + "-", -width
        elif width_text:
            width = int(width_text[:9])
        if precision_text is not None:
            if precision_text == ".*":
                precision = star()
                if precision is None or precision < 0:
                    precision = None
                    parts.append("%!(BADPREC)")
            else:
                precision = int(precision_text[1:10] or 0)
        widths += max(width or 0, precision or 0)
        if widths > MAX_WIDTH:
            msg = f"it formats to a width of {widths:,}"
            raise GoTemplateFault(msg)
        if verb == "%":
            parts.append("%")
        elif not verb:
            parts.append("%!(NOVERB)")
        elif verb == "[" or (verb == "v" and "#" in flags):
            msg = f"printf does not know {found[0][:20]!r} here"
            raise GoTemplateFault(msg)
        elif used >= len(values):
            parts.append(f"%!{verb}(MISSING)")
        else:
            if verb == "v":
                # There the plus names the fields of structs, and signs no number.
                flags = flags.replace("+", _NAMES)
            spec = _Spec(verb, flags, width, precision)
            parts.append(_directive(spec, values[used]))
            used += 1
    parts.append(pattern[done:])
    if used < len(values):
        extra = ", ".join(
            "<nil>" if is_invalid(one) else f"{type_of(one)}={shown(one)}"
            for one in values[used:]
        )
        parts.append(f"%!(EXTRA {extra})")
    return "".join(parts)


class _Spec(NamedTuple):
    """One directive of a pattern."""

    verb: str
    flags: str
    width: int | None
    precision: int | None

    def padded(self, text: str, *, zeros: bool = False) -> str:
        """Return ``text`` at the directive's width."""
        width = self.width or 0
        if "-" in self.flags:
            return text.ljust(width)
        if not (zeros and "0" in self.flags):
            return text.rjust(width)
        sign = text[:1] if text[:1] in ("-", "+", " ") else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")


def _directive(spec: _Spec, value: Any, depth: int = 0) -> str:
    if depth > _MAX_DEPTH:
        msg = f"a value nests deeper than {_MAX_DEPTH}"
        raise GoTemplateFault(msg)
    verb, kind = spec.verb, kind_of(value)
    if verb == "T":
        name = type_of(value)
        return spec.padded(name if name == "<nil>" else name[: spec.precision])
    if kind == "invalid":
        if depth:
            return "<nil>"
        return spec.padded("<nil>") if verb == "v" else f"%!{verb}(<nil>)"
    if isinstance(value, Slice | Map | Struct):
        if value.text is not None and verb in "vsxXq":
            return _directive(spec, value.text(value))  # type: ignore[arg-type]
        return _composed(spec, value, depth + 1)
    if kind == "string":
        return _text(spec, value)
    if kind == "bool" and verb in "vt":
        return spec.padded(shown(value), zeros=True)
    if kind in ("int", "uint") and verb in "vdboOxXcqU":
        if verb == "c":
            return spec.padded(character(value), zeros=True)
        if verb == "q":
            text = quoted(character(value), "'", ascii_only=_plus(spec))
            return spec.padded(text, zeros=True)
        if verb == "U":
            return spec.padded(f"U+{value % (1 << 64):04X}")
        digits = integer(value, verb, spec.flags, spec.precision)
        return spec.padded(digits, zeros=spec.precision is None)
    if kind == "float" and (verb in "bxX" or "#" in spec.flags):
        msg = f"printf does not know %{verb} for a float here"
        raise GoTemplateFault(msg)
    if kind == "float" and verb in "vgGeEfF":
        precision = spec.precision
        if verb in "vgG":
            text = general(value, -1 if precision is None else precision)
        else:
            write = fixed if verb in "fF" else exponential
            text = write(value, 6 if precision is None else precision)
        if "+" in spec.flags and value >= 0:
            text = f"+{text}"
        elif " " in spec.flags and value >= 0:
            text = f" {text}"
        return spec.padded(text.upper() if verb in "GE" else text, zeros=True)
    return _wrong_verb(spec, value)


def _wrong_verb(spec: _Spec, value: Any) -> str:
    if "#" in spec.flags:
        msg = f"printf does not know %#{spec.verb} here"
        raise GoTemplateFault(msg)
    text = _directive(spec._replace(verb="v"), value)
    return f"%!{spec.verb}({type_of(value)}={text})"


def _composed(spec: _Spec, value: Slice | Map | Struct, depth: int) -> str:
    if isinstance(value, Slice):
        inner = " ".join(_directive(spec, one, depth) for one in value.items())
        return f"[{inner}]"
    if isinstance(value, Map):
        keys = sorted(value.of, key=as_bytes)
        inner = " ".join(
            f"{_directive(spec, key, depth)}:{_directive(spec, value.of[key], depth)}"
            for key in keys
        )
        return f"map[{inner}]"
    named = spec.verb == "v" and _NAMES in spec.flags
    inner = " ".join(
        f"{f'{name}:' if named else ''}{_directive(spec, one, depth)}"
        for name, one in value.of.items()
    )
    return f"{'&' if value.is_pointer and depth == 1 else ''}{{{inner}}}"


def _text(spec: _Spec, value: str) -> str:
    verb = spec.verb
    if verb not in "vsqxX":
        return _wrong_verb(spec, value)
    if spec.precision is not None and verb in "vsq":
        value = value[: spec.precision]
    if verb == "q":
        if "#" in spec.flags and "`" not in value and value.isprintable():
            return spec.padded(f"`{value}`")
        text = quoted(value, '"', ascii_only=_plus(spec))
        return spec.padded(text, zeros=True)
    if verb in "xX":
        data = as_bytes(value)[: spec.precision]
        text = data.hex(" ") if " " in spec.flags else data.hex()
        if "#" in spec.flags and data:
            text = "0x" + text.replace(" ", " 0x")
        return spec.padded(text.upper() if verb == "X" else text, zeros=True)
    return spec.padded(value, zeros=True)


def _plus(spec: _Spec) -> bool:
    return "+" in spec.flags
