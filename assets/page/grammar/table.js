// @ts-check
// The best head and the best offset of each relation, sorted by any column.
import { make } from "../shared/dom.js";
import { headName } from "../shared/head.js";
import { number, percent } from "../shared/numbers.js";
import { chance, interval, signed, sorted } from "./cells.js";
/** @import { GrammarBest, GrammarCell, GrammarRow } from "../payloads.js" */
/** @import { By } from "./cells.js" */

/** Columns that stand there always, and those that are asked for. */
const COLUMNS = /** @type {[By, string, string][]} */ ([
  ["relation", "Relation", "What the tree calls it"], ["side", "Model", ""], ["n", "Cases", "Words that have this relation"],
  ["head", "Best head", "The head that finds most governors"],
  ["held_out", "Held out", "Chosen on one half of the sentences and scored on the other; the bar is the share, the line its 95 % interval, the tick the best offset"],
  ["offset", "Best offset", "Always the word so many places ahead (+) or back (−), held out likewise"],
  ["lead", "Lead", "How much more the head finds than the offset"],
  ["random", "Random weights", "The best head of the same architecture before any training, held out likewise"],
  ["compared", "A − B", "How many points more A finds than B on words that both read, and how likely that is by chance"],
  ["paper", "Paper’s way · offset", "Head and offset chosen on all sentences and scored on all, as Clark et al. did: of so many, the best looks better than it is"],
]);

/**
 * @param {HTMLElement} box
 * @param {(row: GrammarRow) => void} pick
 */
export function table(box, pick) {
  const scroll = make("div", "af-gr-table", undefined, box), grid = make("table", "", undefined, scroll);
  scroll.tabIndex = 0;
  scroll.role = "region";
  scroll.setAttribute("aria-label", "Best head of each relation");
  const head = make("tr", "", undefined, make("thead", "", undefined, grid)), body = make("tbody", "", undefined, grid);
  /** @type {{ by: By | "", descending: boolean }} */
  let order = { by: "", descending: false };
  /** @type {GrammarBest | null} */
  let data = null;
  /** @type {GrammarCell | null} */
  let chosen = null;
  /** @param {By} by */
  const shown = (by) => (by !== "random" && by !== "compared") || Boolean(data?.[by]);
  for (const [by, text, title] of COLUMNS) {
    const cell = make("th", "", undefined, head), press = make("button", "", text, cell);
    cell.scope = "col";
    press.type = "button";
    if (title) press.title = title;
    press.addEventListener("click", () => {
      order = { by, descending: order.by === by ? !order.descending : by !== "relation" && by !== "side" && by !== "head" };
      fill();
    });
  }
  /** @param {GrammarRow} row @param {HTMLElement} cell */
  function bar({ held_out: share, offset_held_out: offset, random }, cell) {
    const track = make("span", "af-gr-bar", undefined, cell);
    track.setAttribute("aria-hidden", "true");
    track.style.setProperty("--share", percentOf(share.share));
    track.style.setProperty("--low", percentOf(share.low));
    track.style.setProperty("--high", percentOf(share.high));
    track.style.setProperty("--offset", percentOf(offset.share));
    if (random) track.style.setProperty("--random", percentOf(random.share));
    for (const name of ["fill", "whisker", "tick", ...(random ? ["random"] : [])]) make("span", `af-gr-${name}`, undefined, track);
  }
  /** @param {number} share */
  const percentOf = (share) => `${100 * share}%`;

  function fill() {
    if (!data) return;
    [...head.children].forEach((cell, place) => {
      const on = COLUMNS[place][0] === order.by;
      /** @type {HTMLElement} */ (cell).hidden = !shown(COLUMNS[place][0]);
      cell.ariaSort = on ? (order.descending ? "descending" : "ascending") : "none";
      cell.classList.toggle("af-gr-up", on && !order.descending);
      cell.classList.toggle("af-gr-down", on && order.descending);
    });
    const held = document.activeElement instanceof HTMLElement && body.contains(document.activeElement) ? document.activeElement.dataset.row : undefined;
    body.replaceChildren();
    for (const row of sorted(data.rows, order.by, order.descending)) line(row, data.least);
    if (held) /** @type {HTMLElement | null} */ (body.querySelector(`[data-row="${CSS.escape(held)}"]`))?.focus({ preventScroll: true });
  }
  /** @param {GrammarRow} row @param {number} least */
  function line(row, least) {
    const line = make("tr", `af-model-${row.side}${row.n < least ? " af-gr-few" : ""}`, undefined, body);
    const name = make("th", "", row.relation, line);
    name.scope = "row";
    name.title = `finds ${row.finds}`;
    make("span", "af-badge", row.side.toUpperCase(), make("td", "", undefined, line));
    make("td", "af-gr-number", number(row.n, 0), line);
    const press = make("button", "af-gr-head", headName(row.head), make("td", "", undefined, line));
    press.type = "button";
    press.title = row.direction;
    press.dataset.row = `${row.side} ${row.relation}`;
    press.setAttribute("aria-pressed", String(isChosen(row)));
    press.setAttribute("aria-label", `${headName(row.head)} of ${row.side.toUpperCase()} for ${row.relation}`);
    line.classList.toggle("af-gr-on", isChosen(row));
    const share = make("td", "af-gr-share", undefined, line);
    bar(row, share);
    make("span", "af-gr-number", percent(row.held_out.share, 1), share);
    share.title = interval(row.held_out);
    make("td", "af-gr-number", `${stepped(row.offset)} · ${percent(row.offset_held_out.share, 1)}`, line).title = interval(row.offset_held_out);
    const lead = row.held_out.share - row.offset_held_out.share;
    make("td", `af-gr-number${lead > 0 ? " af-gr-leads" : ""}`, signed(100 * lead), line);
    if (shown("random")) {
      const cell = make("td", "af-gr-number", row.random ? percent(row.random.share, 1) : "–", line);
      if (row.random) cell.title = interval(row.random);
    }
    if (shown("compared")) {
      const of = row.compared;
      make("td", `af-gr-number${of?.differs ? " af-gr-leads" : ""}`, of ? `${signed(of.points)} · ${chance(of)}` : "–", line).title = of ? `p = ${of.p.toPrecision(2)}` : "too few cases to compare";
    }
    make("td", "af-gr-number", `${percent(row.on_all.share, 1)} · ${percent(row.offset_on_all.share, 1)}`, line).title = `${interval(row.on_all)}; offset ${interval(row.offset_on_all)}`;
    line.addEventListener("click", () => pick(row));
  }
  /** @param {number} offset */
  const stepped = (offset) => `${offset > 0 ? "+" : "−"}${Math.abs(offset)}`;
  /** @param {GrammarRow} row */
  const isChosen = (row) => chosen !== null && chosen.side === row.side && chosen.relation === row.relation && chosen.head[0] === row.head[0] && chosen.head[1] === row.head[1];
  return {
    /** @param {GrammarBest} now @param {GrammarCell | null} cell */
    show(now, cell) { data = now; chosen = cell; fill(); },
    /** @param {GrammarCell | null} cell */
    mark(cell) { chosen = cell; fill(); },
  };
}
