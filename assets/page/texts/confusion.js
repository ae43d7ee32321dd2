// @ts-check
// Confusion matrices of both models over what is filtered; each cell is a filter.
import { make, titled } from "../shared/dom.js";
import { number, percent } from "../shared/numbers.js";
import { counts } from "./columns.js";
import { holds, toggled } from "./filters.js";
import { button } from "./room.js";
/** @import { Decided } from "../payloads.js" */
/** @import { Column } from "./columns.js" */
/** @import { Acts, Room } from "./room.js" */

const MOST = 12; // classes in a matrix

/**
 * How many texts of each gold class the model decided to be of each class; `[gold, decision]`, row by row.
 * @param {Column} gold
 * @param {Column} decision
 * @param {Uint8Array} mask
 * @param {Uint8Array | null} selection
 */
export function confused(gold, decision, mask, selection) {
  const width = decision.kinds.length, cells = new Uint32Array(gold.kinds.length * width);
  let right = 0, all = 0;
  for (let row = 0; row < mask.length; row++) {
    if (!mask[row] || (selection && !selection[row])) continue;
    const is = gold.values[row], said = decision.values[row];
    if (is >= gold.kinds.length || said >= width) continue;
    cells[is * width + said]++;
    all++;
    if (gold.kinds[is] === decision.kinds[said]) right++;
  }
  return { cells, right, all };
}

/**
 * The classes that most texts are of, in their own order.
 * @param {Column} gold
 */
function classes(gold) {
  const found = counts(gold, null), kinds = [...gold.kinds.keys()];
  return kinds.sort((one, other) => found[other] - found[one]).slice(0, MOST).sort((one, other) => one - other);
}

/**
 * @param {Element} box
 * @param {Acts} acts
 */
export function confusion(box, acts) {
  const around = make("section", "af-tx-confusion", undefined, box);
  around.setAttribute("aria-label", "Confusion matrices");
  /**
   * @param {Decided} decided
   * @param {Room} room
   */
  function matrix({ side, gold: goldName, decision: decisionName }, { collection, columns, choices: { filters }, mask, selection }) {
    const gold = columns.get(goldName), decision = columns.get(decisionName);
    if (!gold || !decision) return;
    const { cells, right, all } = confused(gold, decision, mask, selection), rows = classes(gold), width = decision.kinds.length;
    const across = rows.map((kind) => decision.kinds.indexOf(gold.kinds[kind])).filter((kind) => kind >= 0);
    const card = make("div", `af-tx-matrix af-model-${side}`, undefined, around);
    const head = titled(side, collection.models["ab".indexOf(side)] ?? "", card);
    make("span", "af-tx-accuracy", all ? `accuracy ${percent(right / all, 1)} (${number(right, 0)} of ${number(all, 0)})` : "no labelled text is left", head);
    if (rows.length < gold.kinds.length) make("p", "af-tx-quiet", `The ${rows.length} most frequent of ${gold.kinds.length} classes.`, card);
    const table = make("table", "", undefined, make("div", "af-scroll", undefined, card));
    table.setAttribute("aria-label", `Labels and decisions of ${side.toUpperCase()}`);
    const top = make("tr", "", undefined, make("thead", "", undefined, table)), body = make("tbody", "", undefined, table);
    make("td", "", undefined, top);
    for (const kind of across) { const name = make("th", "", decision.kinds[kind], top); name.scope = "col"; name.title = decision.kinds[kind]; }
    const most = Math.max(1, ...cells);
    for (const is of rows) {
      const line = make("tr", "", undefined, body), name = make("th", "", gold.kinds[is], line);
      name.scope = "row";
      name.title = gold.kinds[is];
      for (const said of across) {
        const count = cells[is * width + said], asked = [{ column: goldName, kinds: [is] }, { column: decisionName, kinds: [said] }];
        const share = percent(all ? count / all : 0, 1), cell = make("td", "", undefined, line), press = button("", cell, () => acts.filter(toggled(filters, asked)));
        make("strong", "", number(count, 0), press);
        press.append(" "); // not seen, but heard
        make("span", "", share, press);
        press.style.setProperty("--share", `${(100 * count) / most}%`);
        press.setAttribute("aria-pressed", String(holds(filters, asked)));
        press.setAttribute("aria-label", `${number(count, 0)} ${share}: label ${gold.kinds[is]}, decided ${decision.kinds[said]}`);
        press.dataset.at = `${side} ${is} ${said}`;
      }
    }
  }
  return {
    /** @param {Room} room */
    show(room) {
      const held = document.activeElement instanceof HTMLElement && around.contains(document.activeElement) ? document.activeElement.dataset.at : undefined;
      around.replaceChildren();
      const { decided } = room.collection;
      if (decided.length) make("p", "af-tx-quiet af-tx-across", "Rows: the label; columns: what the model decides. Press a cell to filter.", around);
      for (const side of decided) matrix(side, room);
      if (!decided.length) make("p", "af-note", "No confusion matrices: the texts have no labels, or none that is a class of these models.", around);
      if (held) for (const press of around.querySelectorAll("button")) if (press.dataset.at === held) press.focus();
    },
  };
}
