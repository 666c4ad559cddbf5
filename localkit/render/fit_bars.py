"""Bars that say how much of a budget something takes, with the text beside them."""

from __future__ import annotations

from markupsafe import Markup

from localkit.render.text import escape


def share_bar(share: float, text: str, *, over: bool = False) -> Markup:
    """Return a bar and its text; colour is not the only sign of what is over.

    Args:
        share: Part of the budget, 0 to 1; more is drawn as all of it.
        text: What the bar stands for.
        over: Whether it is more than the budget: drawn hatched.
    """
    width = round(100 * max(0.0, min(1.0, share)))
    fill = "rgba(64,140,220,0.75)"
    if over:
        fill = (
            "repeating-linear-gradient(45deg,rgba(200,60,60,0.8) 0 4px,"
            "rgba(200,60,60,0.35) 4px 8px)"
        )
    return Markup(
        '<div style="white-space:nowrap">{}</div>'
        '<div style="width:84px;height:6px;margin-top:3px;'
        'background:rgba(128,128,128,0.25)">'
        '<div style="width:{}%;height:6px;background:{}"></div></div>'
    ).format(escape(text), width, fill)
