// A prompt as the model reads it: control tokens, a ruler, whose each token is.

function view(ui) {
  const state = ui.state();
  const [SHOWN, ID, KIND, MESSAGE, NAME] = [0, 1, 2, 3, 4];
  const kinds = { control: "control token", template: "of the template", message: "of message", opening: "opens the answer" };
  const facts = h("p", { class: "lk-figures-line", role: "status" }, "Point at a token, or go there with Tab and the arrow keys.");
  const tell = (token, index) => `token ${index}: ${token[NAME]}, id ${token[ID]}, ${kinds[token[KIND]]}`
    + (token[MESSAGE] === null ? "" : ` ${token[MESSAGE]}`);
  let every = 10;
  let chosen = null;
  const box = h("div", { class: "lk-prompt" });
  let text = null;

  const drawText = () => {
    text = strip("Tokens of the prompt; arrow keys go from one to the next", state.tokens.map((token, index) => ({
      text: token[SHOWN],
      label: tell(token, index),
      className: `${token[5] ? "lk-bracket lk-control" : ""} ${every && index % every === 0 ? "lk-tick" : ""}`,
      heat: { control: 0.9, opening: 0.6, template: 0.25, message: 0 }[token[KIND]],
      flag: every && index % every === 0 ? String(index) : "",
    })), (index) => { facts.textContent = tell(state.tokens[index], index); }, "ltr");
    replace(box, text.element);
    mark();
  };
  const mark = () => text.mark("lk-chosen", (index) => chosen !== null && state.tokens[index][MESSAGE] === chosen);
  const cut = state.n_tokens - state.tokens.length;
  const rows = h("tbody");
  const drawRows = () => replace(rows, state.parts.map((part) => h("tr", {},
    h("td", {}, button(String(part[0]), () => {
      chosen = chosen === part[0] ? null : part[0];
      mark();
      drawRows();
    }, { "aria-pressed": String(chosen === part[0]), "aria-label": `Show message ${part[0]} in the prompt`, "data-key": `part ${part[0]}` })),
    h("td", {}, part[1]), h("td", { class: "lk-number" }, String(part[2])), h("td", { class: "lk-number" }, String(part[3])),
    h("td", {}, part[4]))));

  ui.root.append(
    h("h3", {}, state.title),
    h("div", { class: "lk-quiet" }, state.figures.map((line) => h("div", {}, line))),
    bar(Math.min(1, state.n_tokens / state.n_ctx), `${state.n_tokens} of ${state.n_ctx} tokens of the context`),
    h("div", { class: "lk-row" },
      field("Ruler", select([["0", "none"], ["10", "every 10 tokens"], ["50", "every 50 tokens"]], String(every),
        (value) => { every = Number(value); drawText(); }, { "data-key": "ruler" })),
      button("Freeze", () => ui.send("freeze"), { "data-key": "freeze" })),
    box,
    cut > 0 ? h("p", { class: "lk-note" }, `… ${cut.toLocaleString("en")} more tokens are not shown`) : "",
    facts,
    h("p", { class: "lk-legend lk-note" }, "«…» control token · colour: what the template wrote · no colour: messages"),
    state.parts.length ? h("div", { class: "lk-scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["message", "role", "tokens", "characters", "is"].map((name, index) =>
        h("th", { scope: "col", class: index === 2 || index === 3 ? "lk-number" : "" }, name)))), rows)) : "",
    state.remarks.length ? h("ul", { class: "lk-remarks" }, state.remarks.map((one) => h("li", {}, one))) : "",
  );
  drawRows();
  drawText();
}
