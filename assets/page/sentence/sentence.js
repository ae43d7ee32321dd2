// @ts-check
// The sentences with influence circles over their words, for a layer that the reader chooses.
import { make, part, parts } from "../shared/dom.js";
import * as link from "../shared/link.js";
import { number } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
import { spread } from "../shared/words.js";
import { changes } from "./change.js";
/** @import { SentenceFigure, SentenceModel } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /** @type {HTMLInputElement} */
  const slider = part(element, "input");
  const layerName = part(element, "output"), text = part(element, ".af-text"), note = part(element, ".af-note");
  /** @type {SentenceFigure | null} */
  let shown = null;
  /** @type {string} */
  let side = ["a", "b"].find((one) => one === link.get("influence")) ?? "both";

  /**
   * Layers are chosen by their distance from the root, so that models of different depth are aligned there.
   * @param {SentenceModel} model
   */
  const layerOf = (model) => model.layers - 1 - (Number(slider.max) - Number(slider.value));

  /** @param {SentenceFigure} data */
  function words(data) {
    text.replaceChildren();
    spread(data, text, (name, index, word) => {
      const can = Boolean(data.spans[index]), unit = make(can ? "button" : "span", data.sentence[index] < 0 ? "af-unit af-special" : "af-unit", undefined, word);
      const values = data.models.map((model) => model.influence[layerOf(model)]?.[index] ?? null);
      const circles = make("span", "af-circles", undefined, unit);
      circles.setAttribute("aria-hidden", "true");
      const [a, b] = values.map((value) => Math.min(5, Math.ceil(value ?? 0)));
      const shared = side === "both" ? Math.min(a, b ?? 0) : 0;
      const own = side === "a" || (side === "both" && !(b > a)) ? "a" : "b";
      const most = side === "a" ? a : side === "b" ? b : Math.max(a, b ?? 0);
      for (let i = 0; i < most; i++) make("i", `af-dot af-${i < shared ? "ab" : own}`, undefined, circles);
      make("span", "af-token", name, unit);
      const told = values.map((value, i) => value === null ? null : `${"AB"[i]} ${number(value)}`).filter(Boolean).join(", ");
      unit.title = `${data.names[index]}: influence ${told} heads`;
      unit.setAttribute("aria-label", unit.title);
      if (unit instanceof HTMLButtonElement) {
        unit.type = "button";
        unit.setAttribute("aria-haspopup", "dialog");
        unit.addEventListener("click", () => changing.open(index, unit));
      } else unit.setAttribute("role", "img");
    });
    const layers = data.models.map((model, i) => /** @type {const} */ ([i, layerOf(model)])).filter(([, layer]) => layer >= 0);
    const same = new Set(data.models.map((model) => model.layers)).size === 1;
    layerName.textContent = same ? `L${layers[0][1] + 1}` : layers.map(([i, layer]) => `${"AB"[i]} L${layer + 1}`).join(" · ");
    const last = slider.value === slider.max;
    const several = data.models.some((model) => model.root.length > 1) ? "; where several tokens are read, the heads of each count" : "";
    note.textContent = last
      ? `Circles: heads of the last layer that attend from the decision to the word, at most five${several}.`
      : `Circles: influence on the decision from ${layerName.textContent} on, in heads, later layers counting more; rounded up, at most five.`;
  }

  const changing = changes(part(element, ".af-sentence"), gradio.trigger);
  gradio.watch("failed", changing.fail);

  /** @param {SentenceFigure} data */
  function draw(data) {
    changing.receive(data);
    const layers = Math.max(...data.models.map((model) => model.layers));
    const back = shown ? Number(slider.max) - Number(slider.value) : Number(link.get("back")) || 0; // keep the distance from the root
    slider.max = String(layers);
    slider.value = String(Math.max(1, layers - back));
    shown = data;
    words(data);
  }
  slider.addEventListener("input", () => {
    link.set({ back: Number(slider.max) - Number(slider.value) || "" });
    if (shown) words(shown);
  });
  const sides = parts(element, "[data-side]");
  for (const button of sides) {
    button.setAttribute("aria-pressed", String(button.dataset.side === side));
    button.addEventListener("click", () => {
      side = button.dataset.side ?? "both";
      for (const other of sides) other.setAttribute("aria-pressed", String(other === button));
      link.set({ influence: side === "both" ? "" : side });
      if (shown) words(shown);
    });
  }
  panel(gradio, part(element, ".af-sentence"), { draw, redraw: words });
}
