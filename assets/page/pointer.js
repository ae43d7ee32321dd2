// Mouse and touch in the radial view: hover, click, brush along a ring, and the small name beside the pointer.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { selection: select } = Attnflow;

  /** Listen to a chart.  `selected` holds the selections; `point(event)` is where an event is in the scene, null before
   *  the first drawing.  Returns a function that takes the listeners off the window again. */
  Attnflow.pointer = (chart, tip, { selected, scene, point, show, hold }) => {
    let pressed = null, lastMove = null, stroke = null; // stroke: where a brush started

    function at(event) {
      const where = point(event);
      return where && scene().at(...where, event.shiftKey);
    }

    function name(found, event) {
      tip.hidden = !found;
      chart.style.cursor = found ? "pointer" : "";
      if (!found) return;
      const { head, model, ends: [{ tokens: [token] }] } = found, { text, piece } = scene().data;
      const whole = piece[token] !== text[token] ? `  (${piece[token]})` : "";
      tip.textContent = `${text[token]}${head === null ? "" : ` · H${head + 1}${model === null ? "" : ` of ${"AB"[model]}`}`}${whole}`;
      const box = chart.getBoundingClientRect();
      tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 4)}px`;
      tip.style.top = `${event.clientY - box.top + 16}px`;
    }

    function hover(event) {
      const found = at(event);
      selected.cursor = null;
      name(found, event); // before painting: it asks for sizes
      if (select.encode(found) === select.encode(selected.hover)) return;
      selected.hover = found;
      show();
    }

    function press(event) {
      pressed = [event.clientX, event.clientY];
      const found = at(event);
      if (!found || found.head !== null || event.pointerType !== "mouse" || event.button !== 0) return;
      const { depth, tokens: [token] } = found.ends[0];
      stroke = { depth, token, base: event.shiftKey ? selected.frozen : null };
    }

    const moved = (event, pixels) => Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > pixels;

    function brush(event) {
      if (!selected.brush && !moved(event, 5)) return;
      const end = { depth: stroke.depth, tokens: scene().stretch(stroke.depth, stroke.token, Math.atan2(...point(event))) };
      const other = stroke.base?.ends.find(({ depth }) => depth !== stroke.depth);
      selected.brush = { ends: other ? [other, end] : [end], head: null, model: null };
      tip.hidden = true;
      show();
    }

    function release(event) {
      if (!pressed) return;
      const brushed = selected.brush, dragged = moved(event, 4);
      pressed = stroke = selected.brush = null;
      if (brushed) { selected.hover = selected.frozen = null; hold(brushed); return; }
      if (dragged || event.target.closest?.(".modebar") || !(chart.contains(event.target) || event.target.closest?.(".dragcover"))) return;
      selected.hover = null;
      chart.focus({ preventScroll: true });
      const found = at(event);
      hold(found && event.shiftKey && found.head === null ? select.extended(selected.frozen, found.ends[0].depth, found.ends[0].tokens[0]) : found);
    }

    /** Shift over a split cell compares both models; Escape ends a brush. */
    function key(event) {
      if (event.key === "Escape") stroke = null;
      if (event.key === "Shift" && lastMove && selected.hover && selected.hover.head !== null) hover({ ...lastMove, shiftKey: event.type === "keydown" });
    }

    chart.addEventListener("pointermove", (event) => {
      lastMove = { clientX: event.clientX, clientY: event.clientY };
      if (event.pointerType !== "touch" && !stroke && !event.buttons) hover(event);
    });
    chart.addEventListener("pointerleave", () => {
      if (stroke) return;
      selected.hover = null;
      tip.hidden = true;
      show();
    });
    chart.addEventListener("pointerdown", press, true);
    // A press on a word starts a brush; elsewhere Plotly pans.
    chart.addEventListener("mousedown", (event) => { if (stroke) event.stopPropagation(); }, true);
    const page = [["pointermove", (event) => { if (stroke) brush(event); }], ["keydown", key], ["keyup", key], ["pointerup", release, true]];
    for (const listener of page) window.addEventListener(...listener);
    return () => { for (const listener of page) window.removeEventListener(...listener); };
  };
})();
