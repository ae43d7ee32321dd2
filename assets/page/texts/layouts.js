// @ts-check
// Where the points lie, as Python answers it; each layout is asked for once and kept.
import { floats } from "./columns.js";
import { framed } from "./points.js";
import { later } from "./room.js";
/** @import { Collection, Layout, LayoutOf, Unlaid } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */
/** @import { Behaviour, Hidden } from "./choices.js" */

/** @typedef {Omit<Layout, "points" | "preserved"> & { points: Float32Array, preserved: Float32Array }} Laid `points` in the square from -1 to 1 */

const PAUSE = 150; // ms: a slider that moves on asks for nothing
const APART = 1000; // ms: answers in one frame would overwrite each other, so the next is asked when one is here, or after that
const MOST = 80; // layouts that are kept


/**
 * @param {Gradio} gradio
 * @param {() => void} arrived
 */
export function layouts({ props, trigger, watch }, arrived) {
  /** @type {Map<string, Laid>} */
  const kept = new Map();
  let collection = "";
  /** @type {string[]} of each model what tells its layouts from others */
  let models = [];
  /** @param {{ side: string, of: string, layer?: number, method: string }} choice */
  const keyOf = ({ side, of, layer = 0, method }) => `${models["ab".indexOf(side)]} ${of} ${layer} ${method}`;
  /** @type {(LayoutOf | null)[]} of each plot what is to be asked for */
  const next = [null, null];
  let sent = -APART, retry = 0;
  function send() {
    const plot = next.findIndex(Boolean), wait = sent + APART - performance.now();
    clearTimeout(retry);
    if (plot < 0) return;
    if (wait > 0) { retry = setTimeout(send, wait); return; }
    trigger("layout", /** @type {LayoutOf} */ (next[plot]));
    next[plot] = null;
    sent = performance.now();
    send();
  }
  const ask = [0, 1].map((plot) => later(PAUSE, (/** @type {LayoutOf} */ asked) => { next[plot] = asked; send(); }));
  /** @type {[string, string]} */
  const awaited = ["", ""];
  /** @type {[string, string]} */
  const refused = ["", ""]; // why a plot gets no layout, until it is to show another one
  watch("layout", () => {
    /** @type {Layout | null | undefined} */
    const layout = props.layout;
    if (!layout || layout.key !== collection) return;
    sent = -APART;
    send();
    const key = keyOf(layout);
    kept.set(key, { ...layout, points: framed(floats(layout.points)), preserved: floats(layout.preserved) });
    for (const first of kept.keys()) if (kept.size > MOST) kept.delete(first);
    awaited.forEach((name, plot) => { if (name === key) awaited[plot] = ""; });
    arrived();
  });
  watch("unlaid", () => {
    /** @type {Unlaid | null | undefined} */
    const unlaid = props.unlaid;
    if (!unlaid || unlaid.key !== collection) return;
    sent = -APART;
    send();
    awaited.forEach((name, plot) => { if (name === keyOf(unlaid)) refused[plot] = unlaid.why; });
    arrived();
  });
  return {
    /** @param {Collection} of another one @param {boolean} same whether its texts are those of before: what is kept of them may come back */
    reset({ key, layouts }, same) {
      collection = key;
      models = layouts;
      if (!same) kept.clear();
      awaited.fill("");
      refused.fill("");
      next.fill(null);
    },
    /**
     * A layout, or null: it is then asked for, and `arrived` is called when it is there.
     * @param {0 | 1} plot
     * @param {Hidden | Behaviour} choice
     */
    want(plot, choice) {
      const key = keyOf(choice), found = kept.get(key);
      if (found || awaited[plot] !== key) refused[plot] = "";
      if (found) { awaited[plot] = ""; return found; }
      if (awaited[plot] !== key && !awaited.some((name, other) => name === key && !refused[other])) ask[plot]({ key: collection, plot, side: choice.side, of: choice.of, layer: choice.of === "hidden" ? choice.layer : 0, method: choice.method });
      awaited[plot] = key;
      return null;
    },
    /** Why there is no layout for a plot; empty while it is awaited. @param {0 | 1} plot */
    why: (plot) => refused[plot],
  };
}
