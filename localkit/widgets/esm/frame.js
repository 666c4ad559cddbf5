// What every view stands in: errors, the frozen state, the way to the kernel.
// The part before this one defines `view(ui)`, which draws into `ui.root`.

export default {
  render({ model, el }) {
    const error = h("div", { class: "lk-error", role: "alert" });
    const root = h("div", { class: "lk-root" });
    // JupyterLab would take Enter on a button for "edit the cell".
    const box = h("div", { class: "lk", "data-lm-suppress-shortcuts": "true" }, error, root);
    el.append(box);

    const onState = [];
    const onMessage = [];
    const onClose = [];
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
      /** Call back when this view is taken out of the page; a closed tab says nothing. */
      onClose: (callback) => { onClose.push(callback); },
    };
    let isBuilt = false;
    const draw = () => {
      const state = ui.state();
      error.textContent = state.error || "";
      error.hidden = !state.error;
      root.hidden = Boolean(state.frozen);
      if (state.frozen) return;
      if (!isBuilt) { isBuilt = true; view(ui); }  // a frozen one may be shown again
      for (const callback of onState) callback(state);
    };
    const hear = (message) => { for (const callback of onMessage) callback(message); };
    model.on("change:state", draw);
    model.on("msg:custom", hear);
    draw();
    return () => {
      for (const callback of onClose) callback();
      model.off("change:state", draw);
      model.off("msg:custom", hear);
    };
  },
};
