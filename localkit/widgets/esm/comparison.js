// The table of a comparison, live while it is measured; every answer behind it; plots.
// Sorting and hiding candidates ask nothing of the kernel: they work while a cell runs.

const SHOWS = [["all", "all samples"], ["flips", "flips: right in one, wrong in the other"],
  ["lost", "lost: right in the reference, wrong in it"], ["gained", "gained: wrong in the reference, right in it"],
  ["wrong", "wrong in it"], ["differ", "it says something else than the reference"], ["unscored", "unscored in it"]];

function view(ui) {
  const sort = { column: null, down: false };
  const hidden = new Set();
  const drawn = {};
  let focusSample = false;

  const step = h("div", { class: "lk-quiet", role: "status" });
  const far = h("div", {});
  const live = h("div", { class: "lk-live" }, far, step);
  const headline = h("p", { class: "lk-headline" });
  const figures = h("div", { class: "lk-root" });
  const samples = h("div", { class: "lk-root" });
  const sample = h("div", { class: "lk-sample", role: "region", "aria-label": "Sample", tabindex: "-1",
    onkeydown: (event) => { if (event.key === "Escape") shut(); } });
  const passages = fold("Passages furthest from the reference", "passages");
  const plots = fold("Plots", "plots");
  const foot = h("div", { class: "lk-row" }, button("Freeze", () => ui.send("freeze"),
    { title: "Leave the static report and take these controls away" }));
  ui.root.append(live, headline, figures, samples, sample, passages.box, plots.box, foot);

  /** Draw a part again if what it shows has changed. */
  const part = (key, value, draw) => {
    const text = JSON.stringify(value);
    if (drawn[key] !== text) { drawn[key] = text; draw(); }
  };

  ui.onState((state) => {
    live.hidden = !state.live;
    if (state.live) progress(state.live);
    headline.textContent = state.headline || (state.live ? state.title : "");
    part("figures", [state.sheet, state.pick, state.reference], drawFigures);
    samples.hidden = !state.samples;
    part("samples", state.samples, drawSamples);
    sample.hidden = !state.sample;
    part("sample", state.sample, drawSample);
    samples.setAttribute("aria-busy", "false");
    passages.box.hidden = !state.n_passages;
    plots.box.hidden = !state.has_plots;
    foot.hidden = Boolean(state.live) && !state.live.over;
  });
  ui.onMessage((message) => {
    if (message.kind === "progress") progress(message);
    else if (message.kind === "busy") samples.setAttribute("aria-busy", "true");
    else if (message.kind === "plot") {
      if (message.number === 0) replace(plots.body);
      plots.body.append(image(message.png, message.alt));
    }
    else if (message.kind === "passages") replace(passages.body, message.passages.map(passage));
  });

  function progress(now) {
    replace(far, now.over ? null : bar(now.share, now.text || "measuring"));
    step.textContent = now.text;
  }

  // ---- candidates

  function drawFigures() {
    const { sheet, pick, reference } = ui.state();
    if (!sheet) { replace(figures); return; }
    const order = sheet.labels.map((_, index) => index).filter((index) => !hidden.has(sheet.labels[index]));
    if (sort.column !== null && sort.column < sheet.heads.length)
      order.sort((a, b) => compared(sheet.lines[a][sort.column][1], sheet.lines[b][sort.column][1]) || a - b);
    const choose = sheet.titles.length > 1
      ? field("Figures", select(sheet.titles.map((title, index) => [String(index), title]), String(sheet.place),
        (value) => { sort.column = null; ui.send("table", { index: Number(value) }); }, { "data-key": "table" }))
      : null;
    replace(figures,
      h("div", { class: "lk-row" }, choose, sheet.labels.length > 2 ? chooser(sheet, reference) : null),
      h("div", { class: "lk-scroll", tabindex: 0, role: "region", "aria-label": "Candidates", "data-key": "scroll" },
        h("table", { class: "lk-figures" },
          sheet.caption ? h("caption", { class: "lk-quiet" }, sheet.caption) : null,
          h("thead", {}, h("tr", {}, sheet.heads.map(([text, side], column) => head(text, side, column)))),
          h("tbody", {}, order.map((index) => {
            const label = sheet.labels[index];
            const name = label === pick ? "lk-pick" : undefined;
            return h("tr", { class: name }, sheet.lines[index].map(([text, , pending], column) =>
              h(column ? "td" : "th", { scope: column ? undefined : "row",
                class: [sheet.heads[column][1] === ">" ? "lk-number" : "", pending ? `lk-${pending}` : "", text.length > 24 ? "lk-long" : ""].join(" ") },
              column === 0 && label === pick ? `→ ${text}` : text)));
          })))),
      h("p", { class: "lk-note" }, [pick ? "→ to run" : "", reference ? "◇ reference" : "",
        ui.state().live ? "… waits, n/m is being measured" : "★ not beaten in size, decode speed and KL at once"].filter(Boolean).join("   ")));
  }

  function head(text, side, column) {
    const is = sort.column === column;
    return h("th", { scope: "col", class: side === ">" ? "lk-number" : undefined,
      "aria-sort": is ? (sort.down ? "descending" : "ascending") : "none" },
    h("button", { type: "button", class: "lk-sort", "data-key": `sort ${column}`, title: `sort by ${text}`, onclick: () => {
      if (!is) Object.assign(sort, { column, down: false });
      else if (!sort.down) sort.down = true;
      else sort.column = null;
      drawFigures();
    } }, text, h("span", { "aria-hidden": "true" }, is ? (sort.down ? " ▼" : " ▲") : "")));
  }

  /** Return the order of two keys; what is missing comes last, whichever way. */
  function compared(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return sort.down ? -order : order;
  }

  function chooser(sheet, reference) {
    const n = sheet.labels.filter((label) => !hidden.has(label)).length;
    const box = h("details", { class: "lk-chooser", open: drawn.chooser },
      h("summary", { "data-key": "chooser" }, `Candidates: ${n} of ${sheet.labels.length}`),
      h("div", { class: "lk-row", role: "group", "aria-label": "Candidates to show" }, sheet.labels.map((label) =>
        h("label", { class: "lk-check" }, h("input", { type: "checkbox", checked: !hidden.has(label), "data-key": `show ${label}`,
          onchange: (event) => {
            if (event.target.checked) hidden.delete(label); else hidden.add(label);
            drawFigures();
            drawSamples();
          } }), label === reference ? `${label} ◇` : label))));
    box.addEventListener("toggle", () => { drawn.chooser = box.open; });
    return box;
  }

  // ---- samples

  function drawSamples() {
    const now = ui.state().samples;
    if (!now) { replace(samples); return; }
    const ask = (changed) => ui.send("look", { ...now.asked, page: 0, ...changed });
    const search = h("input", { type: "search", value: now.asked.text, maxlength: 300, "data-key": "search",
      placeholder: "in questions and answers", onkeydown: (event) => {
        if (event.key === "Enter") ask({ text: event.target.value });
      }, onchange: (event) => { if (event.target.value !== ui.state().samples.asked.text) ask({ text: event.target.value }); } });
    const columns = now.columns.map((label, place) => [label, place]).filter(([label]) => !hidden.has(label));
    replace(samples, h("h3", {}, "Answers"),
      h("div", { class: "lk-row" },
        now.tasks.length > 1 ? field("Task", select(now.tasks, now.asked.task, (task) => ask({ task }), { "data-key": "task" })) : null,
        now.candidates.length ? field("Candidate", select(now.candidates, now.asked.label, (label) => ask({ label }), { "data-key": "label" })) : null,
        now.candidates.length ? field("Show", select(SHOWS, now.asked.show, (show) => ask({ show }), { "data-key": "which" })) : null,
        field("Search", search)),
      h("p", { class: "lk-quiet", role: "status" }, told(now)),
      now.items.length ? h("div", { class: "lk-scroll" }, h("table", { class: "lk-samples", onkeydown: move },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "#"), h("th", { scope: "col" }, "Question"), h("th", { scope: "col" }, "Right answer"),
          columns.map(([label]) => h("th", { scope: "col", class: label === now.asked.label ? "lk-chosen" : undefined }, label)))),
        h("tbody", {}, now.items.map((item) => h("tr", {},
          h("th", { scope: "row" }, button(String(item.index + 1), () => { focusSample = true; ui.send("open", { index: item.index }); },
            { "data-key": `item ${item.index}`, "aria-label": `open sample ${item.index + 1}` })),
          h("td", { class: "lk-question", title: item.question }, h("span", {}, item.question)), h("td", { class: "lk-right" }, item.right),
          columns.map(([label, place]) => mark(label, item.answers[place]))))))) : null,
      now.n_pages > 1 ? h("div", { class: "lk-row" },
        button("Earlier", () => ask({ page: now.page - 1 }), { disabled: now.page === 0, "data-key": "earlier" }),
        h("span", { class: "lk-quiet" }, `page ${now.page + 1} of ${now.n_pages}`),
        button("Later", () => ask({ page: now.page + 1 }), { disabled: now.page + 1 >= now.n_pages, "data-key": "later" })) : null);
  }

  function told(now) {
    if (now.n === null) return "reading the answers …";
    if (!now.n) return "no sample is so";
    const last = now.first + now.items.length;
    return `${now.first + 1}–${last} of ${now.n} ${now.n === 1 ? "sample" : "samples"}; the number opens one, arrow keys move`;
  }

  /** Return what a candidate got: a sign, then the answer. */
  function mark(label, answer) {
    if (!answer) return h("td", { class: "lk-mark", "data-label": label }, "–");
    const [value, text] = answer;
    return h("td", { class: "lk-mark", "data-label": label, title: text || "(nothing)" }, h("span", { class: tone(value) }, sign(value)),
      h("span", { class: "lk-said" }, text || "(nothing)"));
  }

  function sign(value) {
    if (value === null) return "– unscored";
    return value >= 1 ? "✓ right" : value <= 0 ? "✗ wrong" : String(value);
  }

  function tone(value) { return value === null ? "lk-quiet" : value >= 1 ? "lk-good" : "lk-bad"; }

  /** Move between the rows by the arrow keys. */
  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const rows = [...event.currentTarget.querySelectorAll("tbody button")];
    const next = rows[rows.indexOf(event.target) + step];
    if (next) { event.preventDefault(); next.focus(); }
  }

  // ---- one sample

  function drawSample() {
    const now = ui.state().sample;
    if (!now) { replace(sample); return; }
    const items = ui.state().samples ? ui.state().samples.items.map((item) => item.index) : [];
    const at = items.indexOf(now.index);
    const to = (index) => () => ui.send("open", { index });
    const [base, other] = now.answers;
    replace(sample,
      h("div", { class: "lk-row" }, h("h3", {}, `Sample ${now.index + 1}`), h("span", { class: "lk-quiet" }, now.id),
        button("Previous", to(items[at - 1]), { disabled: at < 1, "data-key": "previous" }),
        button("Next", to(items[at + 1]), { disabled: at < 0 || at + 1 >= items.length, "data-key": "next" }),
        button("Close", shut, { "data-key": "close", title: "Escape" })),
      now.prompt ? h("pre", { class: "lk-text lk-prompt", tabindex: 0, "aria-label": "Question" }, now.prompt)
        : h("p", { class: "lk-quiet" }, "the question is not stored"),
      now.right ? h("p", {}, h("strong", {}, "Right answer: "), now.right) : null,
      h("div", { class: "lk-columns" }, now.answers.map((one) => h("div", { class: "lk-card" },
        h("h3", {}, one === base ? `${one.label} ◇ ` : `${one.label} `, h("span", { class: tone(one.value) }, sign(one.value))),
        h("p", { class: "lk-text" }, one.text || "(nothing)"),
        one.why ? h("p", { class: "lk-note" }, one.why) : null,
        one.values.length ? h("p", { class: "lk-note" }, `of ${one.values.length} answers: ${one.values.map(sign).join(", ")}`) : null))),
      other ? h("div", { class: "lk-card" }, h("h3", {}, `From ${base.label} to ${other.label}`), difference(now.diff)) : null,
      now.choices.length ? choices(now) : null);
    if (focusSample) { focusSample = false; sample.focus(); sample.scrollIntoView({ block: "nearest" }); }
  }

  function difference(pieces) {
    if (!pieces.some(([op]) => op !== "=")) return h("p", { class: "lk-quiet" }, "both say the same");
    return h("p", { class: "lk-text" }, pieces.map(([op, text]) =>
      op === "=" ? text : h(op === "-" ? "del" : "ins", { class: op === "-" ? "lk-del" : "lk-add" }, text)));
  }

  function choices(now) {
    return h("div", { class: "lk-scroll", tabindex: 0, role: "region", "aria-label": "Choices" }, h("table", {},
      h("caption", { class: "lk-quiet" }, "What each choice is ranked by (ln p, as the task divides it); ● the likeliest"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Choice"), now.columns.map((label) => h("th", { scope: "col", class: "lk-number" }, label)))),
      h("tbody", {}, now.choices.map((choice) => h("tr", {},
        h("th", { scope: "row", class: "lk-question" }, choice.is_right ? "✓ " : "", choice.text),
        choice.scores.map(([score, logprob, best]) => h("td", { class: "lk-number", title: logprob === null ? undefined : `Σ ln p ${logprob}` },
          score === null ? "–" : `${best ? "● " : ""}${score.toFixed(3)}`)))))),
    now.n_choices_left_out ? h("p", { class: "lk-note" }, `${now.n_choices_left_out} more choices`) : null);
  }

  function shut() {
    const now = ui.state().sample;
    ui.send("shut");
    const row = now && samples.querySelector(`[data-key="item ${now.index}"]`);
    if (row) row.focus();
  }

  // ---- what is sent when it is looked at

  function fold(title, what) {
    const body = h("div", { class: `lk-${what}` });
    const box = h("details", {}, h("summary", {}, title), body);
    box.addEventListener("toggle", () => {
      if (!box.open || body.childElementCount) return;
      body.append(h("p", { class: "lk-quiet", role: "status" }, "drawing …"));
      ui.send("send", { what });
    });
    return { box, body };
  }

  function passage(one) {
    return h("div", { class: "lk-card" }, h("h3", {}, `${one.label}, ${one.where}`),
      one.told ? h("p", { class: "lk-note" }, one.told) : null,
      h("p", { class: "lk-text" }, "…", one.tokens.map(([text, kld, said], place) => h("span", {
        class: place === one.worst ? "lk-worst" : undefined,
        title: `${kld === null ? "–" : kld.toFixed(2)} nats${said ? `; ${said}` : ""}`,
        style: { background: `rgba(213, 94, 0, ${Math.min(0.75, (kld || 0) * 0.19).toFixed(2)})` } }, text)), "…"));
  }
}
