// @ts-check
// For each model that comes from a training, a slider over its checkpoints: another one is analysed as it is let go.
import { make, part, titled } from "../shared/dom.js";
import { panel } from "../shared/panel.js";
/** @import { ModelMoments } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

const PAUSE = 350; // milliseconds after the last key until a checkpoint is asked for

/**
 * What is said of a place on the slider.
 * @param {ModelMoments} model
 * @param {number | null} at
 */
export function told({ moments }, at) {
  return at === null ? "another revision" : `${moments[at].label} (${at + 1} of ${moments.length})`;
}

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /**
   * @param {ModelMoments} model
   * @param {HTMLElement} box
   */
  function slider(model, box) {
    const { side, name, moments } = model, last = moments.length - 1;
    const line = make("label", `af-moment af-model-${side}`, undefined, box);
    titled(side, "training", line).title = name;
    const range = make("input", "", undefined, line), said = make("output", "", told(model, model.at), line);
    let asked = 0, before = model.at;
    Object.assign(range, { type: "range", min: "0", max: String(last), step: "1", value: String(model.at ?? last) });
    range.setAttribute("aria-label", `Checkpoint of the training of model ${side.toUpperCase()}`);
    const show = () => {
      said.textContent = told(model, Number(range.value));
      range.setAttribute("aria-valuetext", said.textContent);
    };
    range.setAttribute("aria-valuetext", said.textContent ?? "");
    range.addEventListener("input", show);
    range.addEventListener("change", () => {
      clearTimeout(asked);
      asked = setTimeout(() => {
        const at = Number(range.value);
        if (at === before) return;
        before = at;
        gradio.trigger("analyse", { [`revision_${side}`]: moments[at].revision });
      }, PAUSE);
    });
  }

  /**
   * @param {ModelMoments[]} models
   * @param {HTMLElement} box
   */
  function draw(models, box) {
    const held = box.contains(document.activeElement) ? [...box.querySelectorAll("input")].findIndex((one) => one === document.activeElement) : -1;
    box.replaceChildren();
    for (const model of models) slider(model, box);
    box.querySelectorAll("input")[held]?.focus(); // who moves it by keys goes on
  }
  panel(gradio, part(element, ".af-moments"), { draw, clear: (box) => box.replaceChildren() });
}
