// @ts-check
// How many tokens each ring would hold at every threshold: a row for each ring, and a click, or the arrows, choose one.

import { makeSvg, part } from "../shared/dom.js";
import { number, plural } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
/** @import { ChosenThreshold, ThresholdChoice } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

const LEFT = 44, RIGHT = 52, TOP = 4, BOTTOM = 30; // pixels around the rows: their names, their counts, the axis
const PAUSE = 250; // milliseconds after the last key until a threshold is asked for

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const chart = part(element, ".af-sizes"), told = part(element, ".af-note");
  /** @type {ThresholdChoice} */
  let data;
  /** @type {number | null} */
  let at = null; // index of the threshold that is looked at, by pointer or keys
  let asked = 0;
  /** @type {() => void} */
  let show = () => {};

  /** Tell Python. @type {(name: "choose", data: ChosenThreshold) => void} */
  const tell = gradio.trigger;

  /** Index of the threshold that is chosen for all layers, or else of the smallest. */
  const chosen = () => (data.tau === null ? 0 : data.taus.reduce((best, tau, i) => (Math.abs(tau - Number(data.tau)) < Math.abs(data.taus[best] - Number(data.tau)) ? i : best), 0));

  /**
   * The name of a ring: the layer whose outputs it holds, once where both models agree.
   * @param {number} row 0 is the ring next to the decision
   */
  function ringName(row) {
    const own = data.models.map(({ layers }) => (row < layers ? (layers - row - 1 ? `L${layers - row - 1}` : "input") : ""));
    return new Set(own).size === 1 ? own[0] : own.filter(Boolean).join("·");
  }

  /**
   * What a threshold does, in words.
   * @param {number | null} index null for what is drawn now
   */
  function words(index) {
    const sizes = data.models.map((model) => (index === null ? model.now : model.sizes.map((ring) => ring[index])));
    const parts = sizes.map((counts, i) => {
      const empty = counts.indexOf(0), held = empty < 0 ? counts : counts.slice(0, empty), model = "AB"[i];
      const [least, most] = [Math.min(...held), Math.max(...held)];
      const span = !held.length ? "nothing" : least === most ? `${plural(most, "token")} a ring` : `${least} to ${most} tokens a ring`;
      return `${model}: ${span}${empty < 0 ? "" : `, none from ${ringName(empty)} on`}`;
    });
    const tau = index === null ? data.tau : data.taus[index];
    return `${tau === null ? "Thresholds by layer" : `tau ${number(tau)}`} – ${parts.join("; ")}.`;
  }

  /** @param {ThresholdChoice} next */
  function draw(next) {
    data = next;
    const rows = Math.max(...next.models.map(({ layers }) => layers)), row = Math.max(9, Math.min(20, 216 / rows));
    const width = chart.clientWidth, height = TOP + rows * row + BOTTOM, plot = Math.max(40, width - LEFT - RIGHT), last = next.taus[next.taus.length - 1];
    /** Small thresholds, where rings change most, have more room. @param {number} tau */
    const x = (tau) => LEFT + plot * Math.sqrt(tau / last);
    chart.replaceChildren();
    const svg = makeSvg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, chart), size = Math.min(11, row + 1);
    /** @type {SVGElement[][]} */
    const counts = [];
    for (let d = 0; d < rows; d++) {
      const base = TOP + (d + 1) * row;
      makeSvg("text", { x: LEFT - 6, y: base - 1, "text-anchor": "end", "font-size": size }, svg).textContent = ringName(d);
      makeSvg("path", { d: `M${LEFT},${base}h${plot}`, class: "af-orbit" }, svg);
      next.models.forEach((model, i) => {
        if (d >= model.layers) return;
        const steps = model.sizes[d].map((count, k) => `${x(next.taus[k]).toFixed(1)},${(base - ((row - 2) * count) / next.most).toFixed(1)}`);
        makeSvg("path", { d: `M${LEFT},${base}L${steps.join("L")}L${x(last)},${base}Z`, class: `af-area af-${"ab"[i]}` }, svg);
        if (next.tau === null) makeSvg("path", { d: `M${x(Math.min(model.tau[d], last)).toFixed(1)},${base}v${2 - row}`, class: `af-own af-own-${"ab"[i]}` }, svg);
      });
      counts.push(next.models.map((_, i) => makeSvg("text", { x: width - RIGHT / 2 + 24 * i, y: base - 1, "text-anchor": "end", "font-size": size, class: `af-${"ab"[i]}` }, svg)));
    }
    for (const tau of [0, 0.05, 0.2, 0.4, 0.6, 0.9]) makeSvg("text", { x: x(tau), y: height - BOTTOM + 13, "text-anchor": "middle", "font-size": 10 }, svg).textContent = String(tau);
    makeSvg("text", { x: LEFT + plot / 2, y: height - 4, "text-anchor": "middle", "font-size": 11 }, svg).textContent = "threshold tau";
    makeSvg("text", { x: LEFT - 6, y: height - BOTTOM + 13, "text-anchor": "end", "font-size": 10 }, svg).textContent = "ring";
    makeSvg("text", { x: width, y: height - BOTTOM + 13, "text-anchor": "end", "font-size": 10 }, svg).textContent = "tokens";
    const mark = makeSvg("path", { class: "af-mark" }, svg);
    show = () => {
      const tau = at === null ? next.tau : next.taus[at];
      mark.setAttribute("d", tau === null ? "" : `M${x(tau).toFixed(1)},${TOP}V${height - BOTTOM}`);
      counts.forEach((texts, d) => texts.forEach((text, i) => {
        const model = next.models[i];
        text.textContent = d < model.layers ? String(at === null ? model.now[d] : model.sizes[d][at]) : "";
      }));
      told.textContent = words(at);
      const index = at ?? chosen();
      chart.setAttribute("aria-valuenow", String(next.taus[index]));
      chart.setAttribute("aria-valuetext", words(at));
    };
    chart.onpointermove = (event) => {
      const share = Math.max(0, Math.min(1, (event.clientX - chart.getBoundingClientRect().left - LEFT) / plot));
      at = Math.round(share ** 2 * (next.taus.length - 1));
      show();
    };
    show();
  }

  function choose() {
    clearTimeout(asked);
    if (at !== null) tell("choose", { tau: data.taus[at] });
  }
  chart.addEventListener("pointerleave", () => { at = null; show(); });
  chart.addEventListener("click", (event) => { chart.onpointermove?.(/** @type {PointerEvent} */ (event)); choose(); });
  chart.addEventListener("keydown", (event) => {
    if (!data) return;
    const now = at ?? chosen(), end = data.taus.length - 1;
    const to = { ArrowRight: now + 1, ArrowUp: now + 1, ArrowLeft: now - 1, ArrowDown: now - 1, PageUp: now + 10, PageDown: now - 10, Home: 0, End: end }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    at = Math.max(0, Math.min(end, to));
    show();
    clearTimeout(asked);
    asked = setTimeout(choose, PAUSE);
  });
  chart.addEventListener("blur", () => { at = null; show(); });
  panel(gradio, part(element, ".af-thresholds"), { draw, clear: () => chart.replaceChildren() });
}
