// @ts-check
// The sliders above the map of texts: another moment is read as one is let go, or one after the other by a button.
import { make } from "../shared/dom.js";
import { sliders } from "./moments.js";
/** @import { Side } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

const RESTING = 1800; // ms at a moment, while points move to it, until the next one is read

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /** @type {Side | ""} the model that goes through its training by itself */
  let playing = "";
  let next = 0; // timer
  const back = sliders(
    element, gradio,
    (side, { revision }) => gradio.trigger("read", { side, revision }),
    ({ side, moments, at }, ask, line) => {
      const button = make("button", "af-tx-button", undefined, line), last = moments.length - 1;
      button.type = "button";
      function label() {
        const on = playing === side;
        button.textContent = on ? "Stop" : "Play";
        button.title = on ? "Stay at this moment" : "Go through all moments of this training, first to last";
        button.setAttribute("aria-label", `${button.textContent} the training of model ${side.toUpperCase()}`);
      }
      if (playing === side && at === last) playing = ""; // it has arrived
      label();
      button.addEventListener("click", () => {
        clearTimeout(next);
        playing = playing === side ? "" : side;
        if (playing) ask(at === null || at === last ? 0 : at + 1);
        label();
      });
      if (playing !== side) return;
      clearTimeout(next);
      next = setTimeout(() => { if (playing === side && line.isConnected) ask((at ?? -1) + 1); }, RESTING);
    },
  );
  gradio.watch("stopped", () => {
    playing = "";
    clearTimeout(next);
    back();
  });
}
