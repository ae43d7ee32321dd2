// The keyboard in the radial view: arrows walk words and rings, brackets choose a head, Enter holds, Shift and Enter add.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { selection: select } = Attnflow;
  const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };

  function nextHead({ heads, last }, { ends: [{ depth, tokens: [token] }], head }, way) {
    if (depth === last) return select.one(depth, token);
    const choices = heads + 1, next = ((head === null ? -1 : head) + 1 + way + choices) % choices - 1; // -1: all heads
    return select.one(depth, token, next < 0 ? null : next);
  }

  function step(scene, { ends: [{ depth, tokens: [token] }] }, outwards, along) {
    const target = Math.max(0, Math.min(scene.last, depth + outwards)), order = scene.clockwise(target);
    if (!order.length) return select.one(depth, token);
    if (target !== depth) return select.one(target, order[scene.nearest(target, scene.node(depth, token)?.angle ?? 0)]);
    return select.one(depth, order[(order.indexOf(token) + along + order.length) % order.length]);
  }

  Attnflow.keyboard = (chart, { selected, scene, show, hold }) => {
    chart.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        const chosen = selected.cursor;
        selected.cursor = null;
        if (chosen) hold(event.shiftKey ? select.extended(selected.frozen, chosen.ends[0].depth, chosen.ends[0].tokens[0]) : chosen);
        return;
      }
      const { frozen, cursor } = selected;
      const from = cursor ?? (frozen && frozen.ends.length === 1 ? frozen : select.one(0, scene().clockwise(0)[0]));
      if (event.key === "[" || event.key === "]") selected.cursor = nextHead(scene(), from, event.key === "]" ? 1 : -1);
      else if (MOVES[event.key]) selected.cursor = step(scene(), from, ...MOVES[event.key]);
      else return;
      event.preventDefault();
      selected.hover = null;
      show();
    });
    chart.addEventListener("blur", () => { selected.cursor = null; show(); });
  };
})();
