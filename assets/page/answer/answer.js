// @ts-check
// What both models decide and what changes between them, in a few sentences.
import { part } from "../shared/dom.js";
import { unbroken } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
/** @import { Answer } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const said = part(element, ".af-said");
  /** @param {Answer} answer */
  function draw({ sentence }) {
    said.textContent = unbroken(sentence);
  }
  panel(gradio, part(element, ".af-answer"), { draw });
}
