// @ts-check
// The keyboard in the radial view: arrows walk words and rings, brackets choose a head, Enter holds, Shift and Enter add.

import * as select from "./selection.js";
/** @import { Selection } from "../payloads.js" */
/** @import { Scene } from "./scene.js" */

/**
 * The selections there are; the first that is set is shown.
 * @typedef {object} Selected
 * @property {Selection | null} brush
 * @property {Selection | null} hover
 * @property {Selection | null} cursor
 * @property {Selection | null} frozen
 */
/**
 * What the pointer and the keyboard need of the radial view.
 * @typedef {object} Rings
 * @property {Selected} selected
 * @property {() => Scene} scene
 * @property {() => void} show light what is selected
 * @property {(selection: Selection | null) => void} hold
 */

/** @type {Record<string, [outwards: number, along: number]>} */
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };

/**
 * @param {Scene} scene
 * @param {Selection} from
 * @param {1 | -1} way
 */
function nextHead(scene, { ends: [end], head }, way) {
  const { heads, last } = scene, { depth, tokens: [token] } = end;
  if (depth === last) return select.one(depth, token);
  const choices = heads + 1, next = ((head === null ? -1 : head) + 1 + way + choices) % choices - 1; // -1: all heads
  const chosen = next < 0 ? null : next;
  return scene.isRoot(end) ? scene.root(chosen) : select.one(depth, token, chosen);
}

/**
 * @param {Scene} scene
 * @param {Selection} from
 * @param {number} outwards
 * @param {number} along
 */
function step(scene, { ends: [end] }, outwards, along) {
  const { depth, tokens: [token] } = end;
  if (scene.isRoot(end)) return outwards > 0 ? select.one(0, scene.clockwise(0)[0]) : scene.root();
  if (scene.around && depth + outwards < 0) return scene.root();
  const target = Math.max(0, Math.min(scene.last, depth + outwards)), order = scene.clockwise(target);
  if (!order.length) return select.one(depth, token);
  if (target !== depth) return select.one(target, order[scene.nearest(target, scene.node(depth, token)?.angle ?? 0)]);
  return select.one(depth, order[(order.indexOf(token) + along + order.length) % order.length]);
}

/**
 * @param {HTMLElement} chart
 * @param {Rings} rings
 */
export function keyboard(chart, { selected, scene, show, hold }) {
  chart.addEventListener("keydown", (event) => {
    if (!scene() || event.altKey || event.ctrlKey || event.metaKey) return; // nothing is drawn yet, or the browser's own
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const chosen = selected.cursor;
      selected.cursor = null;
      if (chosen) hold(event.shiftKey && !scene().isRoot(chosen.ends[0]) ? select.extended(selected.frozen, chosen.ends[0].depth, chosen.ends[0].tokens[0]) : chosen);
      return;
    }
    const { frozen, cursor } = selected;
    const from = cursor ?? (frozen && frozen.ends.length === 1 ? frozen : scene().around ? scene().root() : select.one(0, scene().clockwise(0)[0]));
    if (event.key === "[" || event.key === "]") selected.cursor = nextHead(scene(), from, event.key === "]" ? 1 : -1);
    else if (MOVES[event.key]) selected.cursor = step(scene(), from, ...MOVES[event.key]);
    else return;
    event.preventDefault();
    selected.hover = null;
    show();
  });
  chart.addEventListener("blur", () => { selected.cursor = null; show(); });
}
