// @ts-check
// Both models' predictions as bars.
import { make, part, titled } from "../shared/dom.js";
import { number } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
/** @import { Prediction } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /**
   * @param {Prediction[]} models
   * @param {HTMLElement} box
   */
  function draw(models, box) {
    box.replaceChildren();
    models.forEach((model, index) => {
      const card = make("section", `af-card af-model-${"ab"[index]}`, undefined, box);
      titled("ab"[index], model.name, card);
      make("p", "af-facts", model.facts, card).title = model.facts;
      for (const { label, probability, score } of model.classes ?? []) {
        const row = make("div", "af-class", undefined, card);
        make("span", "af-class-name", label, row).title = label;
        if (probability !== null) {
          const bar = make("span", "af-bar", undefined, row);
          make("span", "af-bar-fill", undefined, bar).style.width = `${100 * probability}%`;
          make("span", "af-value", `${number(100 * probability, 1)} %`, row).title = `score ${number(score, 3)}`;
        } else make("span", "af-value", number(score, 3), row);
      }
      if (model.note) make("p", "af-note", model.note, card);
    });
  }
  panel(gradio, part(element, ".af-predictions"), { draw });
}
