// Elements from data. Text becomes text nodes, here and everywhere: no view ever
// parses HTML, so nothing that a model wrote can act (a test looks for the words).

/** Return an element: h("p", {class: "note", onclick: f}, "text", child, …). */
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") element[name] = value;
    else if (name === "style") Object.assign(element.style, value);
    else if (SAFE.has(name) || name.startsWith("aria-") || name.startsWith("data-"))
      element.setAttribute(name, value === true ? "" : String(value));
    else throw new Error(`no attribute ${name}`);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// No href, src or srcset: a view has no links and asks for no images.
const SAFE = new Set(["class", "id", "for", "type", "name", "title", "role", "rows", "cols", "min", "max", "step",
  "placeholder", "tabindex", "colspan", "rowspan", "scope", "open", "multiple", "spellcheck", "maxlength", "list", "hidden"]);

/** Return a button that says what it does, also to those who cannot see it. */
function button(label, onclick, props = {}) {
  return h("button", { type: "button", class: "lk-button", onclick, ...props }, label);
}

/** Return a control with its label above it. */
function field(label, control, note) {
  return h("label", { class: "lk-field" }, h("span", { class: "lk-label" }, label), control,
    note ? h("span", { class: "lk-note" }, note) : null);
}

/** Return a select with these options: texts, or [value, label] pairs. */
function select(options, chosen, onchange, props = {}) {
  return h("select", { class: "lk-select", onchange: (event) => onchange(event.target.value), ...props },
    options.map((option) => {
      const [value, label] = Array.isArray(option) ? option : [option, option];
      return h("option", { value, selected: value === chosen }, label);
    }));
}

/** Return a progress bar; a share of null moves without an end. */
function bar(share, label) {
  const props = { class: "lk-bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 };
  if (share !== null) props["aria-valuenow"] = Math.round(100 * share);
  return h("div", props, h("div", { class: share === null ? "lk-bar-unknown" : "lk-bar-done",
    style: share === null ? {} : { width: `${Math.round(100 * share)}%` } }));
}

/** Return a picture from the bytes of a PNG, in base64; no other address can be given. */
function image(png, alt) {
  const element = document.createElement("img");
  element.className = "lk-image";
  element.alt = alt;
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(png)) element.src = `data:image/png;base64,${png}`;
  return element;
}

/** Put children in place of what an element holds, and keep the focus by its data-key. */
function replace(element, ...children) {
  const active = element.contains(document.activeElement) ? document.activeElement : null;
  const key = active && active.getAttribute("data-key");
  const range = key && "selectionStart" in active && active.type !== "number" && active.tagName !== "BUTTON" && active.tagName !== "SELECT"
    ? [active.selectionStart, active.selectionEnd] : null;
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (!key) return;
  const again = element.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!again) return;
  again.focus();
  if (range && range[0] !== null) again.setSelectionRange(...range);
}
