"""Can everybody use it: names, focus, contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_UNREACHABLE = """box => {
    const wrong = [];
    const controls = 'button, input, select, textarea, summary, a[href], [role=button],'
        + ' [role=tab], [role=option], [contenteditable=true], [onclick]';
    const named = element => (element.ariaLabel || '').trim()
        || [...(element.getAttribute('aria-labelledby') || '').split(/\\s+/)]
            .map(id => id && document.getElementById(id)?.textContent.trim()).join('')
        || [...(element.labels || [])].map(label => label.textContent.trim()).join('')
        || (element.matches('input, select, textarea')
            ? '' : element.textContent.trim())
        || (element.title || '').trim();
    for (const root of document.querySelectorAll(box))
        for (const element of root.querySelectorAll(controls)) {
            if (element.disabled || !element.checkVisibility()) continue;
            const what = element.outerHTML.slice(0, 120);
            if (!named(element)) wrong.push(`no name: ${what}`);
            // Of a list, Tab reaches one; arrows reach the others.
            const role = element.getAttribute('role');
            const list = role
                && element.closest('[role=listbox], [role=tablist], [role=grid]');
            const reached = list && list.querySelector(`[role=${role}][tabindex="0"]`);
            if (element.tabIndex < 0 && !reached) wrong.push(`no focus: ${what}`);
        }
    return wrong;
}"""

_FAINT = """([box, least]) => {
    const parse = text => {
        const numbers = text.match(/[\\d.]+/g).map(Number);
        const scale = text.startsWith('color(') ? 255 : 1;
        const [r, g, b, a = 1] = numbers;
        return [r * scale, g * scale, b * scale, a];
    };
    const over = (top, below) => {
        const alpha = top[3];
        return [0, 1, 2].map(i => top[i] * alpha + below[i] * (1 - alpha)).concat(1);
    };
    const behind = element => {
        const layers = [];
        for (let e = element; e; e = e.parentElement)
            layers.push(parse(getComputedStyle(e).backgroundColor));
        const paper = [255, 255, 255, 1];
        return layers.reverse().reduce((below, top) => over(top, below), paper);
    };
    const light = colour => {
        const part = colour.slice(0, 3).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
    };
    const faint = [];
    for (const root of document.querySelectorAll(box)) {
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const text = walker.currentNode.data.trim();
            const element = walker.currentNode.parentElement;
            if (!text || !element.checkVisibility()) continue;
            if (element.closest(':disabled, .lk-sr, style, script')) continue;
            let opacity = 1;
            for (let e = element; e && e !== document.body; e = e.parentElement)
                opacity *= Number(getComputedStyle(e).opacity);
            const back = behind(element);
            const colour = parse(getComputedStyle(element).color);
            colour[3] *= opacity;
            const [a, b] = [light(over(colour, back)), light(back)];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < least) faint.push(`${ratio.toFixed(1)}: ${text.slice(0, 60)}`);
        }
    }
    return faint;
}"""


def unreachable(page: Page, box: str = ".lk") -> list[str]:
    """Return the visible controls that have no name, or that Tab does not reach."""
    found: list[str] = page.evaluate(_UNREACHABLE, box)
    return found


def faint(page: Page, box: str = ".lk", *, least: float = 4.5) -> list[str]:
    """Return the visible texts with less than this contrast (WCAG AA: 4.5)."""
    found: list[str] = page.evaluate(_FAINT, [box, least])
    return found


def too_wide(page: Page, box: str = ".lk") -> list[str]:
    """Return the boxes that are wider than what holds them, with what sticks out."""
    found: list[str] = page.evaluate(
        """box => [...document.querySelectorAll(box)]
            .filter(one => one.scrollWidth > one.clientWidth + 1)
            .map(one => {
                const right = one.getBoundingClientRect().right;
                const out = [...one.querySelectorAll('*')].filter(
                    child => child.getBoundingClientRect().right > right + 1);
                return `${one.scrollWidth} > ${one.clientWidth}: `
                    + out.slice(0, 3).map(child => child.outerHTML.slice(0, 90));
            })""",
        box,
    )
    return found
