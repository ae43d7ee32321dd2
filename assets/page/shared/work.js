// @ts-check
// What a card waits for: a bar with what is done and what is left, a button that cancels it, and why nothing came of it.
import { make } from "./dom.js";
import { duration } from "./numbers.js";
/** @import { Work } from "../payloads.js" */

/**
 * A bar above the content of a card.
 * @param {HTMLElement} box the content
 * @param {() => void} cancel
 * @returns {(work: Work | null | undefined) => void} shows what is told
 */
export function bar(box, cancel) {
  /** @type {{ root: HTMLElement, said: HTMLElement, done: HTMLProgressElement, button: HTMLButtonElement } | null} */
  let made = null;
  function build() {
    const root = make("div", "af-work"), done = make("progress", "", undefined, root), said = make("p", "", undefined, root);
    const button = make("button", "af-work-cancel", "Cancel", root);
    button.type = "button";
    button.addEventListener("click", () => { button.disabled = true; cancel(); });
    box.before(root);
    return { root, said, done, button };
  }
  return (work) => {
    if (!work || work.state === "done") { made?.root.remove(); made = null; return; }
    const fresh = !made;
    made ??= build();
    const { root, said, done, button } = made, working = work.state === "working";
    root.dataset.state = work.state;
    done.hidden = button.hidden = !working;
    if (fresh || !working) button.disabled = false;
    done.setAttribute("aria-label", work.what);
    if (work.share === undefined) done.removeAttribute("value");
    else done.value = work.share;
    const rest = work.rest === undefined ? "" : ` · about ${duration(work.rest)} left`;
    said.textContent = working ? `${work.what} …${rest}` : work.what;
    if (working) said.removeAttribute("role"); // each step would be read aloud
    else said.setAttribute("role", work.state === "failed" ? "alert" : "status");
  };
}
