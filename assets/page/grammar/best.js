// @ts-check
// The table of the best heads, and the file of it.
import { make, part } from "../shared/dom.js";
import * as link from "../shared/link.js";
import { panel } from "../shared/panel.js";
import { download } from "../radial/save.js";
import { button } from "../texts/room.js";
import { written } from "./cells.js";
import { table as tableOf } from "./table.js";
/** @import { GrammarBest, GrammarCell, GrammarFile } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const box = part(element, ".af-grammar"), tools = make("div", "af-toolbar", undefined, box);
  make("h3", "af-title", "The best head of each relation", tools);
  button("Save as CSV", tools, () => gradio.trigger("keep", {}));
  make("p", "af-note", "The bar is the share of governors found in held-out sentences, its line the 95 % interval, its tick what the best fixed offset finds. Press a heading to sort, a row to see what its head does.", box);
  let key = "";
  const notes = make("div", "", undefined, box);
  const table = tableOf(box, ({ side, relation, head }) => {
    /** @type {GrammarCell} */
    const cell = { key, side, relation, head };
    link.set({ relation, cell: written(cell) });
    table.mark(cell);
    gradio.trigger("cell", cell);
  });
  /** @returns {GrammarCell | null} */
  const chosen = () => gradio.props.chosen ?? null;
  gradio.watch("chosen", () => table.mark(chosen()));
  let saved = 0; // when the file that was saved last was made
  gradio.watch("download", () => {
    /** @type {GrammarFile | null | undefined} */
    const file = gradio.props.download;
    if (!file || file.at === saved) return;
    saved = file.at;
    download(file.name, file.text);
  });
  panel(gradio, box, {
    /** @param {GrammarBest} best */
    draw(best) { key = best.key; notes.replaceChildren(...best.notes.map((text) => make("p", "af-note", text))); table.show(best, chosen()); },
  });
}
