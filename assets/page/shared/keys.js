// @ts-check
// Keys of the whole page.

/** Ctrl (or Cmd) and Enter in a text box press a button. */
export function analyseWithEnter(/** @type {string} */ button) {
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !(target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement)) return;
    event.preventDefault();
    target.blur(); // the page then has what was typed
    setTimeout(() => document.getElementById(button)?.click());
  });
}
