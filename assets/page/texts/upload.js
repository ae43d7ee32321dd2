// @ts-check
// A file of the visitor's own in the place of a data set: sent when it is chosen, and told to Python by what the server calls it.
import { make, part } from "../shared/dom.js";
import { panel } from "../shared/panel.js";
/** @import { FileAsked } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * A size as people say it.
 * @param {number} bytes
 */
export const sized = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const box = part(element, ".af-file"), label = make("label", "af-file-choice", undefined, box);
  make("span", "", "or a file of yours", label);
  const input = make("input", "", undefined, label), said = make("p", "af-tx-quiet", undefined, box);
  input.type = "file";
  said.role = "status";
  let most = 0, round = 0;
  /** @param {FileAsked} asked */
  function draw(asked) {
    most = asked.most;
    input.accept = asked.ends.join(",");
    if (!said.textContent) said.textContent = asked.told;
  }
  /** @param {File} file */
  async function send(file) {
    const now = ++round;
    if (!file.size) return `${file.name} is empty; choose a file with texts.`;
    if (file.size > most) return `${file.name} has ${sized(file.size)}, and at most ${sized(most)} are taken; send fewer texts, or put it on the Hub and name it.`;
    said.textContent = `${file.name} is being sent …`;
    const body = new FormData();
    body.append("files", file);
    const answer = await fetch(new URL("gradio_api/upload", document.baseURI), { method: "POST", body });
    const told = await answer.json();
    if (!answer.ok) return told.detail;
    if (now !== round) return said.textContent; // another one was chosen
    gradio.trigger("sent", { called: told[0] });
    return `${file.name} (${sized(file.size)}) is here, for this page alone. Press Read them with both models.`;
  }
  input.addEventListener("change", async () => {
    const [file] = input.files ?? [];
    if (!file) return;
    said.textContent = await send(file).catch(() => `${file.name} could not be sent; see that it is still there, and choose it again.`);
    input.value = ""; // the same file can be chosen again
  });
  panel(gradio, box, { draw });
}
