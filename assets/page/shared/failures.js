// @ts-check
// What failed, told where it was asked for: Gradio shows it in a corner, for some seconds.

const LATER = 50; // milliseconds between looks for the message, which comes with the failure but not before it
const TRIES = 20;

/**
 * The sentence of the last failure as Markdown that shows it as it is.
 * @returns {Promise<string>}
 */
export async function told() {
  for (let i = 0; i < TRIES; i++) {
    const message = [...document.querySelectorAll('[data-testid="toast-text"]')].pop()?.textContent?.trim();
    if (message) return `⚠ ${message.replace(/[\\`*_{}[\]<>()#+.!|~$-]/g, "\\$&")}`;
    await new Promise((resolve) => setTimeout(resolve, LATER));
  }
  return "";
}
