// @ts-check
// The matrix of heads: each can be selected, and switched off and on.

import { ink, over } from "../shared/contrast.js";
import { colour, make, part, parts, rgb, titled } from "../shared/dom.js";
import { headKey, headName, headOf } from "../shared/head.js";
import { panel } from "../shared/panel.js";
import { paint } from "../shared/picture.js";
/** @import { Head, Matrix, MatrixHalf, Pruned, Selected } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */
/** @typedef {Record<"a" | "b", Set<string>>} PrunedKeys keys of heads */

/** @type {("a" | "b")[]} */
const MODELS = ["a", "b"];
/** @type {Record<string, [layers: number, heads: number] | undefined>} */
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const PATIENCE = 8000; // milliseconds that an answer may take before it is given up

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const stage = part(element, ".af-matrices"), title = part(element, ".af-title"), note = part(element, ".af-matrix-note");
  /** @type {PrunedKeys} */
  const pruned = { a: new Set(), b: new Set() };
  /** @type {{ text: string, at: number } | null} */
  let sent = null; // what was asked for and is not answered yet; what is clicked meanwhile is sent after the answer
  /**
   * @param {MatrixHalf["side"]} side
   * @param {string} at
   */
  const isPruned = (side, at) => (side === "difference" ? pruned.a.has(at) && pruned.b.has(at) : pruned[side].has(at));

  const state = (sets = pruned) => MODELS.map((one) => [...sets[one]].sort().join(" ")).join("|");

  /**
   * @param {MatrixHalf["side"]} side
   * @param {string} at
   */
  function toggle(side, at) {
    const now = !isPruned(side, at);
    for (const one of side === "difference" ? MODELS : [side]) pruned[one][now ? "add" : "delete"](at);
    for (const cell of parts(stage, `[data-at="${at}"]`)) mark(cell); // at once; Python's answer follows
    submit();
  }

  function submit() {
    if (sent && Date.now() - sent.at < PATIENCE) return;
    sent = { text: state(), at: Date.now() };
    /** @type {Pruned} */
    const wanted = { a: [...pruned.a].map(headOf), b: [...pruned.b].map(headOf) };
    gradio.trigger("prune", wanted);
  }

  /** Python tells what is off, sooner than it can tell what then matters. */
  function confirmed() {
    if (!gradio.props.confirmed) return;
    /** @type {Pruned} */
    const told = JSON.parse(gradio.props.confirmed);
    /** @type {PrunedKeys} */
    const now = { a: new Set(told.a.map(headKey)), b: new Set(told.b.map(headKey)) };
    if (sent && sent.text !== state(now) && Date.now() - sent.at < PATIENCE) return; // an older answer
    const more = sent && state() !== sent.text;
    sent = null;
    if (more) { submit(); return; }
    Object.assign(pruned, now);
    for (const cell of parts(stage, ".af-cell")) mark(cell);
  }
  gradio.watch("confirmed", confirmed);

  /**
   * The model and head of a cell.
   * @param {HTMLElement} cell
   */
  const placeOf = (cell) => ({ side: /** @type {MatrixHalf["side"]} */ (cell.dataset.side), at: cell.dataset.at ?? "" });

  /** @param {HTMLElement} cell */
  function mark(cell) {
    const { side, at } = placeOf(cell), gone = isPruned(side, at), control = part(cell, ".af-off");
    cell.classList.toggle("af-gone", gone);
    control.textContent = gone ? "↺" : "×";
    control.title = `Switch ${headName(headOf(at))} ${gone ? "on" : "off"}`;
    control.setAttribute("aria-label", control.title);
    const pick = part(cell, ".af-pick");
    pick.textContent = gone && pick.dataset.value ? "off" : cell.classList.contains("af-open") ? "…" : (pick.dataset.value ?? "");
    const { name, value } = pick.dataset;
    pick.setAttribute("aria-label", `${name}${gone ? ", switched off" : value ? `, shown as ${value}` : ""}`);
  }

  /**
   * @param {MatrixHalf} side
   * @param {Matrix} data
   * @param {HTMLElement} parent
   */
  function grid(side, data, parent) {
    const card = make("section", `af-card af-matrix af-model-${side.side}`, undefined, parent);
    titled(side.side, side.name, card);
    const frame = make("div", "af-grid", undefined, make("div", "af-scroll", undefined, card));
    frame.style.setProperty("--heads", String(side.heads));
    frame.setAttribute("role", "grid");
    frame.setAttribute("aria-label", `${data.title}, ${side.name}`);
    const top = make("div", "af-row", undefined, frame);
    top.setAttribute("role", "row");
    make("span", "", "", top);
    for (let head = 0; head < side.heads; head++) make("span", "af-axis", `H${head + 1}`, top).setAttribute("role", "columnheader");
    const theme = getComputedStyle(card), ground = rgb(colour("--block-background-fill"));
    const shades = { high: rgb(theme.getPropertyValue("--shade")), low: rgb(theme.getPropertyValue("--below")) };
    /**
     * Colour a cell by its value, from -1 to 1, and its digits so that they are read.
     * @param {HTMLElement} box
     * @param {number} value
     */
    const shade = (box, value) => {
      const sign = value < 0 ? "low" : "high", share = 0.88 * Math.min(1, Math.abs(value));
      box.classList.add(`af-${sign}`);
      box.style.setProperty("--share", `${Math.round(100 * share)}%`);
      if (share > 0.25) box.style.setProperty("--ink", ink(over(shades[sign], ground, share)));
    };
    const rows = make("div", "af-rows", undefined, frame);
    rows.setAttribute("role", "rowgroup");
    if (side.pixels) {
      frame.classList.add("af-pictured");
      const canvas = make("canvas", "af-pictures", undefined, rows);
      canvas.setAttribute("aria-hidden", "true");
      paint(canvas, side.heads * (side.size ?? 0), side.layers * (side.size ?? 0), side.pixels, side.side);
    }
    for (let layer = 0; layer < side.layers; layer++) {
      const row = make("div", "af-row", undefined, rows);
      row.setAttribute("role", "row");
      make("span", "af-axis", `L${layer + 1}`, row).setAttribute("role", "rowheader");
      for (let head = 0; head < side.heads; head++) cell(side, data, [layer, head], row, shade);
    }
    if (side.note) make("p", "af-note", side.note, card);
  }

  /**
   * @param {MatrixHalf} side
   * @param {Matrix} data
   * @param {Head} at
   * @param {HTMLElement} row
   * @param {(box: HTMLElement, value: number) => void} shade
   */
  function cell(side, data, at, row, shade) {
    const [layer, head] = at;
    if (layer < (side.encoder ?? 0) && head >= side.heads / 2) { // an encoder has no cross-attention
      make("div", "", undefined, row).setAttribute("role", "gridcell");
      return;
    }
    const value = side.values[layer][head], raw = side.raw[layer][head];
    const chosen = side.selected?.[0] === layer && side.selected?.[1] === head;
    const box = make("div", "af-cell", undefined, row), pick = make("button", "af-pick", undefined, box);
    box.setAttribute("role", "gridcell");
    Object.assign(box.dataset, { side: side.side, at: headKey(at) });
    pick.type = "button";
    pick.tabIndex = chosen || (!side.selected && layer + head === 0) ? 0 : -1;
    pick.setAttribute("aria-pressed", String(chosen));
    pick.dataset.value = "";
    if (value === null) {
      box.classList.add("af-open"); // still to come
    } else if (!side.pixels) {
      pick.dataset.value = value.toFixed(2).replace(/^(-?)0\./, "$1.").replace("-", "−");
      shade(box, value);
    }
    pick.dataset.name = raw === null ? `${headName(at)}: still to come` : `${headName(at)}: ${side.measured ?? data.measured} ${raw}`;
    pick.title = pick.dataset.name;
    pick.addEventListener("click", () => {
      /** @type {Selected} */
      const selected = { side: side.side === "difference" ? "b" : side.side, head: at }; // they have the same size
      gradio.trigger("select", selected);
    });
    const control = make("button", "af-off", undefined, box);
    control.type = "button";
    control.tabIndex = -1; // with the keyboard: Delete on the cell
    control.addEventListener("click", (event) => { event.stopPropagation(); toggle(side.side, headKey(at)); });
    mark(box);
  }

  stage.addEventListener("keydown", (event) => {
    /** @type {HTMLElement | null} */
    const box = event.target instanceof Element ? event.target.closest(".af-cell") : null;
    if (!box) return;
    const { side, at } = placeOf(box), [layer, head] = headOf(at);
    const step = STEPS[event.key];
    if (step) {
      event.preventDefault();
      const [next] = parts(stage, `[data-side="${side}"][data-at="${headKey([layer + step[0], head + step[1]])}"] .af-pick`);
      if (!next) return;
      for (const pick of parts(stage, `[data-side="${side}"] .af-pick`)) pick.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    } else if (event.key === "Delete" || event.key === "Backspace" || event.key === "x") {
      event.preventDefault();
      toggle(side, at);
    }
  });

  /** @param {Matrix} data */
  function draw(data) {
    /** @type {HTMLElement | null | undefined} */
    const focused = stage.contains(document.activeElement) ? document.activeElement?.closest(".af-cell") : null;
    const scrolled = parts(stage, ".af-scroll").map((frame) => frame.scrollLeft);
    const place = focused ? `[data-side="${focused.dataset.side}"][data-at="${focused.dataset.at}"] .af-pick` : null;
    title.textContent = data.title;
    note.textContent = data.note;
    stage.replaceChildren();
    stage.classList.toggle("af-signed", data.signed);
    stage.style.setProperty("--heads", String(Math.max(...data.sides.map((side) => side.heads)))); // cards are as wide as all heads need
    for (const side of data.sides) grid(side, data, stage);
    parts(stage, ".af-scroll").forEach((frame, index) => { frame.scrollLeft = scrolled[index] ?? 0; });
    if (place) parts(stage, place)[0]?.focus({ preventScroll: true });
  }
  confirmed();
  panel(gradio, part(element, ".af-head-matrix"), { draw });
}
