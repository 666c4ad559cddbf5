// An answer token by token: figures on hover, two quants aligned, "what if" branches.

function view(ui) {
  const first = ui.state();
  const two = first.refs.length > 1;
  const [SHOWN, NAME, LOGPROB, RANK, ENTROPY, TOP, KL, THERE, CONTROL] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const minus = (value, digits = 2) => (value === null ? "∞" : value.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−"));
  const chance = (logprob) => {
    const p = logprob === null ? 0 : Math.exp(logprob);
    return p >= 0.1 || p === 0 ? p.toFixed(2) : p.toPrecision(2);
  };
  const surprise = (token) => (token[LOGPROB] === null ? 1 : -token[LOGPROB] / 6);
  const divergence = (token) => (token[KL] === null ? 1 : Math.sqrt(Math.max(token[KL], 0) / 2));
  const differs = (token) => two && token[TOP][0][0] !== token[THERE][2][0][0];
  const line = (token) => (two ? (differs(token) ? "lk-lined" : "")
    : token[LOGPROB] === null || token[LOGPROB] < first.rare ? "lk-lined" : token[LOGPROB] < first.unlikely ? "lk-dotted" : "");

  let shade = two ? "divergence" : "surprise";
  let at = null;
  let model = "0";
  const facts = h("div", { class: "lk-card lk-facts", role: "region", "aria-label": "The token" });
  const answer = strip("Tokens of the answer; arrow keys go from one to the next", first.tokens.map((token, index) => ({
    text: token[SHOWN],
    label: `${token[NAME]}, ${minus(token[LOGPROB])} nats, rank ${token[RANK]}${two ? `, KL ${minus(token[KL], 3)}` : ""}`
      + (index === first.parts_at ? ", here the two part" : ""),
    className: `${token[CONTROL] ? "lk-control" : line(token)} ${index === first.parts_at ? "lk-parts" : ""}`,
    heat: (two ? divergence : surprise)(token),
    flag: index === first.parts_at ? "⚑" : "",
  })), (index, pins) => { at = index; drawFacts(pins); });
  const text = h("div", { class: two ? "lk-hue-kl" : "" }, answer.element);
  const cut = first.n_tokens - first.tokens.length;
  const note = h("span", { class: "lk-quiet", role: "status" });
  const stop = button("Stop", () => ui.send("stop"), { "data-key": "stop" });
  const branches = h("div", { class: "lk-columns" });
  const live = h("pre", { class: "lk-text" });
  let growing = null;

  const controls = [
    two ? field("Colour", select([["divergence", "divergence (KL)"], ["surprise", "surprise"]], shade, (value) => {
      shade = value;
      text.className = shade === "divergence" ? "lk-hue-kl" : "";
      answer.heat((index) => (shade === "divergence" ? divergence : surprise)(first.tokens[index]));
    }, { "data-key": "shade" })) : null,
    two ? field("Another token is continued by", select(first.refs.map((ref, index) => [String(index), ref]), model,
      (value) => { model = value; }, { "data-key": "model" })) : null,
    stop,
    button("Freeze", () => ui.send("freeze"), { "data-key": "freeze" }),
    note,
  ];
  ui.root.append(
    h("h3", {}, first.title),
    h("div", { class: "lk-sums lk-quiet" }, first.sums.map((one) => h("p", {}, one))),
    h("div", { class: "lk-row" }, controls.filter(Boolean)),
    text,
    cut > 0 ? h("p", { class: "lk-note" }, `… ${cut.toLocaleString("en")} more tokens are not shown`) : "",
    legend(), facts,
    own(),
    branches,
  );
  drawFacts(false);

  ui.onMessage((message) => {
    if (message.kind !== "text" || !growing || !(growing in message.add)) return;
    live.append(message.add[growing]);
    live.scrollTop = live.scrollHeight;
  });
  ui.onState((state) => {
    stop.disabled = !state.busy;
    note.textContent = state.growing ? `${state.growing.ref} goes on from token ${state.growing.at}` : "";
    if (state.growing && state.growing.name !== growing) live.textContent = "";
    growing = state.growing ? state.growing.name : null;
    replace(branches,
      state.growing ? h("div", { class: "lk-card lk-branch" }, h("h3", {}, `${state.growing.name}: growing`), live) : null,
      state.branches.slice().reverse().map((one) => h("div", { class: "lk-card lk-branch" },
        h("h3", {}, one.name),
        h("p", { class: "lk-quiet" }, one.label),
        h("p", { class: "lk-text" }, one.tokens.map((token, index) => h("span", {
          class: `lk-token ${index === 0 ? "lk-parts" : ""}`, title: `${token[1]} ${minus(token[2])} nats`,
        }, token[0])), one.n_tokens > one.tokens.length ? " …" : null),
        button("Forget", () => ui.send("forget", { branch: one.name }),
          { "data-key": `forget ${one.name}`, "aria-label": `Forget ${one.name}` }))));
    drawButtons(state);
  });

  function legend() {
    const sample = (className, heat) => {
      const element = h("span", { class: `lk-token ${className}`, "aria-hidden": "true" }, "token");
      element.style.setProperty("--lk-heat", heat);
      return element;
    };
    const item = (className, heat, meaning) => h("span", {}, sample(className, heat), ` ${meaning}`);
    return h("p", { class: `lk-legend lk-note ${two ? "lk-hue-kl" : ""}` }, two
      ? [item("", "30%", "more colour: more divergence"), item("lk-lined", "10%", "line: another token is likeliest"),
        item("lk-parts", "0%", "⚑ here the two part")]
      : [item("", "25%", "more colour: more surprising"), item("lk-dotted", "25%", "dotted: p below 0.1"),
        item("lk-lined", "45%", "line: p below 0.01")]);
  }

  /** Draw what is known of the token that is pointed at. */
  function drawFacts(pinned) {
    const token = at === null ? null : first.tokens[at];
    if (!token) {
      replace(facts, h("p", { class: "lk-quiet" },
        "Point at a token, or go there with Tab and the arrow keys, to see what else might have come."));
      return;
    }
    const place = at;
    const side = (index, logprob, rank, top, more) => h("div", {},
      two ? h("div", { class: "lk-label" }, first.refs[index]) : null,
      h("p", { class: "lk-figures-line" }, `${minus(logprob)} nats · p ${chance(logprob)} · rank ${rank}${more}`),
      h("ul", { class: "lk-choices" }, top.map(([id, name, each]) => h("li", { class: "lk-choice" },
        button(name, () => ui.send("what_if", { at: place, token: id, model: Number(model) }), {
          class: "lk-button lk-whatif", "data-key": `${index} ${id}`,
          "aria-label": `Go on from ${name}, probability ${chance(each)}`,
          title: "What if this token had come? The model goes on from it.",
        }),
        h("span", { class: "lk-choice-p" }, chance(each)),
        h("span", { class: "lk-choice-bar", style: { width: `${each === null ? 0 : 100 * Math.exp(each)}%` } })))));
    replace(facts,
      h("h3", {}, `token ${place}: ${token[NAME]}`),
      two ? h("p", { class: "lk-figures-line" }, `KL ${minus(token[KL], 3)} nats · `
        + `${differs(token) ? "another token is likeliest there" : "both hold the same token most likely"}`) : null,
      h("div", { class: "lk-columns" },
        side(0, token[LOGPROB], token[RANK], token[TOP], ` · entropy ${minus(token[ENTROPY])}`),
        two ? side(1, token[THERE][0], token[THERE][1], token[THERE][2], "") : null),
      h("p", { class: "lk-note" }, pinned ? "Held; Escape lets go. A button goes on from another token."
        : "A click holds this token. A button goes on from another token."));
    drawButtons(ui.state());
  }

  function drawButtons(state) {
    for (const one of facts.querySelectorAll(".lk-whatif")) one.disabled = state.busy;
  }

  /** Return both models' own answers, the first token that differs marked. */
  function own() {
    if (!first.own.length) return "";
    return h("div", { class: "lk-columns" }, first.own.map((one) => h("div", { class: "lk-card" },
      h("h3", {}, one.label),
      h("p", { class: "lk-text" }, one.tokens.flatMap((text, index) => (index === first.parts_at
        ? [h("strong", { class: "lk-flag" }, "⚑"), h("span", { class: "lk-token lk-parts" }, text)] : [text]))))));
  }
}
