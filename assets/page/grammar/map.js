// @ts-check
// Relations against heads: a cell for each, as strong as the head is right; by mouse and keyboard.
import { ink, over } from "../shared/contrast.js";
import { colour, make, rgb } from "../shared/dom.js";
import { number } from "../shared/numbers.js";
import { columnOf, digits, headAt, step, strength, told, value } from "./cells.js";
/** @import { Grammar, GrammarCell } from "../payloads.js" */
/** @import { Cells, Measure } from "./cells.js" */

const ROW = 20, LEAST = 9, MOST = 44, WRITTEN = 27; // pixels: height of a cell, its smallest and largest width, and that in which a number fits

/**
 * @param {HTMLElement} box
 * @param {(relation: string, column: number) => void} pick
 */
export function map(box, pick) {
  const frame = make("div", "af-gr-map", undefined, box), names = make("div", "af-gr-names", undefined, frame), scroll = make("div", "af-gr-scroll", undefined, frame);
  const stage = make("div", "af-gr-stage", undefined, scroll), top = make("div", "af-gr-top", undefined, stage), canvas = make("canvas", "", undefined, stage);
  const chosenFrame = make("div", "af-gr-chosen", undefined, stage), activeFrame = make("div", "af-gr-active", undefined, stage);
  const says = make("p", "af-note af-gr-says", undefined, box);
  stage.tabIndex = 0;
  stage.role = "application";
  stage.setAttribute("aria-label", "Relations against heads: arrows move, Enter chooses. The table below says the same.");
  says.role = "status";
  /** @type {{ data: Grammar, cells: Cells, measure: Measure, width: number, chosen: GrammarCell | null } | null} */
  let now = null;
  /** @type {[relation: number, column: number]} */
  let active = [0, 0];

  /** @param {HTMLElement} mark @param {[number, number] | null} at */
  function put(mark, at) {
    mark.hidden = !at || !now;
    if (!at || !now) return;
    Object.assign(mark.style, { left: `${at[1] * now.width}px`, top: `${top.offsetHeight + at[0] * ROW}px`, width: `${now.width}px`, height: `${ROW}px` });
  }
  /** @param {[number, number]} at */
  function point(at) {
    if (!now) return;
    active = at;
    put(activeFrame, at);
    says.textContent = told(now.data, now.cells, at[0], at[1]);
  }
  /** @param {MouseEvent} event @returns {[number, number] | null} */
  function under(event) {
    if (!now) return null;
    const { left, top } = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - top) / ROW), column = Math.floor((event.clientX - left) / now.width);
    return row >= 0 && row < now.data.relations.length && column >= 0 && column < now.cells.columns ? [row, column] : null;
  }
  /** @param {[number, number]} at */
  function choose(at) {
    if (now && now.cells.model.cases[at[0]]) pick(now.data.relations[at[0]].name, at[1]);
  }
  stage.addEventListener("pointermove", (event) => { const at = under(event); if (at) point(at); });
  stage.addEventListener("pointerleave", () => { if (document.activeElement !== stage) { activeFrame.hidden = true; rest(); } });
  stage.addEventListener("click", (event) => { const at = under(event); if (at) { point(at); choose(at); } });
  stage.addEventListener("focus", () => { if (stage.matches(":focus-visible")) point(active); });
  stage.addEventListener("blur", () => { activeFrame.hidden = true; rest(); });
  stage.addEventListener("keydown", (event) => {
    if (!now || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = step(event.key, active, now.data.relations.length, now.cells.columns);
    if (to) {
      point(to);
      const left = to[1] * now.width;
      if (left < scroll.scrollLeft || left + now.width > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = left - scroll.clientWidth / 2;
    } else if (event.key === "Enter" || event.key === " ") choose(active);
    else if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
  });
  function rest() {
    if (!now) return;
    const few = now.data.relations.some((_, place) => (now?.cells.model.cases[place] ?? 0) < (now?.data.least ?? 0));
    says.textContent = `A ring marks the best head of each relation.${few ? ` Pale names have fewer than ${now.data.least} cases.` : ""} Click a cell to see what that head does.`;
  }

  /**
   * @param {Grammar} data
   * @param {Cells} cells
   * @param {Measure} measure
   * @param {GrammarCell | null} chosen
   */
  function show(data, cells, measure, chosen) {
    const { model, columns } = cells, rows = data.relations.length;
    names.replaceChildren(make("span", "af-gr-corner", "relation, cases"));
    for (const [place, { name, finds }] of data.relations.entries()) {
      const label = make("span", model.cases[place] < data.least ? "af-gr-name af-gr-few" : "af-gr-name", undefined, names);
      label.title = `${name}: ${finds}`;
      make("span", "", name, label);
      make("span", "af-gr-n", number(model.cases[place], 0), label);
    }
    const width = Math.min(MOST, Math.max(LEAST, Math.floor((frame.clientWidth - names.offsetWidth - 2) / columns)));
    now = { data, cells, measure, width, chosen };
    stage.style.width = `${width * columns}px`;
    top.replaceChildren();
    for (let layer = 0; layer < model.layers; layer++) {
      const label = make("span", "", `L${layer + 1}`, top);
      label.style.width = `${width * model.heads}px`;
    }
    paint(rows);
    mark(chosen);
    activeFrame.hidden = true;
    active = [Math.min(active[0], rows - 1), Math.min(active[1], columns - 1)];
    rest();
  }
  /** @param {number} rows */
  function paint(rows) {
    if (!now) return;
    const { cells, measure, width } = now, { columns, model } = cells, sharp = devicePixelRatio || 1;
    canvas.width = Math.round(width * columns * sharp);
    canvas.height = Math.round(ROW * rows * sharp);
    Object.assign(canvas.style, { width: `${width * columns}px`, height: `${ROW * rows}px` });
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.scale(sharp, sharp);
    pen.font = `11px ${getComputedStyle(stage).fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const own = rgb(colour(`--af-${model.side}`)), grey = rgb(colour("--body-text-color-subdued")), ground = rgb(colour("--block-background-fill")), text = colour("--body-text-color");
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const high = strength(cells, row, column, measure), shade = high < 0 ? grey : own, share = 0.9 * Math.min(1, Math.abs(high)) * (model.cases[row] ? 1 : 0);
        const left = column * width, below = row * ROW;
        pen.fillStyle = `rgb(${shade.join(" ")} / ${share})`;
        pen.fillRect(left, below, width - (width > 12 ? 1 : 0.5), ROW - 1);
        if (width < WRITTEN || !model.cases[row]) continue;
        pen.fillStyle = share > 0.25 ? ink(over(shade, ground, share)) : text;
        pen.fillText(digits(value(cells, row, column, measure), measure), left + width / 2, below + ROW / 2);
      }
      best(pen, row, text);
    }
    pen.fillStyle = colour("--body-text-color-subdued");
    for (let layer = 1; layer < model.layers; layer++) pen.fillRect(layer * model.heads * width - 1, 0, 1, ROW * rows);
  }
  /** @param {CanvasRenderingContext2D} pen @param {number} row @param {string} text */
  function best(pen, row, text) {
    if (!now) return;
    const { cells, width } = now, column = cells.model.best[row];
    if (column < 0) return;
    pen.strokeStyle = text;
    pen.lineWidth = 1.5;
    pen.strokeRect(column * width + 0.75, row * ROW + 0.75, width - 2, ROW - 2.5);
  }
  /** @param {GrammarCell | null} chosen */
  function mark(chosen) {
    if (!now) return;
    const row = chosen && chosen.side === now.cells.model.side ? now.data.relations.findIndex(({ name }) => name === chosen.relation) : -1;
    const at = /** @type {[number, number] | null} */ (chosen && row >= 0 ? [row, columnOf(now.cells, chosen.head)] : null);
    if (at) active = at;
    put(chosenFrame, at);
    names.querySelectorAll(".af-gr-name").forEach((label, place) => label.classList.toggle("af-gr-on", place === row));
  }
  return { show, mark, headOf: (/** @type {number} */ column) => (now ? headAt(now.cells, column) : null) };
}
