// @ts-check
// A sentence about what the cards below it show; the bar of what they wait for stands above it.
import { part } from "../shared/dom.js";
import { panel } from "../shared/panel.js";
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const said = part(element, ".af-said");
  panel(gradio, part(element, ".af-told"), {
    draw(/** @type {string} */ sentence) { said.textContent = sentence; },
    clear() { said.textContent = ""; },
  });
}
