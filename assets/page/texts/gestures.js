// @ts-check
// What a pointer does on a plot: lasso, box or move by a drag; hover, click and double click.
import { makeSvg } from "../shared/dom.js";

/** @typedef {[x: number, y: number]} Place in pixels of the chart */
/** @typedef {"lasso" | "box" | "move" | ""} Mode nothing: a finger scrolls the page */

const CLICK = 5; // pixels: what moves less is a click

/**
 * @param {HTMLElement} chart
 * @param {SVGElement} overlay of the same size, above it
 * @param {object} does
 * @param {() => Mode} does.mode
 * @param {(corners: Place[], add: boolean) => void} does.enclose
 * @param {(dx: number, dy: number) => void} does.move
 * @param {(place: Place | null) => void} does.hover
 * @param {(place: Place) => void} does.click
 * @param {(place: Place) => void} does.twice
 * @param {(factor: number, place: Place) => void} does.zoom
 */
export function gestures(chart, overlay, does) {
  const shape = makeSvg("path", { class: "af-tx-lasso" }, overlay);
  /** @type {Place[]} */
  let way = [];
  let pressed = false;
  /** @param {MouseEvent} event @returns {Place} */
  function place(event) {
    const { left, top } = chart.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }
  /** @returns {Place[]} */
  function corners() {
    if (does.mode() !== "box") return way;
    const [[left, top], [right, bottom]] = [way[0], way[way.length - 1]];
    return [[left, top], [right, top], [right, bottom], [left, bottom]];
  }
  const far = () => way.some(([x, y]) => Math.hypot(x - way[0][0], y - way[0][1]) > CLICK);
  function end() {
    pressed = false;
    way = [];
    shape.setAttribute("d", "");
  }
  chart.addEventListener("pointerdown", (event) => {
    if (event.button || !does.mode() || (event.pointerType === "touch" && !event.isPrimary)) return;
    pressed = true;
    way = [place(event)];
    chart.focus({ preventScroll: true });
    chart.setPointerCapture(event.pointerId);
  });
  chart.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (!pressed) { if (event.pointerType !== "touch") does.hover(at); return; }
    const [x, y] = way[way.length - 1];
    way.push(at);
    if (!far()) return;
    does.hover(null);
    if (does.mode() === "move") does.move(at[0] - x, at[1] - y);
    else shape.setAttribute("d", `M${corners().map((corner) => corner.join(",")).join("L")}Z`);
  });
  chart.addEventListener("pointerup", (event) => {
    if (!pressed) return;
    if (far() && does.mode() !== "move") does.enclose(corners(), event.shiftKey);
    else if (!far()) does.click(place(event));
    end();
  });
  chart.addEventListener("click", (event) => { if (!does.mode()) does.click(place(event)); });
  chart.addEventListener("dblclick", (event) => does.twice(place(event)));
  chart.addEventListener("pointercancel", end);
  chart.addEventListener("pointerleave", () => { if (!pressed) does.hover(null); });
  chart.addEventListener("mousedown", (event) => event.preventDefault()); // no text is selected by a drag
  chart.addEventListener("keydown", (event) => { if (event.key === "Escape") end(); });
  chart.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    does.zoom(Math.exp(event.deltaY / 300), place(event));
  }, { passive: false });
}
