// @ts-check
// Both models' predictions as bars.
import { make, part, titled } from "../shared/dom.js";
import { number } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
/** @import { ClassScore, Prediction } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/** Classes of a model that are in sight at once. */
const FEW = 3;

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /**
   * @param {ClassScore} one
   * @param {Element} card
   */
  function line({ label, probability, score }, card) {
    const row = make("div", "af-class", undefined, card);
    make("span", "af-class-name", label, row).title = label;
    if (probability !== null) {
      const bar = make("span", "af-bar", undefined, row);
      make("span", "af-bar-fill", undefined, bar).style.width = `${100 * probability}%`;
      make("span", "af-value", `${number(100 * probability, 1)} %`, row).title = `score ${number(score, 3)}`;
    } else make("span", "af-value", number(score, 3), row);
  }

  /**
   * The decision, the likeliest classes, and behind one line all that is told of the model.
   * @param {Prediction[]} models
   * @param {HTMLElement} box
   */
  function draw(models, box) {
    box.replaceChildren();
    models.forEach((model, index) => {
      const card = make("section", `af-card af-model-${"ab"[index]}`, undefined, box), head = titled("ab"[index], model.name, card);
      const ranked = [...(model.classes ?? [])].sort((p, q) => q.score - p.score), [top] = ranked;
      if (top) make("strong", "af-decided", top.label, head).title = "The decision";
      else if (!model.classes) make("span", "af-decided af-undecided", "predicts no class", head);
      for (const one of ranked.slice(0, FEW)) line(one, card);
      const about = make("details", "af-about-model", undefined, card);
      make("summary", "", model.note || model.facts, about);
      make("p", "af-facts", model.facts, about);
      if (model.note) make("p", "af-note", model.note, about);
      for (const one of ranked.slice(FEW)) line(one, about);
      if (ranked.length > FEW) make("p", "af-facts", `${ranked.length} classes in all.`, about);
    });
  }
  panel(gradio, part(element, ".af-predictions"), { draw });
}
