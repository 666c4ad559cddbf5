"""R5: what the sandbox and its budget stop by themselves, without a child."""

from __future__ import annotations

import resource
import time

import pytest

from localkit.chat.messages import as_messages
from localkit.chat.template import ChatTemplate
from localkit.errors import TemplateError

MIB_A = "{% set x = 'a' * 1000000 %}"
TOWER = "{% set a = ['a' * 1000] %}" + "{% set a = [a, a, a, a, a, a, a, a] %}" * 12
DOUBLING = (
    "{% set ns = namespace(x='a') %}"
    "{% for i in range(60) %}{% set ns.x = {} %}{% endfor %}"
)

ESCAPES = {
    "CVE-2024-34359": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "CVE-2024-56326": "{{ ('{0.__class__}' | attr('format'))(1) }}",
    "CVE-2025-27516": "{{ (['{0.__class__}'] | map('attr', 'format') | first)(1) }}",
    "format": "{{ '{0.__class__}'.format(1) }}",
    "format-map": "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "globals": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "function-globals": "{{ raise_exception.__globals__['json'].x }}",
    "joiner": "{{ joiner.__init__.__globals__ }}",
    "self": "{{ self.__init__.__globals__ }}",
    "subscript": "{{ ''['__class__'].x }}",
    "change-messages": "{{ messages.append(1) }}",
    "change-message": "{{ messages[0].update({'role': 'x'}) }}",
    "file": "{% extends '/etc/passwd' %}",
    "module": "{% import 'os' as os %}",
}
BOMBS = {
    "nested-loops": "{% for i in range(99999) %}{% for j in range(99999) %}"
    "{% endfor %}{% endfor %}",
    "range": "{{ range(100001) }}",
    "repeat": "{{ 'a' * 2000000000 }}",
    "repeat-left": "{{ 400000000 * [0] }}",
    "power": "{{ 10 ** (10 ** 10) }}",
    "format-width": "{{ '{:>2000000000}'.format(1) }}",
    "format-nested": "{{ '{:>{}}'.format(1, 2000000000) }}",
    "format-many": MIB_A + "{{ ('{0}' * 100000).format(x) }}",
    "percent": "{{ '%2000000000d' % 1 }}",
    "center": "{{ 'a'.center(2000000000) }}",
    "center-filter": "{{ 'a' | center(2000000000) }}",
    "center-markup": "{{ ('a' | safe).center(2000000000) }}",
    "zfill-bytes": "{{ 'a'.encode().zfill(2000000000) }}",
    "expandtabs": "{{ ('\t' * 1000).expandtabs(1000000000) }}",
    "double-tilde": DOUBLING.replace("{}", "ns.x ~ ns.x"),
    "double-plus": DOUBLING.replace("{}", "ns.x + ns.x"),
    "double-list": DOUBLING.replace("{}", "[ns.x, ns.x]") + "{{ ns.x }}",
    "double-block": MIB_A + "{% set y %}{{ x }}{{ x }}{% endset %}{{ y }}",
    "replace": MIB_A + "{{ x.replace('a', x) }}",
    "replace-filter": MIB_A + "{{ x | replace('a', x) }}",
    "replace-named": MIB_A + "{{ x | replace(new=x, old='a') }}",
    "replace-markup": MIB_A + "{{ (x | safe).replace('a', x) }}",
    "join": MIB_A + "{{ x.join(x) }}",
    "join-filter": MIB_A + "{{ x | join(x) }}",
    "join-generator": MIB_A + "{{ x | map('upper') | join(x) }}",
    "indent": "{{ ('\n' * 1000000) | indent(1000000) }}",
    "batch": "{{ [1] | batch(1000000000, 'x') | list }}",
    "tower": TOWER + "{{ a }}",
    "tower-json": TOWER + "{{ a | tojson }}",
    "tower-string": TOWER + "{{ a | string | length }}",
    "tower-tilde": TOWER + "{% set b = a ~ 'x' %}",
    "json-indent": "{{ [[1]] | tojson(indent=1000000000) }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "fork-recursion": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}"
    "{% endif %}{% endmacro %}{{ m(60) }}",
    "output": "{% for i in range(90000) %}{{ 'a' * 1000 }}{% endfor %}",
    "date": "{{ strftime_now('%Y' * 100000) }}",
    "parser": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
}


def _attack(source: str) -> None:
    ChatTemplate(source, "<s>", "</s>").render_here(as_messages("hi"))


@pytest.mark.parametrize("source", ESCAPES.values(), ids=ESCAPES.keys())
def test_R5_no_way_out_of_the_sandbox(source: str) -> None:
    with pytest.raises(TemplateError):
        _attack(source)


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_R5_work_and_memory_are_bounded(source: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(TemplateError):
        _attack(source)
    assert time.process_time() - start < 2.5
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024  # KiB on Linux


def test_R5_a_refusal_leaves_the_next_render_its_whole_budget() -> None:
    harmless = ChatTemplate("{% for i in range(9999) %}x{% endfor %}")
    expected = "x" * 9999
    for _ in range(3):
        with pytest.raises(TemplateError):
            _attack(BOMBS["nested-loops"])
        assert harmless.render_here(as_messages("hi")) == expected
