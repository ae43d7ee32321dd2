// @ts-check
// What switching heads off changed: each class before and after, and the words whose influence is another.
import { make, part, titled } from "../shared/dom.js";
import { number, percent } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
import { unseen } from "../shared/words.js";
/** @import { Effect } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const stage = part(element, ".af-effects");
  /**
   * @param {number} value
   * @param {Effect["unit"]} unit
   */
  const amount = (value, unit) => (unit === "probability" ? percent(value, 1) : number(value, 3));
  /** @param {Effect[]} models */
  function draw(models) {
    stage.replaceChildren();
    for (const model of models) {
      const card = make("section", `af-card af-model-${model.side}`, undefined, stage);
      titled(model.side, model.name, card);
      if (!model.removed) { make("p", "af-note", "All heads are on. Press × on a head to see what changes without it.", card); continue; }
      const heads = model.removed === 1 ? "1 head" : `${model.removed} heads`;
      make("p", "af-facts", `Without ${heads}: the embedding of the token that is read moves by ${percent(model.shift, 1)} of its length.`, card);
      for (const { label, before, after } of model.classes) {
        const row = make("div", "af-change", undefined, card);
        make("span", "af-class-name", unseen(label) || label, row).title = label;
        const change = after - before;
        make("span", "af-value", `${amount(before, model.unit)} → ${amount(after, model.unit)}`, row);
        const points = model.unit === "probability" ? number(Math.abs(100 * change), 1) : number(Math.abs(change), 3);
        const told = points === "0" ? (change ? "hardly a change" : "no change") : `${change < 0 ? "▼ −" : "▲ +"}${points}${model.unit === "probability" ? " points" : ""}`;
        make("span", `af-delta af-${points === "0" ? "same" : change < 0 ? "down" : "up"}`, told, row);
      }
      if (model.note) make("p", "af-note", model.note, card);
      const strip = make("p", "af-words", undefined, card), most = Math.max(...model.text.map((_, i) => Math.abs(model.after[i] - model.before[i])));
      model.text.forEach((text, index) => {
        const change = model.after[index] - model.before[index];
        const word = make("bdi", `af-chip af-${change < 0 ? "down" : "up"}`, text, strip);
        word.style.setProperty("--share", String(most ? Math.abs(change) / most : 0));
        word.title = `${model.names[index]}: influence ${number(model.before[index])} → ${number(model.after[index])} heads`;
      });
      const changed = model.text.filter((_, index) => model.after[index] !== model.before[index]).length;
      make("p", "af-note", changed ? "Colour: words with more (▲, blue) or less (▼, red) influence on the decision than before." : "No word's influence changed.", card);
    }
  }
  panel(gradio, part(element, ".af-prune-effect"), { draw });
}
