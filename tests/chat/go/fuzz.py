"""Small random templates over small data, for the engine alone.

Data are JSON; ``{"$int": 1}`` and the like stand for values of Go that JSON has not.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from localkit.chat.go.values import NIL, Map, Slice, Struct

if TYPE_CHECKING:
    from collections.abc import Callable

DATA: dict[str, Any] = {
    "s": "héllo <w>\n",
    "e": "",
    "q": 'it\'s "q" \x00\t',
    "i": {"$int": 3},
    "z": {"$int": 0},
    "neg": {"$int": -7},
    "f": 2.5,
    "big": 1e21,
    "m6": 1000000,
    "t": True,
    "no": False,
    "nil": None,
    "list": ["a", 2, None, {"k": "v"}, [1, "x"]],
    "empty": [],
    "strings": {"$strings": ["x", "y", "z"]},
    "ints": {"$ints": [1, 2, 3]},
    "none": {"$nil_strings": True},
    "map": {"b": "<B>", "a": 1, "c": {"d": [True]}},
    "item": {
        "$item": {"Name": "n", "N": 4, "Tags": ["p", "q"], "Inner": {"Name": "in"}}
    },
    "shown": {"$shown": 9},
}
_PATHS = (
    "s",
    "e",
    "q",
    "i",
    "z",
    "neg",
    "f",
    "big",
    "m6",
    "t",
    "no",
    "nil",
    "list",
    "empty",
    "strings",
    "ints",
    "none",
    "map",
    "item",
    "shown",
    "map.b",
    "map.a",
    "map.c.d",
    "map.zz",
    "missing",
    "item.Name",
    "item.N",
    "item.Tags",
    "item.Inner.Name",
    "shown.A",
    "shown.Double",
    "shown.String",
    "list",
    "strings",
    "map",
    "s",
)
_LITERALS = (
    '"lit"',
    "`raw\\n`",
    '"\\u00e9\\x41\\n"',
    "0",
    "1",
    "-2",
    "3",
    "0x1F",
    "017",
    "1_000",
    "2.5",
    "1e3",
    "'a'",
    "true",
    "false",
    "nil",
    '""',
)
_INTS = (".i", "$.z", ".neg", "3", "'a'", "(len .list)", ".item.N", "(index .s 1)")
_FLOATS = (".f", "2.5", "$.m6", ".big", "1e6", "-0.5")
_STRINGS = (".s", ".e", '"x"', "$.q", "`lit`", ".item.Name", '(print "é" 1)')
_FITTING: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("dxXobcqUv", _INTS),
    ("vfFeEgG", _FLOATS),
    ("vsqxX", _STRINGS),
    ("vt", (".t", "false", "(not .s)")),
    (
        "vsdqT",
        (".list", ".strings", ".map", ".item", ".shown", "nil", ".missing", ".ints"),
    ),
    ("vsdz", (".s", ".i", ".f", ".nil", ".no")),
)
_FLAGS: tuple[str, ...] = (
    "",
    "",
    "",
    "",
    "5",
    "-6",
    "05",
    "+",
    " ",
    "#",
    ".2",
    "8.3",
    ".0",
    "-",
    "+05",
    "*",
)
_CALLED: tuple[str, ...] = (
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "and",
    "or",
    "index",
    "slice",
)
_CALLED += ("len", "printf")
_TEXTS = ("a", " b ", "\n", "  \n", "{", "}", "é", "-", "")


class Fuzz:
    """Templates out of a seed."""

    def __init__(self, seed: int) -> None:
        """Begin at ``seed``."""
        self._random = random.Random(seed)
        self._in_range = 0
        self._n_variables = 0
        self._variables: list[str] = []

    def template(self) -> str:
        """Return a template that parses, in nearly all cases."""
        return self._nodes(self._random.randint(1, 4), 0)

    def _pick(self, *items: str) -> str:
        return self._random.choice(items)

    def _nodes(self, n_nodes: int, depth: int) -> str:
        kept = len(self._variables)
        text = "".join(self._node(depth) for _ in range(n_nodes))
        del self._variables[kept:]
        return text

    def _node(self, depth: int) -> str:
        kinds: list[Callable[[int], str]] = [self._text, self._action, self._action]
        if depth < 3:
            kinds += [self._if, self._range, self._with, self._set]
        return self._random.choice(kinds)(depth)

    def _text(self, depth: int) -> str:
        return self._pick(*_TEXTS)

    def _open(self) -> str:
        return self._pick("{{", "{{", "{{ ", "{{- ")

    def _close(self) -> str:
        return self._pick("}}", "}}", " }}", " -}}")

    def _action(self, depth: int) -> str:
        if self._in_range and self._random.random() < 0.07:
            return f"{{{{ {self._pick('break', 'continue')} }}}}"
        if self._random.random() < 0.04:
            return self._open() + "/* note */" + self._pick("}}", " -}}")
        return self._open() + self._pipe(depth) + self._close()

    def _set(self, depth: int) -> str:
        if self._variables and self._random.random() < 0.5:
            return f"{{{{ {self._pick(*self._variables)} = {self._pipe(depth)} }}}}"
        pipe = self._pipe(depth)
        self._n_variables += 1
        name = f"$v{self._n_variables}"
        self._variables.append(name)
        return f"{{{{ {name} := {pipe} }}}}"

    def _if(self, depth: int) -> str:
        text = self._open() + f"if {self._pipe(depth)}" + self._close()
        text += self._nodes(self._random.randint(0, 2), depth + 1)
        if self._random.random() < 0.3:
            text += self._open() + f"else if {self._pipe(depth)}" + self._close()
            text += self._nodes(1, depth + 1)
        if self._random.random() < 0.5:
            text += self._open() + "else" + self._close()
            text += self._nodes(1, depth + 1)
        return text + self._open() + "end" + self._close()

    def _with(self, depth: int) -> str:
        text = f"{{{{ with {self._pipe(depth)} }}}}" + self._nodes(1, depth + 1)
        if self._random.random() < 0.3:
            text += f"{{{{ else with {self._pipe(depth)} }}}}"
            text += self._nodes(1, depth + 1)
        if self._random.random() < 0.4:
            text += "{{ else }}" + self._nodes(1, depth + 1)
        return text + "{{ end }}"

    def _range(self, depth: int) -> str:
        over = self._pick(".list", ".strings", ".map", ".ints", ".empty", ".none")
        if self._random.random() < 0.2:
            over = self._argument(depth)
        kept = len(self._variables)
        names = self._random.randint(0, 2)
        declared = ""
        if names:
            new = [f"$v{self._n_variables + at + 1}" for at in range(names)]
            self._n_variables += names
            declared = ", ".join(new) + " := "
            self._variables += new
        self._in_range += 1
        text = f"{{{{ range {declared}{over} }}}}"
        text += self._nodes(self._random.randint(1, 2), depth + 1)
        self._in_range -= 1
        if self._random.random() < 0.3:
            text += "{{ else }}" + self._nodes(1, depth + 1)
        del self._variables[kept:]
        return text + "{{ end }}"

    def _pipe(self, depth: int) -> str:
        text = self._command(depth)
        while self._random.random() < 0.2:
            text += " | " + self._function_head(depth)
        return text

    def _function_head(self, depth: int) -> str:
        return self._pick(
            "json",
            "not",
            "html",
            "print",
            "urlquery",
            'printf "%v"',
            f"or {self._argument(depth)}",
            f"and {self._argument(depth)}",
            "len",
            f"eq {self._argument(depth)}",
        )

    def _command(self, depth: int) -> str:
        chance = self._random.random()
        if chance < 0.4:
            return self._argument(depth)
        if chance < 0.9:
            return self._call(depth)
        if chance < 0.95:
            name = self._pick("eq", "ne", "lt", "index", "slice", "len")
            n_arguments = self._random.randint(1, 3)
        else:
            name = self._pick("print", "println", "json", "html", "urlquery", "not")
            n_arguments = self._random.randint(1, 2 if name != "json" else 1)
        given = (self._argument(depth) for _ in range(n_arguments))
        return " ".join([name, *given])

    def _call(self, depth: int) -> str:
        """Return a call that goes well most times."""
        name = self._pick(
            *[
                "eq",
                "ne",
                "lt",
                "le",
                "gt",
                "ge",
                "and",
                "or",
                "index",
                "slice",
                "len",
                "printf",
            ]
        )
        if name in ("and", "or"):
            n_arguments = self._random.randint(1, 3)
            given = (self._argument(depth) for _ in range(n_arguments))
            return " ".join([name, *given])
        if name in ("eq", "ne", "lt", "le", "gt", "ge"):
            alike = self._random.choice([_INTS, _FLOATS, _STRINGS])
            n_arguments = self._random.randint(2, 4) if name == "eq" else 2
            return " ".join([name, *(self._pick(*alike) for _ in range(n_arguments))])
        if name == "index":
            return "index " + self._pick(
                ".list 1",
                ".list 3",
                "$.map `b`",
                ".strings 0",
                ".s 1",
                ".list 4 1",
                '.map "c" `d` 0',
                ".list 9",
                ".q 2",
                ".map `none`",
            )
        if name == "slice":
            start, end = sorted(self._random.choices(range(4), k=2))
            of = self._pick(".list", "$.strings", ".s", ".ints", '"héé"')
            bounds = self._pick("", f" {start}", f" {start} {end}")
            return f"slice {of}{bounds}"
        if name == "len":
            return "len " + self._pick(".list", "$.s", ".map", ".empty", ".none", '"é"')
        return self._printf()

    def _printf(self) -> str:
        parts: list[str] = []
        given: list[str] = []
        for _ in range(self._random.randint(1, 3)):
            verbs, of = self._random.choice(_FITTING)
            parts.append(self._pick(*_FLAGS) + self._pick(*verbs))
            given.append(self._pick(*of))
        if self._random.random() < 0.15:
            given = given[:-1] if self._random.random() < 0.5 else [*given, ".list"]
        pattern = self._pick("|", " ", "").join(f"%{one}" for one in parts)
        return f'printf "{pattern}" {" ".join(given)}'

    def _argument(self, depth: int) -> str:
        chance = self._random.random()
        if chance < 0.5:
            root = self._pick("", "", "$") if not self._in_range else "$"
            return f"{root}.{self._pick(*_PATHS)}"
        if chance < 0.7:
            return self._pick(*_LITERALS)
        if chance < 0.82 and self._variables:
            return self._pick(*self._variables)
        if chance < 0.87:
            return "."
        if depth < 3:
            field = self._pick("", "", "", "", "", "", ".Name", ".b")
            return f"({self._pipe(depth + 1)}){field}"
        return "$"


def typed(value: Any) -> Any:
    """Return data as the values that they stand for."""
    if isinstance(value, list):
        return Slice([typed(one) for one in value])
    if isinstance(value, dict):
        if "$int" in value:
            return int(value["$int"])
        if "$nil_strings" in value:
            return Slice([], type_name="[]string", is_nil=True)
        for key, name in (("$strings", "[]string"), ("$ints", "[]int")):
            if key in value:
                return Slice(value[key], type_name=name)
        if "$item" in value:
            return _item(value["$item"])
        if "$shown" in value:
            return _shown(value["$shown"])
        return Map({key: typed(one) for key, one in value.items()})
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return NIL if value is None else value


def _item(value: dict[str, Any]) -> Struct:
    inner = value.get("Inner")
    tags = value.get("Tags")
    return Struct(
        "main.Item",
        {
            "Name": value.get("Name", ""),
            "N": value.get("N", 0),
            "Tags": Slice(tags or [], type_name="[]string", is_nil=tags is None),
            "Inner": Struct("main.Inner", {"Name": (inner or {}).get("Name", "")}),
        },
    )


def _shown(value: int) -> Struct:
    from localkit.chat.go.failure import GoTemplateFault

    def fail(_: Struct) -> str:
        raise GoTemplateFault("it fails")

    return Struct(
        "main.Shown",
        {"A": value},
        text=lambda one: f"shown-{one.of['A']}",
        methods={"Double": lambda one: 2 * one.of["A"], "Fail": fail},
    )
