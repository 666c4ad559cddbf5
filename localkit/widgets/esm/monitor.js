// Speeds over the last samples, models, memory and recent requests.

function view(ui) {
  const name = Math.random().toString(36).slice(2);
  const figures = h("div", { class: "lk-now" });
  const models = h("div", { class: "lk-scroll", tabindex: 0, role: "region", "aria-label": "Models" });
  const requests = h("div", { class: "lk-scroll lk-requests", tabindex: 0, role: "region", "aria-label": "Recent requests" });
  const pause = button("Pause", () => ui.send("pause", { paused: !ui.state().paused }));
  const note = h("span", { class: "lk-quiet", role: "status" });
  ui.root.append(
    figures,
    h("h3", {}, "Models"), models,
    h("h3", {}, "Recent requests"), requests,
    h("div", { class: "lk-row lk-foot" }, pause, button("Freeze", () => ui.send("freeze")), note),
  );
  const drawn = {};
  /** Draw a part again if what it shows has changed. */
  const part = (key, value, draw) => {
    const text = JSON.stringify(value);
    if (drawn[key] !== text) { drawn[key] = text; draw(); }
  };
  ui.send("open", { view: name });
  ui.onClose(() => ui.send("leave", { view: name }));
  ui.onState((state) => {
    part("figures", [state.figures, state.decode, state.prefill], () => replace(figures, state.figures.map((one) =>
      h("div", { class: "lk-card lk-figure" },
        h("div", { class: "lk-label" }, one.label),
        h("div", { class: "lk-value" }, one.value),
        one.label === "decode" ? spark(state.decode, state.everyS, "decode tok/s")
          : one.label === "prefill" ? spark(state.prefill, state.everyS, "prefill tok/s")
            : h("div", { class: "lk-note" }, one.note)))));
    part("models", state.models, () => replace(models,
      state.models.length ? table(state.modelHeaders, state.models, "lk-models-now", 3, 11)
        : h("p", { class: "lk-quiet" }, "no model is loaded in this process")));
    part("requests", state.requests, () => replace(requests,
      state.requests.length ? table(state.requestHeaders, state.requests, "lk-ended", 2, 8)
        : h("p", { class: "lk-quiet" }, "no request has ended yet")));
    pause.textContent = state.paused ? "Go on" : "Pause";
    note.textContent = state.paused ? "paused: these figures are old" : `every ${state.everyS} s`;
  });

  /** Return columns, one a sample, the latest at the right. */
  function spark(points, everyS, label) {
    const most = Math.max(...points);
    const now = points[points.length - 1];
    const text = `${label} over ${Math.round(points.length * everyS)} s: now ${now}, most ${most}`;
    return h("div", {},
      h("div", { class: "lk-spark", role: "img", "aria-label": text, title: text },
        points.map((point) => h("div", { style: { height: `${most ? Math.max(point ? 6 : 0, 100 * point / most) : 0}%` } }))),
      h("div", { class: "lk-note" }, most ? `most ${most} in ${Math.round(points.length * everyS)} s` : "nothing lately"));
  }

  /** Return a table whose columns from `first` to before `last` are numbers. */
  function table(headers, rows, name, first, last = headers.length) {
    const side = (index) => (index >= first && index < last ? "lk-number" : undefined);
    return h("table", { class: name },
      h("thead", {}, h("tr", {}, headers.map((text, index) => h("th", { scope: "col", class: side(index) }, text)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((text, index) =>
        h("td", { class: side(index), "data-label": headers[index] }, text))))));
  }
}
