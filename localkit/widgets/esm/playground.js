// The playground: a prompt above, a column a model, what is kept below.

const PARAMS = [
  ["temperature", "number", { min: 0, max: 5, step: 0.1 }],
  ["top_p", "number", { min: 0, max: 1, step: 0.05 }],
  ["top_k", "number", { min: 0, step: 1 }],
  ["min_p", "number", { min: 0, max: 1, step: 0.05 }],
  ["seed", "number", { min: 0, step: 1 }],
  ["max_tokens", "number", { min: 1, step: 1 }],
  ["n_ctx", "number", { min: 32, step: 1 }],
];
const THINK = [["", "model's"], ["yes", "yes"], ["no", "no"]];
const SCORERS = ["", "includes", "exact", "f1", "chrf", "rouge", "similarity", "judge"];
const PHASES = { waiting: "waits", loading: "loading the model", writing: "writing", hidden: "kept back until all have answered",
  stopped: "stopped", failed: "failed", done: "" };
// The same rule as `fields.py`.
const FIELD = /(\\?)\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}/g;

function view(ui) {
  const draft = { prompt: "", system: "", variables: {}, examples: [] };
  const typed = {};          // what is being typed outside of the draft, by data-key
  const unfolded = new Set();
  const streams = new Map();  // turn → { text, element, bar }
  let revision = -1;

  const prompt = h("textarea", { rows: 3, "data-key": "prompt", spellcheck: "false", placeholder: "Ask something; {{name}} makes a field",
    oninput: (event) => { draft.prompt = event.target.value; drawFields(); },
    onchange: write, onkeydown: runKey });
  const fields = h("div", { class: "lk-row pg-fields" });
  const system = h("textarea", { rows: 2, "data-key": "system", spellcheck: "false",
    oninput: (event) => { draft.system = event.target.value; drawFields(); }, onchange: write, onkeydown: runKey });
  const examples = h("div", { class: "pg-examples" });
  const more = h("details", {}, h("summary", { "data-key": "more" }, "System message and examples"),
    field("System message", system, "empty: the model's own"), examples);
  const bench = h("div", { class: "lk-row" });
  const head = h("div", { class: "lk-card" }, field("Prompt", prompt, "Ctrl+Enter runs it"), fields, more, bench);
  const told = h("div", { class: "lk-note", role: "status", "aria-live": "polite" });
  const columns = h("div", { class: "lk-columns pg-columns" });
  const below = h("div", { class: "pg-below" });
  ui.root.append(head, told, columns, below);

  function write() { ui.send("write", { draft: texts() }); }
  function texts() {
    const wanted = new Set(names());
    const variables = Object.fromEntries(Object.entries(draft.variables).filter(([name, value]) => wanted.has(name) && value !== ""));
    return { prompt: draft.prompt, system: draft.system, variables, examples: draft.examples };
  }
  function run() { ui.send("run", { draft: texts() }); }
  function runKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopPropagation();
      if (!ui.state().busy) run();
    }
  }

  function names() {
    const all = [draft.prompt, draft.system, ...draft.examples.flatMap((one) => [one.user, one.assistant])].join("\n");
    return [...new Set([...all.matchAll(FIELD)].filter((found) => !found[1]).map((found) => found[2]))];
  }
  function drawFields() {
    replace(fields, names().map((name) => field(name, h("textarea", { rows: 1, "data-key": `variable ${name}`,
      value: draft.variables[name] || "", onkeydown: runKey, onchange: write,
      oninput: (event) => { draft.variables[name] = event.target.value; } }))));
  }
  function drawExamples() {
    replace(examples, draft.examples.map((one, index) => h("div", { class: "lk-row pg-example" },
      field(`Example ${index + 1}: the user says`, area(`example ${index} user`, one.user, (text) => { one.user = text; })),
      field("the model answers", area(`example ${index} answer`, one.assistant, (text) => { one.assistant = text; })),
      button("Remove example", () => { draft.examples.splice(index, 1); drawExamples(); drawFields(); write(); }, { "data-key": `example ${index} remove` }))),
      button("Add an example", () => { draft.examples.push({ user: "", assistant: "" }); drawExamples(); }, { "data-key": "example add" }));
  }
  function area(key, value, take) {
    return h("textarea", { rows: 2, "data-key": key, value, onkeydown: runKey, onchange: write,
      oninput: (event) => { take(event.target.value); drawFields(); } });
  }

  function drawBench(state) {
    const models = state.models.map(([ref, quant]) => [ref, quant ? `${ref} (${quant})` : ref]);
    const chosen = typed.model || (models.length ? models[0][0] : "");
    replace(bench,
      button("Run", run, { class: "lk-button lk-main", "data-key": "run", disabled: state.busy || !state.columns.length }),
      button("Stop", () => ui.send("stop"), { "data-key": "stop", disabled: !state.busy }),
      h("label", { class: "pg-check", title: "Shuffle the columns and keep the models' names back until there is a vote" },
        h("input", { type: "checkbox", "data-key": "blind", checked: state.blind,
          onchange: (event) => ui.send("blind", { on: event.target.checked }) }), " blind"),
      h("span", { class: "lk-note pg-status", role: "status" }, state.status),
      h("span", { class: "pg-grow" }),
      state.full || state.hidden || !models.length ? null : [
        field("Model to add", select(models, chosen, (ref) => { typed.model = ref; }, { "data-key": "model" })),
        button("Add column", () => ui.send("add", { ref: typed.model || chosen }), { "data-key": "add", disabled: state.busy }),
      ]);
  }

  function fold(key, label, ...inside) {
    return h("details", { open: unfolded.has(key), ontoggle: (event) => { event.target.open ? unfolded.add(key) : unfolded.delete(key); } },
      h("summary", { "data-key": key }, label), inside);
  }

  function drawColumn(state, column) {
    const busy = state.busy;
    const last = column.turns.at(-1);
    const title = state.hidden ? column.letter : `${column.letter}: ${column.ref}`;
    return h("section", { class: "lk-card pg-column", "aria-label": `Column ${title}` },
      h("h3", {}, title, column.quant ? h("span", { class: "lk-note" }, ` ${column.quant}`) : null),
      column.setup ? fold(`setup ${column.id}`, column.words.replace(column.ref, "").replace(/^ · /, "") || "Settings", drawSetup(state, column)) : null,
      column.turns.map((turn) => drawTurn(state, column, turn)),
      last && !state.hidden && ["done", "stopped"].includes(last.phase) && last.text ? drawGoOn(column.id, column.letter, "Continue", busy) : null,
      column.turns.length ? null : h("p", { class: "lk-note" }, "no answer yet"));
  }

  function drawSetup(state, column) {
    const change = (name, value) => {
      const setup = { ref: column.ref, ...column.setup, [name]: value };
      ui.send("set", { column: column.id, setup });
    };
    const models = state.models.map(([ref, quant]) => [ref, quant ? `${ref} (${quant})` : ref]);
    if (!models.some(([ref]) => ref === column.ref)) models.unshift([column.ref, `${column.ref} (not in the store)`]);
    const thinks = column.setup.think === null ? "" : column.setup.think ? "yes" : "no";
    return [
      field("Model", select(models, column.ref, (ref) => change("ref", ref), { "data-key": `ref ${column.id}` })),
      h("div", { class: "pg-params" },
        PARAMS.map(([name, type, props]) => field(name.replace(/_/g, " "), h("input", { type, ...props, "data-key": `${name} ${column.id}`,
          placeholder: "model's", value: column.setup[name] === null ? "" : String(column.setup[name]),
          onchange: (event) => change(name, event.target.value === "" ? null : Number(event.target.value)) }))),
        field("think", select(THINK, thinks, (word) => change("think", word === "" ? null : word === "yes"), { "data-key": `think ${column.id}` }))),
      h("div", { class: "lk-row" },
        button("To cell", () => ui.send("cell", { column: column.id }), { "data-key": `cell ${column.id}`, "aria-label": `Column ${column.letter} to a cell` }),
        button("Remove column", () => ui.send("remove", { column: column.id }), { "data-key": `remove ${column.id}`, disabled: state.busy, "aria-label": `Remove column ${column.letter}` })),
    ];
  }

  function drawTurn(state, column, turn) {
    const editing = typed[`edit ${turn.id}`];
    const text = h("div", { class: "lk-text pg-answer", "data-turn": turn.id, tabindex: 0, role: "region", "aria-label": `Answer of ${column.letter}` });
    if (turn.phase === "writing") {
      const stream = streams.get(turn.id) || { text: "" };
      streams.set(turn.id, { ...stream, element: text, bar: null });
      text.textContent = stream.text;
    } else {
      text.textContent = turn.text;
      if (turn.phase !== "loading" && turn.phase !== "waiting") streams.delete(turn.id);
    }
    const loading = h("div", {}, turn.phase === "loading" ? bar(null, "loading the model") : null);
    if (turn.phase === "loading") streams.set(turn.id, { text: "", element: null, bar: loading });
    const phase = PHASES[turn.phase];
    const act = (label, key, action, more, props = {}) => button(label, () => ui.send(action, { turn: turn.id, ...more }),
      { "data-key": `${key} ${turn.id}`, ...props });
    return h("div", { class: "pg-turn" },
      editing === undefined
        ? h("div", { class: "pg-said" }, h("span", { class: "lk-note" }, "User: "), turn.said.length > 240 ? `${turn.said.slice(0, 240)}…` : turn.said)
        : drawEdit(state, turn, editing),
      turn.thinking ? fold(`thinking ${turn.id}`, "Thinking", h("div", { class: "lk-text lk-quiet" }, turn.thinking)) : null,
      loading,
      text,
      turn.note ? h("div", { class: turn.phase === "failed" ? "lk-error" : "pg-note" }, `[${turn.note}]`) : null,
      h("div", { class: "lk-note" }, [phase, turn.usage].filter(Boolean).join(" · ")),
      turn.of > 1 ? h("div", { class: "pg-alternatives" },
        act("‹", "before", "pick", { by: -1 }, { disabled: turn.number === 1, "aria-label": "Answer before" }),
        h("span", {}, ` ${turn.number}/${turn.of} `),
        act("›", "after", "pick", { by: 1 }, { disabled: turn.number === turn.of, "aria-label": "Answer after" })) : null,
      turn.rateable || turn.phase === "stopped" || turn.phase === "failed" ? h("div", { class: "pg-buttons" },
        turn.rateable ? drawRating(turn) : null,
        act("Regenerate", "again", "regenerate", {}, { disabled: state.busy, title: "Ask the same with another seed; this answer stays" }),
        editing === undefined && !state.hidden ? button("Edit", () => { typed[`edit ${turn.id}`] = turn.said; drawColumns(ui.state()); focus(`edit ${turn.id}`); },
          { "data-key": `editing ${turn.id}`, disabled: state.busy, title: "Say something else here: a branch" }) : null) : null,
      turn.score ? drawComment(turn) : null);
  }

  function drawRating(turn) {
    const comment = `comment ${turn.id}`;
    const rate = (score) => ({ score: turn.score === score ? 0 : score, comment: typed[comment] ?? turn.comment });
    const marked = (label, key, score) => button(label, () => ui.send("rate", { turn: turn.id, ...rate(score) }),
      { "data-key": `${key} ${turn.id}`, "aria-pressed": String(turn.score === score) });
    // No emoji: not every system has a font with them.
    return [marked("✓ Good", "like", 1), marked("✗ Bad", "dislike", -1)];
  }

  function drawComment(turn) {
    const comment = `comment ${turn.id}`;
    return h("input", { type: "text", maxlength: 2000, placeholder: "why?", "aria-label": "Comment on the answer", "data-key": comment,
      value: typed[comment] === undefined ? turn.comment : typed[comment],
      oninput: (event) => { typed[comment] = event.target.value; },
      onchange: (event) => { typed[comment] = undefined; ui.send("rate", { turn: turn.id, score: turn.score, comment: event.target.value }); } });
  }

  function drawEdit(state, turn, text) {
    const key = `edit ${turn.id}`;
    const close = () => { delete typed[key]; drawColumns(ui.state()); focus(`editing ${turn.id}`); };
    return h("div", {},
      field("Say instead", h("textarea", { rows: 3, value: text, "data-key": key, oninput: (event) => { typed[key] = event.target.value; } })),
      h("div", { class: "pg-buttons" },
        button("Ask", () => { const said = typed[key]; delete typed[key]; ui.send("edit", { turn: turn.id, text: said }); }, { "data-key": `ask ${turn.id}`, disabled: state.busy }),
        button("Cancel", close, { "data-key": `cancel ${turn.id}` })));
  }

  function drawGoOn(column, name, label, busy) {
    const key = `say ${column || "all"}`;
    const send = () => {
      const text = typed[key] || "";
      if (!text.trim()) return;
      typed[key] = "";
      ui.send("continue", { column, text });
    };
    return h("div", { class: "pg-buttons" },
      h("textarea", { rows: 1, placeholder: "go on…", "aria-label": `Next message to ${name}`, "data-key": key, value: typed[key] || "",
        oninput: (event) => { typed[key] = event.target.value; },
        onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); event.stopPropagation(); send(); } } }),
      button(label, send, { "data-key": `continue ${column || "all"}`, disabled: busy }));
  }

  function focus(key) {
    const found = ui.root.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (found) found.focus();
  }

  function drawColumns(state) {
    replace(columns, state.columns.map((column) => drawColumn(state, column)));
  }

  function drawVote(state) {
    const vote = state.vote;
    if (!vote) return null;
    if (!vote.open) {
      return vote.said ? h("div", { class: "lk-card" }, `Vote: ${vote.said}${vote.blind ? "" : " (not blind)"}`) : null;
    }
    const choose = (label, verdict) => button(label, () => ui.send("vote", { verdict }), { "data-key": `vote ${verdict}`, disabled: state.busy });
    return h("div", { class: "lk-card" },
      h("h3", {}, "Which answer is better?"),
      h("div", { class: "pg-buttons" },
        state.columns.slice(0, vote.n).map((column, index) => choose(`${column.letter} is better`, index)),
        choose("Tie", "tie"), choose("Neither", "neither"),
        vote.blind ? null : h("span", { class: "lk-note" }, "not blind: you know who answered")));
  }

  function drawPairs(state) {
    if (!state.pairs.length) return null;
    const heads = ["A", "B", "A better", "B better", "tie", "neither", "share of A", "verdict"];
    return fold("votes", "Votes so far", h("div", { class: "lk-scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, state.pairs.map((cells) => h("tr", {}, cells.map((text) => h("td", {}, text))))))));
  }

  function drawVersions(state) {
    if (!state.versions.length) return null;
    const difference = state.difference;
    return fold("versions", `Versions (${state.versions.length})`,
      h("div", { class: "lk-scroll pg-list" }, h("table", {}, h("tbody", {}, state.versions.map(([id, made, title]) => h("tr", {},
        h("td", { class: "lk-number" }, String(id)), h("td", {}, new Date(made).toLocaleString([], { dateStyle: "short", timeStyle: "short" })), h("td", {}, title),
        h("td", {}, button("Open", () => ui.send("open", { version: id }), { "data-key": `open ${id}`, disabled: state.busy, "aria-label": `Open version ${id}` })),
        h("td", {}, button("Compare", () => ui.send("differ", { version: id }), { "data-key": `differ ${id}`, "aria-label": `Compare version ${id} with the prompt above` }))))))),
      difference ? h("div", { class: "lk-card" },
        h("h3", {}, `Version ${difference.version} → the prompt above`),
        h("div", { class: "lk-text" }, difference.pieces.map(([op, text]) => op === "=" ? text
          : h(op === "+" ? "ins" : "del", { class: op === "+" ? "lk-add" : "lk-del" }, text))),
        difference.pieces.every(([op]) => op === "=") ? h("p", { class: "lk-note" }, "no difference") : null,
        button("Close", () => ui.send("differ", { version: 0 }), { "data-key": "differ close" })) : null);
  }

  function drawPresets(state) {
    const chosen = state.presets.includes(typed.preset) ? typed.preset : state.presets[0] || "";
    const send = (what, name) => ui.send("preset", { what, name });
    return fold("presets", `Presets (${state.presets.length})`, h("div", { class: "lk-row" },
      state.presets.length ? [
        field("Preset", select(state.presets, chosen, (name) => { typed.preset = name; }, { "data-key": "preset" })),
        button("Load", () => send("load", chosen), { "data-key": "preset load", disabled: state.busy }),
        button("Delete", () => send("delete", chosen), { "data-key": "preset delete" }),
      ] : null,
      field("Name", h("input", { type: "text", maxlength: 80, "data-key": "preset name", value: typed.presetName || "",
        oninput: (event) => { typed.presetName = event.target.value; } })),
      button("Save as preset", () => { if (typed.presetName) { write(); send("save", typed.presetName); } }, { "data-key": "preset save" })));
  }

  function drawTask(state) {
    if (!state.n_liked) return null;
    const scorer = typed.scorer || "";
    const needs = scorer === "similarity" || scorer === "judge";
    const models = state.models.map(([ref]) => ref);
    const model = typed.scorerModel || models[0] || "";
    const name = typed.task === undefined ? "prompts" : typed.task;
    return fold("task", `To eval (${state.n_liked} liked)`, h("div", { class: "lk-row" },
      field("Task file", h("input", { type: "text", maxlength: 60, "data-key": "task name", value: name, oninput: (event) => { typed.task = event.target.value; } }),
        "small letters, digits, - and _"),
      field("Scored by", select(SCORERS.map((one) => [one, one || "what suits the answers"]), scorer,
        (one) => { typed.scorer = one; drawBelow(ui.state()); }, { "data-key": "scorer" })),
      needs ? field("Model", select(models, model, (ref) => { typed.scorerModel = ref; }, { "data-key": "scorer model" })) : null,
      button("Write the task", () => ui.send("task", { name: typed.task === undefined ? "prompts" : typed.task, scorer, model: needs ? model : "" }), { "data-key": "task write" })));
  }

  function drawCell(state) {
    const all = state.hidden || state.columns.length < 2 ? null
      : h("div", {}, button("All columns to a cell", () => ui.send("cell", { column: null }), { "data-key": "cell all" }));
    if (!state.cell) return all;
    const text = h("textarea", { rows: Math.min(12, state.cell.split("\n").length + 1), "data-key": "cell text", "aria-label": "Cell to copy", value: state.cell });
    text.readOnly = true;
    return [all, h("div", { class: "lk-card" },
      field("Copy this into a cell", text, "pg.to_cell() in a cell puts it below that cell"),
      h("div", { class: "pg-buttons" },
        button("Select all", () => { text.focus(); text.select(); }, { "data-key": "cell select" }),
        button("Close", () => ui.send("cell", { column: "" }), { "data-key": "cell close" })))];
  }

  function drawAll(state) {
    const answered = state.columns.every((column) => column.turns.length && column.turns.at(-1).rateable);
    return state.columns.length > 1 && answered ? drawGoOn(null, "all columns", "Continue all", state.busy) : null;
  }

  function drawBelow(state) {
    replace(below, drawVote(state), drawAll(state), drawCell(state), drawPairs(state), drawVersions(state), drawPresets(state), drawTask(state));
  }

  ui.onState((state) => {
    if (state.revision !== revision) {
      revision = state.revision;
      Object.assign(draft, { prompt: state.draft.prompt, system: state.draft.system,
        variables: { ...state.draft.variables }, examples: state.draft.examples.map((one) => ({ ...one })) });
      prompt.value = draft.prompt;
      system.value = draft.system;
      more.open = Boolean(draft.system || draft.examples.length);
      drawExamples();
      drawFields();
    }
    told.textContent = state.told;
    drawBench(state);
    drawColumns(state);
    drawBelow(state);
  });

  ui.onMessage((message) => {
    if (message.kind === "text") {
      for (const [turn, added] of Object.entries(message.add)) {
        const stream = streams.get(turn) || { text: "", element: null, bar: null };
        stream.text += added;
        streams.set(turn, stream);
        if (!stream.element) continue;
        const box = stream.element;
        const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
        box.append(added);
        if (follows) box.scrollTop = box.scrollHeight;
      }
    } else if (message.kind === "progress") {
      const stream = streams.get(message.turn);
      if (stream && stream.bar) replace(stream.bar, h("span", { class: "lk-note" }, message.step), bar(message.share, message.step));
    }
  });
}
