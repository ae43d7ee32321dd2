// @ts-check
// The form of one filter: two ends of a number over a histogram, kinds with their counts, or words in the text.
import { make, makeSvg } from "../shared/dom.js";
import { number } from "../shared/numbers.js";
import { counts, digits, ends, histogram, MISSING } from "./columns.js";
import { put, without } from "./filters.js";
import { button, later } from "./room.js";
import { kindName } from "./words.js";
/** @import { Column } from "./columns.js" */
/** @import { Acts, Room } from "./room.js" */

const BINS = 32;
const HEIGHT = 40; // of the histogram
const TYPING = 500; // ms

/**
 * Fill a form for the filter of a column; no column: of words in the text.
 * @param {HTMLElement} box
 * @param {string} name
 * @param {() => Room} room
 * @param {Acts} acts
 * @param {() => void} done
 */
export function editor(box, name, room, acts, done) {
  box.replaceChildren();
  box.role = "group";
  const column = room().columns.get(name), title = column?.title ?? "words in the text";
  box.setAttribute("aria-label", `Filter: ${title}`);
  const head = make("div", "af-tx-editor-head", undefined, box);
  make("strong", "", title, head);
  if (column?.help) make("span", "af-tx-quiet", column.help, head);
  if (!column) words(box, room, acts);
  else if (column.kind === "kind") kinds(box, column, room, acts);
  else range(box, column, room, acts);
  button("Done", box, done);
}

/**
 * @param {Element} box
 * @param {Column} column
 * @param {() => Room} room
 * @param {Acts} acts
 */
function range(box, column, room, acts) {
  const { name, title } = column, [low, high] = ends(column), bars = histogram(column, null, BINS), most = Math.max(...bars);
  const picture = makeSvg("svg", { class: "af-tx-histogram", viewBox: `0 0 ${4 * BINS} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, box);
  const columns = [...bars].map((count, i) => {
    const height = count && Math.max(1, (HEIGHT * count) / most);
    return makeSvg("rect", { x: 4 * i, width: 3.2, y: HEIGHT - height, height }, picture);
  });
  const now = room().choices.filters.find((filter) => "low" in filter && filter.column === name);
  const [from, to] = ["from", "to"].map((word, i) => {
    const label = make("label", "af-tx-choice", undefined, box);
    make("span", "", word, label);
    const input = make("input", "", undefined, label);
    input.type = "number";
    input.step = "any";
    input.placeholder = digits([low, high][i]);
    input.setAttribute("aria-label", `${title}, ${word}`);
    if (now && "low" in now) input.value = String([now.low, now.high][i] ?? "");
    input.addEventListener("change", apply);
    return input;
  });
  /** @param {HTMLInputElement} input */
  const read = (input) => (input.value === "" || !Number.isFinite(input.valueAsNumber) ? null : input.valueAsNumber);
  function shade() {
    const ends = [read(from) ?? low, read(to) ?? high], width = (high - low) / BINS;
    columns.forEach((bar, i) => bar.classList.toggle("af-tx-out", low + (i + 1) * width < ends[0] || low + i * width > ends[1]));
  }
  function apply() {
    const condition = { column: name, low: read(from), high: read(to) }, { filters } = room().choices;
    acts.filter(condition.low === null && condition.high === null ? without(filters, [condition]) : put(filters, condition));
    shade();
  }
  shade();
}

/**
 * @param {Element} box
 * @param {Column} column
 * @param {() => Room} room
 * @param {Acts} acts
 */
function kinds(box, column, room, acts) {
  const found = counts(column, null), all = [...column.kinds.keys(), ...(found[column.kinds.length] ? [MISSING] : [])];
  const now = room().choices.filters.find((filter) => "kinds" in filter && filter.column === column.name);
  const shown = new Set(now && "kinds" in now ? now.kinds : all), list = make("div", "af-tx-kinds", undefined, box);
  const boxes = all.map((kind) => {
    const label = make("label", "af-check", undefined, list), check = make("input", "", undefined, label);
    check.type = "checkbox";
    check.checked = shown.has(kind);
    make("span", "", kindName(column, kind), label);
    make("span", "af-tx-quiet", number(found[Math.min(kind, column.kinds.length)], 0), label);
    check.addEventListener("change", apply);
    return check;
  });
  function apply() {
    const condition = { column: column.name, kinds: all.filter((_, i) => boxes[i].checked) }, { filters } = room().choices;
    acts.filter(condition.kinds.length === all.length ? without(filters, [condition]) : put(filters, condition));
  }
  /** @param {boolean} on */
  const every = (on) => () => { for (const check of boxes) check.checked = on; apply(); };
  const both = make("span", "", undefined, box);
  button("All", both, every(true));
  button("None", both, every(false));
}

/**
 * @param {Element} box
 * @param {() => Room} room
 * @param {Acts} acts
 */
function words(box, room, acts) {
  const input = make("input", "", undefined, make("label", "af-tx-choice", "has ", box));
  input.type = "search";
  input.maxLength = 200;
  input.setAttribute("aria-label", "Words that the text has");
  let before = "";
  function apply() {
    const text = input.value.trim(), { filters } = room().choices;
    if (text === before) return;
    const rest = before ? without(filters, [{ text: before }]) : filters;
    before = text;
    acts.filter(text ? put(rest, { text }) : rest);
  }
  input.addEventListener("input", later(TYPING, apply));
  input.addEventListener("change", apply);
}
