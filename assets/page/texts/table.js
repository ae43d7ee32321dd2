// @ts-check
// The texts that are left, as a table of which only the rows in sight exist; sorted by any column, by mouse and keyboard.
import { make } from "../shared/dom.js";
import { number } from "../shared/numbers.js";
import { written } from "./columns.js";
import { kept, ordered } from "./order.js";
import { placed } from "./placed.js";
import { button, numberOf } from "./room.js";
/** @import { Placed } from "./placed.js" */
/** @import { Acts, Room } from "./room.js" */

const ROW = 34; // pixels; the style sheet has the same
const SPARE = 6; // rows above and below what is in sight
let tables = 0; // names of rows must not meet on one page

/**
 * @param {Element} box
 * @param {Acts} acts
 * @param {ReturnType<typeof import("./cells.js").cells>} cells
 */
export function table(box, acts, cells) {
  const name = `af-tx-table-${tables++}`, grid = make("div", "af-tx-table", undefined, box);
  grid.role = "grid";
  grid.tabIndex = 0;
  grid.setAttribute("aria-label", "Texts: arrows move, Enter opens a text, Space selects it");
  const head = make("div", "af-tx-row af-tx-head", undefined, make("div", "af-tx-top", undefined, grid)), body = make("div", "af-tx-body", undefined, grid);
  head.role = "row";
  /** @type {HTMLElement} */ (head.parentElement).role = body.role = "rowgroup";
  head.ariaRowIndex = "1";
  const none = make("p", "af-tx-none", undefined, box);
  make("span", "", "No text fits these filters. ", none);
  button("Clear the filters", none, () => { acts.select(null, false); acts.filter([]); });
  /** @type {Room} */
  let room;
  /** @type {Map<string, { rows: Uint32Array, having: number }>} orders of the columns of this collection, once they were asked for */
  let orders = new Map();
  let order = "", rows = new Uint32Array(), active = -1, top = 0, owed = false, key = "", texts = "", heads = "";
  /** @type {Placed[]} */
  let shown = [];
  /** @type {Map<number, HTMLElement>} by their place */
  let made = new Map();

  function sorted() {
    const { columns, collection: { n }, choices: { order: { column: by, descending, ready } } } = room, column = columns.get(by);
    if (!column) return Uint32Array.from({ length: n }, (_, row) => row);
    const key = `${by} ${descending}`, found = orders.get(key) ?? ordered(column, descending);
    orders.set(key, found);
    return ready ? found.rows.subarray(0, found.having) : found.rows;
  }
  /** Names above the columns, and how wide these are. */
  function titles() {
    const { choices: { order: { column: by, descending } } } = room, { columns, widths } = placed(room, grid.clientWidth);
    grid.style.setProperty("--columns", widths.map((width) => `${width}px`).join(" "));
    const now = JSON.stringify([room.collection.key, columns.map(({ name, place }) => [name, place]), by, descending]);
    if (now === heads) return;
    heads = now;
    shown = columns;
    const held = document.activeElement instanceof HTMLElement && head.contains(document.activeElement) ? document.activeElement.dataset.column : undefined;
    head.replaceChildren();
    grid.ariaColCount = String(widths.length);
    /** @param {string} text @param {string} column @param {string} title @param {string} className */
    function cell(text, column, title, className) {
      const made = make("div", className, undefined, head);
      made.role = "columnheader";
      if (title) made.title = title;
      if (column === "\n") { made.textContent = text; return; } // has no order
      const on = column === by;
      made.ariaSort = on ? (descending && by ? "descending" : "ascending") : "none";
      const press = button(text, made, () => acts.order({ column, descending: on ? !descending : room.columns.get(column)?.kind === "number", ready: "" }));
      press.dataset.column = column;
      if (on && by) make("span", "", descending ? " ↓" : " ↑", press).ariaHidden = "true";
    }
    cell("no.", "", "In the order of the collection", "");
    cell("open", "\n", "", "");
    for (const { name, column } of shown) {
      if (column) cell(column.title, name, column.help, column.kind === "number" ? "af-tx-number" : "");
      else cell(name, "\n", "", "");
    }
    for (const press of head.querySelectorAll("button")) if (press.dataset.column === held) press.focus();
  }
  /** @param {number} place */
  function line(place) {
    const row = rows[place], line = make("div", "af-tx-row", undefined, body), known = cells.get(row);
    line.role = "row";
    line.id = `${name}-${place}`;
    line.ariaRowIndex = String(place + 2);
    line.ariaSelected = String(Boolean(room.selection?.[row]));
    line.style.transform = `translateY(${place * ROW}px)`;
    line.classList.toggle("af-tx-active", place === active);
    line.classList.toggle("af-tx-opened", row === room.opened);
    line.dataset.row = String(row);
    /** @param {string} text @param {string} [className] */
    function cell(text, className) {
      const made = make("div", className, text, line);
      made.role = "gridcell";
      return made;
    }
    cell(numberOf(row));
    const open = button("Open", cell(""), () => acts.open(row), row === room.opened ? "This text was opened last" : "Open in One pair");
    open.tabIndex = -1; // Enter does it
    open.setAttribute("aria-label", `Open text ${numberOf(row)}`);
    for (const { place, column } of shown) {
      if (column) { cell(written(column, row), column.kind === "number" ? "af-tx-number" : ""); continue; }
      const made = cell(known?.[place] ?? "…");
      made.dir = "auto";
      if (known) made.title = known[place];
      else made.classList.add("af-tx-quiet");
    }
    return line;
  }
  /** @param {boolean} [anew] rows that are there may have changed */
  function draw(anew = false) {
    owed ||= anew;
    if (!room || !grid.clientHeight) return; // a hidden tab: drawn when it is shown
    const first = Math.max(0, Math.floor(grid.scrollTop / ROW) - SPARE), last = Math.min(rows.length, Math.ceil((grid.scrollTop + grid.clientHeight) / ROW) + SPARE);
    if (owed) { owed = false; body.replaceChildren(); made = new Map(); }
    for (const [place, element] of made) if ((place < first || place >= last) && place !== active) { element.remove(); made.delete(place); }
    for (let place = first; place < last; place++) if (!made.has(place)) made.set(place, line(place));
    const seen = rows.subarray(first, last);
    cells.want([...seen, ...rows.subarray(last, Math.min(rows.length, last + Math.max(0, 90 - seen.length)))]);
  }
  /** @param {number} place @param {boolean} [middle] */
  function activate(place, middle = false) {
    if (!rows.length) return;
    made.get(active)?.classList.remove("af-tx-active");
    active = Math.max(0, Math.min(rows.length - 1, place));
    const seen = grid.clientHeight - head.offsetHeight, at = active * ROW;
    if (at < grid.scrollTop || at + ROW > grid.scrollTop + seen) grid.scrollTop = middle ? at - seen / 2 : at < grid.scrollTop ? at : at + ROW - seen;
    draw();
    made.get(active)?.classList.add("af-tx-active");
    grid.setAttribute("aria-activedescendant", `${name}-${active}`);
    acts.mark(rows[active]);
  }
  /** Rows that are selected with one more or less. @param {number} row */
  function toggle(row) {
    const selection = room.selection?.slice() ?? new Uint8Array(room.collection.n);
    selection[row] ^= 1;
    acts.select(selection, false);
    const place = rows.indexOf(row);
    if (place >= 0) activate(place);
  }
  grid.addEventListener("keydown", (event) => {
    if (event.target !== grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor((grid.clientHeight - head.offsetHeight) / ROW) - 1);
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined) activate(to);
    else if (event.key === "Enter" && active >= 0) acts.open(rows[active]);
    else if (event.key === " " && active >= 0) toggle(rows[active]);
    else return;
    event.preventDefault();
  });
  body.addEventListener("click", (event) => {
    const line = event.target instanceof Element ? event.target.closest(".af-tx-row") : null;
    if (!(line instanceof HTMLElement) || !line.dataset.row) return;
    const place = rows.indexOf(Number(line.dataset.row));
    if (event.shiftKey) toggle(Number(line.dataset.row));
    else activate(place);
  });
  grid.addEventListener("scroll", () => { if (grid.clientHeight) { top = grid.scrollTop; draw(); } });
  new ResizeObserver(() => {
    if (!grid.clientHeight) return;
    if (room) titles(); // of another width
    if (Math.abs(grid.scrollTop - top) > 1) grid.scrollTop = top; // of another tab it comes back where it was left
    draw();
  }).observe(grid);
  return {
    /** @param {Room} now */
    show(now) {
      if (now.collection.key !== key) orders = new Map();
      if (now.collection.texts !== texts) order = "";
      ({ key, texts } = now.collection);
      room = now;
      titles();
      const { mask, selection, choices } = now, by = JSON.stringify(choices.order), held = active >= 0 ? rows[active] : -1;
      rows = kept(sorted(), mask, selection, choices.only);
      active = held < 0 ? -1 : rows.indexOf(held);
      if (order !== by) grid.scrollTop = 0;
      order = by;
      grid.ariaRowCount = String(rows.length + 1);
      if (active < 0) grid.removeAttribute("aria-activedescendant");
      body.style.height = `${rows.length * ROW}px`;
      none.hidden = rows.length > 0;
      grid.hidden = !none.hidden;
      draw(true);
    },
    /** Texts have come. */
    filled: () => draw(true),
    /** Show a row, if the order has it. @param {number} row */
    point(row) {
      const place = rows.indexOf(row);
      if (place < 0) return false;
      activate(place, true);
      return true;
    },
    /** The rows in the order of the table. */
    rows: () => rows,
    told: () => number(rows.length, 0),
  };
}
