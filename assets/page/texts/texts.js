// @ts-check
// A collection of texts: two scatter plots, filters, confusion matrices and a table, all of the same selection.
import { make, part } from "../shared/dom.js";
import { panel } from "../shared/panel.js";
/** @import { Collection } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const stage = part(element, ".af-texts");
  /** @param {Collection} collection */
  function draw(collection) {
    stage.replaceChildren();
    make("p", "af-note", collection.about, stage);
  }
  panel(gradio, stage, { draw });
}
