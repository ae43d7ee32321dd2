// @ts-check
// The guided tour of the radial view: each step shows a model and holds a selection.

import { make, part } from "../shared/dom.js";
/** @import { Selection, TourStep } from "../payloads.js" */
/** @import { View } from "./scene.js" */

/**
 * @param {HTMLElement} element the whole panel: what a step says stands under the rings, which must not move
 * @param {object} rings
 * @param {() => View} rings.view tells which models are shown
 * @param {(view: View, selection: Selection | null) => void} rings.show shows others
 */
export function tour(element, { view, show }) {
  const box = part(element, ".af-tour"), steps = part(box, "span"), text = part(element, ".af-tour-text");
  /** @type {View | null} */
  let before = null; // the view to go back to

  /** @param {TourStep[]} [tour] */
  function draw(tour = []) {
    before = null;
    steps.replaceChildren();
    text.textContent = "";
    tour.forEach((step, index) => {
      const button = make("button", "", `${index + 1}. ${step.title}`, steps);
      button.type = "button";
      button.addEventListener("click", () => {
        press(button);
        text.textContent = step.text;
        before ??= view();
        show(step.view, step.selection);
        box.scrollIntoView({ block: "nearest", behavior: "smooth" });
      });
    });
  }

  /** @param {HTMLElement | null} button */
  function press(button) {
    for (const other of steps.children) other.setAttribute("aria-pressed", String(other === button));
  }

  function end() {
    const back = before;
    before = null;
    press(null);
    text.textContent = "";
    if (back && back !== view()) show(back, null);
  }

  return { draw, end };
}
