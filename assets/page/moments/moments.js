// @ts-check
// For each model that comes from a training, a slider over its checkpoints: another one is analysed as it is let go.
import { make, part, titled } from "../shared/dom.js";
import { panel } from "../shared/panel.js";
/** @import { ModelMoments, Side, TrainingMoment } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

const PAUSE = 350; // milliseconds after the last key until a checkpoint is asked for
/** @typedef {(model: ModelMoments, ask: (at: number) => void, line: HTMLElement) => void} More adds controls to the line of a model */

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
 * @param {(side: Side, moment: TrainingMoment) => void} chosen called with the checkpoint that is to be shown
 * @param {More} [more]
 * @returns {() => void} puts the sliders back to what is shown
 */
export function sliders(element, gradio, chosen, more = () => {}) {
  const stage = part(element, ".af-moments");
  /** @type {ModelMoments[]} */
  let shown = [];
  /**
   * @param {ModelMoments} model
   * @param {HTMLElement} box
   */
  function slider(model, box) {
    const { side, name, moments } = model, last = moments.length - 1;
    const row = make("div", `af-moment af-model-${side}`, undefined, box), line = make("label", "", undefined, row);
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
    /** @param {number} at */
    function ask(at) {
      if (at === before) return;
      before = at;
      chosen(side, moments[at]);
    }
    range.addEventListener("change", () => {
      clearTimeout(asked);
      asked = setTimeout(() => ask(Number(range.value)), PAUSE);
    });
    more(model, (at) => {
      range.value = String(at);
      show();
      ask(at);
    }, row);
  }

  /**
   * @param {ModelMoments[]} models
   * @param {HTMLElement} box
   */
  function draw(models, box) {
    const CONTROLS = "input, button", held = [...box.querySelectorAll(CONTROLS)].findIndex((one) => one === document.activeElement);
    shown = models;
    box.replaceChildren();
    for (const model of models) slider(model, box);
    const again = box.querySelectorAll(CONTROLS)[held];
    if (again instanceof HTMLElement) again.focus(); // who moves it by keys goes on
  }
  panel(gradio, stage, { draw, clear: (box) => box.replaceChildren() });
  return () => draw(shown, stage);
}

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  sliders(element, gradio, (side, { revision }) => gradio.trigger("analyse", { [`revision_${side}`]: revision }));
}
