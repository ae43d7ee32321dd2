// @ts-check
// What is known of the word and the head that are selected, whichever tab is open.
import { make, part, titled } from "../shared/dom.js";
import { headName } from "../shared/head.js";
import { unbroken } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
import { paint } from "../shared/picture.js";
/** @import { Details, DetailsHead, Head, Pruned } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const word = part(element, ".af-detail-word"), heads = part(element, ".af-detail-heads");

  /**
   * Switch the selected head of one model off or on; all others stay as they are.
   * @param {DetailsHead[]} sides
   * @param {DetailsHead} changed
   */
  function toggle(sides, changed) {
    /** @type {(side: DetailsHead) => Head[]} */
    const others = ({ pruned, head }) => pruned.filter(([layer, index]) => layer !== head?.[0] || index !== head?.[1]);
    /** @type {(side: DetailsHead | undefined) => Head[]} */
    const wanted = (side) => (!side ? [] : side !== changed || !side.head ? side.pruned : side.off ? others(side) : [...side.pruned, side.head]);
    /** @type {Pruned} */
    const pruned = { a: wanted(sides[0]), b: wanted(sides[1]) };
    gradio.trigger("prune", pruned);
  }

  /**
   * @param {DetailsHead[]} sides
   * @param {DetailsHead} one
   */
  function card(sides, one) {
    const section = make("section", `af-card af-detail-head af-model-${one.side}`, undefined, heads);
    titled(one.side, one.head ? headName(one.head) : "no such head", section).title = one.name;
    if (!one.head) { make("p", "af-note", one.absent, section); return; }
    const picture = make("canvas", "af-detail-map", undefined, section);
    paint(picture, one.size, one.size, one.pixels, one.side);
    picture.title = "Rows attend, columns are attended to; empty is a uniform share";
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `Attention of ${headName(one.head)}`);
    const list = make("ul", "af-detail-lines", undefined, section);
    for (const { query, key, share } of one.lines) make("li", "", `${query} → ${key} ${unbroken(share)}`, list);
    if (one.grammar) make("p", "af-note af-detail-grammar", unbroken(one.grammar), section);
    const without = make("p", "af-note", undefined, section);
    without.textContent = unbroken(one.without ?? "Measuring what changes without it …");
    const button = make("button", "af-detail-switch", one.off ? "Switch on" : "Switch off", section);
    button.type = "button";
    button.setAttribute("aria-label", `Switch ${one.off ? "on" : "off"} ${headName(one.head)} of ${one.side.toUpperCase()}`);
    button.addEventListener("click", () => { button.disabled = true; toggle(sides, one); });
  }

  /** @param {Details} details */
  function draw({ word: told, sides }) {
    word.textContent = unbroken(told || "Click a word or a head, in the rings or in a table.");
    heads.replaceChildren();
    for (const one of sides) card(sides, one);
  }
  panel(gradio, part(element, ".af-details"), { draw });
}
