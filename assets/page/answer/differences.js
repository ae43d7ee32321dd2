// @ts-check
// What differs between two models, in ranked tables; a row lights its word and head.
import { make, part, parts } from "../shared/dom.js";
import { panel } from "../shared/panel.js";
/** @import { DifferenceRow, DifferenceTable, Head, Lit } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const stage = part(element, ".af-tables");
  /**
   * A bar to the left for less in B and to the right for more, against the largest of its table; of rings, how far they differ.
   * @param {DifferenceTable["kind"]} kind
   * @param {number} change
   * @param {number} most
   * @param {Element} cell
   */
  function bar(kind, change, most, cell) {
    const track = make("span", "af-change-bar", undefined, cell);
    const fill = make("span", kind === "ring" ? "af-differs" : change < 0 ? "af-less" : "af-more", undefined, track);
    fill.style.setProperty("--share", `${most ? (50 * Math.abs(change)) / most : 0}%`);
  }
  /**
   * @param {DifferenceTable["kind"]} kind
   * @param {DifferenceRow} row
   * @param {number} most
   * @param {Element} body
   */
  function line(kind, { name, a, b, change, select }, most, body) {
    const tr = make("tr", "", undefined, body), head = make("th", "", undefined, tr);
    head.scope = "row";
    if (select) {
      const button = make("button", "af-lights", name.replace(/ sentence\)$/, ")"), head); // "(1st)" is short enough to be seen
      button.type = "button";
      button.title = `Light ${name} in the rings`;
      button.dataset.at = key(select.word, select.head);
      button.addEventListener("click", () => { press(button.dataset.at); gradio.trigger("select", select); });
    } else make("span", "", name, head);
    make("td", "", a, tr);
    make("td", "", b, tr);
    bar(kind, change, most, make("td", "", undefined, tr));
  }
  /**
   * @param {number | undefined} word
   * @param {Head | null | undefined} head
   */
  const key = (word, head) => `${word ?? ""} ${head ?? ""}`;
  /**
   * Mark the row of what is selected, wherever it was selected.
   * @param {string | undefined} at
   */
  function press(at) {
    for (const button of parts(stage, ".af-lights")) button.setAttribute("aria-pressed", String(button.dataset.at === at));
  }
  gradio.watch("selected", () => {
    /** @type {Lit | null} */
    const lit = gradio.props.selected;
    if (lit) press(key(lit.word, lit.head));
  });
  /** @param {DifferenceTable} table */
  function ranked({ kind, title, about, rows }) {
    const section = make("section", "af-ranked", undefined, stage), table = make("table", "", undefined, section);
    const caption = make("caption", "", undefined, table);
    make("strong", "", title, caption);
    make("span", "af-note", ` ${about}`, caption);
    const top = make("tr", "", undefined, make("thead", "", undefined, table));
    for (const name of kind === "ring" ? ["ring", "only A", "only B", "differs"] : [kind, "A", "B", "B less A"]) {
      make("th", "", name, top).scope = "col";
    }
    const body = make("tbody", "", undefined, table), most = Math.max(...rows.map((row) => Math.abs(row.change)));
    for (const row of rows) line(kind, row, most, body);
    if (!rows.length) make("td", "af-note", "Nothing differs.", make("tr", "", undefined, body)).colSpan = 4;
  }
  /** @param {DifferenceTable[]} tables */
  function draw(tables) {
    stage.replaceChildren();
    for (const table of tables) ranked(table);
  }
  panel(gradio, part(element, ".af-differences"), { draw });
}
