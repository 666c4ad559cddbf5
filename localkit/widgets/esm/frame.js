// What every view stands in: errors, the frozen state, the way to the kernel.
// The part before this one defines `view(ui)`, which draws into `ui.root`.

export default {
  render({ model, el }) {
    const error = h("div", { class: "lk-error", role: "alert" });
    const root = h("div", { class: "lk-root" });
    const box = h("div", { class: "lk" }, error, root);
    el.append(box);

    const onState = [];
    const onMessage = [];
    const ui = {
      root,
      /** Return what the kernel says is so. */
      state: () => model.get("state"),
      /** Ask the kernel to do something. */
      send: (action, more = {}) => model.send({ do: action, ...more }),
      /** Call back now and whenever the state changes. */
      onState: (callback) => { onState.push(callback); },
      /** Call back with each message of the kernel. */
      onMessage: (callback) => { onMessage.push(callback); },
    };
    const draw = () => {
      const state = ui.state();
      error.textContent = state.error || "";
      error.hidden = !state.error;
      root.hidden = Boolean(state.frozen);
      if (!state.frozen) for (const callback of onState) callback(state);
    };
    const hear = (message) => { for (const callback of onMessage) callback(message); };
    if (!ui.state().frozen) view(ui);
    model.on("change:state", draw);
    model.on("msg:custom", hear);
    draw();
    return () => {
      model.off("change:state", draw);
      model.off("msg:custom", hear);
    };
  },
};
