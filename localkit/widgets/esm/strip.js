// A running text of tokens: one stop of the Tab key, arrow keys from token to token.

/**
 * Return {element, show, mark, heat}: tokens that can be pointed at and walked through.
 *
 * tokens: [{text, label, className, heat, flag}], heat from 0 to 1.
 * onPoint(index, pinned): a token is looked at, by mouse, touch or keys; index is null
 * when none is. A click or a key pins it; Escape lets go.
 */
function strip(label, tokens, onPoint, dir = "auto") {
  let current = 0;
  let pinned = false;
  const spans = tokens.map((token, index) => h("span", {
    class: `lk-token ${token.className || ""}`, role: "option", "aria-selected": "false", "aria-label": token.label,
    tabindex: index === 0 ? 0 : -1, "data-at": index, "data-key": `token ${index}`,
  }, token.text));
  const heat = (share) => spans.forEach((span, index) =>
    span.style.setProperty("--lk-heat", `${Math.round(55 * Math.min(Math.max(share(index), 0), 1))}%`));
  heat((index) => tokens[index].heat || 0);
  const children = spans.flatMap((span, index) => tokens[index].flag
    ? [h("strong", { class: "lk-flag", "aria-hidden": "true" }, tokens[index].flag), span] : [span]);
  const element = h("div", { class: "lk-strip", role: "listbox", "aria-label": label, "aria-orientation": "horizontal", }, children);
  element.dir = dir;

  const point = (index, pins) => {
    spans[current].setAttribute("aria-selected", "false");
    spans[current].setAttribute("tabindex", "-1");
    current = index;
    pinned = pins;
    spans[index].setAttribute("aria-selected", "true");
    spans[index].setAttribute("tabindex", "0");
    element.classList.toggle("lk-pinned", pinned);
    onPoint(index, pinned);
  };
  const letGo = () => { pinned = false; element.classList.remove("lk-pinned"); onPoint(current, false); };
  const at = (event) => {
    const span = event.target.closest("[data-at]");
    return span && element.contains(span) ? Number(span.getAttribute("data-at")) : null;
  };
  element.addEventListener("mouseover", (event) => { const index = at(event); if (index !== null && !pinned) point(index, false); });
  element.addEventListener("click", (event) => {
    const index = at(event);
    if (index === null) return;
    if (pinned && index === current) { letGo(); return; }
    spans[index].focus();
    point(index, true);
  });
  element.addEventListener("focusin", (event) => { const index = at(event); if (index !== null && index !== current) point(index, true); });
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = spans.length - 1;
    const right = getComputedStyle(element).direction === "rtl" ? -1 : 1;
    const to = {
      ArrowRight: () => current + right, ArrowLeft: () => current - right, Home: () => 0, End: () => last,
      ArrowDown: () => line(1), ArrowUp: () => line(-1), PageDown: () => current + 20, PageUp: () => current - 20,
      Enter: () => current, " ": () => current,
    }[event.key];
    if (event.key === "Escape" && pinned) letGo();
    else if (to) {
      const index = Math.min(Math.max(to(), 0), last);
      point(index, true);
      spans[index].focus();
    } else return;
    // Else the notebook takes the key: it would leave the cell, or scroll.
    event.preventDefault();
    event.stopPropagation();
  });

  /** Return the token nearest above or below: of the next line, at about the same place. */
  function line(step) {
    const here = spans[current].getBoundingClientRect();
    let best = current;
    let top = null;
    let nearest = Infinity;
    for (let index = current + step; index >= 0 && index < spans.length; index += step) {
      const there = spans[index].getBoundingClientRect();
      if (Math.abs(there.top - here.top) < 4) continue;
      if (top === null) top = there.top;
      if (Math.abs(there.top - top) > 4) break;
      const distance = Math.abs(there.left - here.left);
      if (distance < nearest) { nearest = distance; best = index; }
    }
    return best;
  }

  return {
    element,
    /** Point at a token from outside: keys work on from there. */
    show: (index) => { point(index, true); spans[index].focus(); },
    /** Give or take a class, token by token. */
    mark: (name, test) => spans.forEach((span, index) => span.classList.toggle(name, Boolean(test(index)))),
    /** Change how strong the colours are. */
    heat,
  };
}
