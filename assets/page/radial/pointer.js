// @ts-check
// Mouse and touch in the radial view: hover, click, brush along a ring, pan, and what the pointer says of what it is on.

import { make } from "../shared/dom.js";
import * as select from "./selection.js";
/** @import { Selection } from "../payloads.js" */
/** @import { Point } from "./geometry.js" */
/** @import { Rings } from "./keyboard.js" */

/** @typedef {{ clientX: number, clientY: number, shiftKey: boolean }} Place of the pointer in the window */

/**
 * Listen to a chart; returns a function that takes the listeners off the window again.
 * @param {HTMLElement} chart
 * @param {HTMLElement} tip
 * @param {Rings} rings
 * @param {(event: Place) => Point | null} point where an event is in the scene, null before the first drawing
 * @param {(right: number, down: number) => void} pan
 */
export function pointer(chart, tip, { selected, scene, show, hold }, point, pan) {
  /** @type {Point | null} */
  let pressed = null;
  /** @type {{ clientX: number, clientY: number } | null} */
  let lastMove = null;
  /** @type {{ depth: number, token: number, base: Selection | null } | null} */
  let stroke = null; // where a brush started
  /** @type {{ clientX: number, clientY: number } | null} */
  let panned = null; // where what is shown was moved to last

  /** @param {Place} event */
  function at(event) {
    const where = point(event);
    return where && scene().at(...where, event.shiftKey);
  }

  /**
   * @param {Selection | null} found
   * @param {Place} event
   */
  function name(found, event) {
    tip.hidden = !found;
    chart.style.cursor = found ? "pointer" : "";
    if (!found) return;
    const { head, model, ends: [end] } = found, { text, piece, names } = scene().data, token = end.tokens[0], whole = scene().isRoot(end);
    const own = !whole && piece[token] !== text[token] ? `  (${piece[token]})` : "";
    tip.replaceChildren();
    make("strong", "", `${whole ? scene().rootNames(names).join(", ") : names[token]}${head === null ? "" : ` · H${head + 1}${model === null ? "" : ` of ${"AB"[model]}`}`}${own}`, tip);
    for (const fact of select.facts(found, null, scene())) make("div", "", fact, tip);
    const box = chart.getBoundingClientRect();
    const x = event.clientX - box.left, wide = tip.offsetWidth; // right of the pointer, or left of it where there is no room
    tip.style.left = `${x + 14 + wide <= box.width ? x + 14 : Math.max(0, x - 14 - wide)}px`;
    tip.style.top = `${event.clientY - box.top + 16}px`;
  }

  /** @param {Place} event */
  function hover(event) {
    const found = at(event);
    selected.cursor = null;
    name(found, event); // before painting: it asks for sizes
    if (select.encode(found) === select.encode(selected.hover)) return;
    selected.hover = found;
    show();
  }

  /** @param {PointerEvent} event */
  function press(event) {
    pressed = [event.clientX, event.clientY];
    const found = at(event);
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    if (!found) panned = { clientX: event.clientX, clientY: event.clientY };
    if (!found || found.head !== null || scene().isRoot(found.ends[0])) return;
    const { depth, tokens: [token] } = found.ends[0];
    stroke = { depth, token, base: event.shiftKey ? selected.frozen : null };
  }

  /**
   * @param {Place} event
   * @param {Point} from
   */
  const distance = (event, [x, y]) => Math.hypot(event.clientX - x, event.clientY - y);

  /** @param {Place} event */
  function drag(event) {
    if (panned) {
      if (!pressed || distance(event, pressed) <= 4) return;
      pan(event.clientX - panned.clientX, event.clientY - panned.clientY);
      panned = { clientX: event.clientX, clientY: event.clientY };
    } else brush(event);
  }

  /** @param {Place} event */
  function brush(event) {
    const where = point(event);
    if (!stroke || !pressed || !where || (!selected.brush && distance(event, pressed) <= 5)) return;
    const { depth, token, base } = stroke, end = { depth, tokens: scene().stretch(depth, token, Math.atan2(...where)) };
    const other = base?.ends.find((candidate) => candidate.depth !== depth);
    selected.brush = { ends: other ? [other, end] : [end], head: null, model: null };
    tip.hidden = true;
    show();
  }

  /** @param {PointerEvent} event */
  function release(event) {
    if (!pressed) return;
    const brushed = selected.brush, dragged = distance(event, pressed) > 4, target = event.target instanceof Element ? event.target : null;
    pressed = stroke = panned = selected.brush = null;
    if (brushed) { selected.hover = selected.frozen = null; hold(brushed); return; }
    if (dragged || !chart.contains(target)) return;
    selected.hover = null;
    chart.focus({ preventScroll: true });
    const found = at(event);
    hold(found && event.shiftKey && found.head === null && !scene().isRoot(found.ends[0]) ? select.extended(selected.frozen, found.ends[0].depth, found.ends[0].tokens[0]) : found);
  }

  /**
   * Shift over a split cell compares both models; Escape ends a brush.
   * @param {KeyboardEvent} event
   */
  function key(event) {
    if (event.key === "Escape") stroke = panned = null;
    if (event.key === "Shift" && lastMove && selected.hover && selected.hover.head !== null) hover({ ...lastMove, shiftKey: event.type === "keydown" });
  }

  chart.addEventListener("pointermove", (event) => {
    lastMove = { clientX: event.clientX, clientY: event.clientY };
    if (event.pointerType !== "touch" && !stroke && !panned && !event.buttons) hover(event);
  });
  chart.addEventListener("pointerleave", () => {
    if (stroke) return;
    selected.hover = null;
    tip.hidden = true;
    show();
  });
  chart.addEventListener("pointerdown", press, true);
  chart.addEventListener("mousedown", (event) => event.preventDefault()); // no text is selected by a drag
  const page = new AbortController(), { signal } = page;
  window.addEventListener("pointermove", drag, { signal });
  window.addEventListener("keydown", key, { signal });
  window.addEventListener("keyup", key, { signal });
  window.addEventListener("pointerup", release, { signal, capture: true });
  return () => page.abort();
}
