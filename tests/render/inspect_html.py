"""Read rendered HTML back, as a browser would, and say what could act in it."""

from __future__ import annotations

from html.parser import HTMLParser

ACTIVE_TAGS = {
    *("audio", "base", "body", "button", "embed", "form", "iframe", "img", "input"),
    *("link", "marquee", "math", "meta", "noscript", "object", "script", "source"),
    *("style", "svg", "template", "textarea", "title", "video"),
}
ATTRIBUTES = {"class", "href", "rel", "scope", "start", "style"}


class _Inspector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.findings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ACTIVE_TAGS:
            self.findings.append(f"<{tag}>")
        for name, value in attrs:
            if name not in ATTRIBUTES:
                self.findings.append(f"<{tag} {name}>")
            if name == "href" and not (value or "").startswith(("http://", "https://")):
                self.findings.append(f"<{tag} href={value!r}>")
            if name == "style" and (
                "url" in (value or "") or "position" in (value or "")
            ):
                self.findings.append(f"<{tag} style={value!r}>")

    def handle_comment(self, data: str) -> None:
        self.findings.append(f"<!--{data}-->")


def active_parts(html: str) -> list[str]:
    """Return every tag, attribute and address that does more than show text."""
    inspector = _Inspector()
    inspector.feed(html)
    inspector.close()
    return inspector.findings


def characters_that_act(text: str) -> list[str]:
    """Return control, reordering and unencodable characters but tab and line end."""
    return [
        f"U+{ord(character):04X}"
        for character in text
        if (ord(character) < 32 and character not in "\t\n")
        or 0x7F <= ord(character) <= 0x9F
        or character in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e"
        or "\u2066" <= character <= "\u2069"
        or "\ud800" <= character <= "\udfff"
    ]
