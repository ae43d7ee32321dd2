// @ts-check
// How far the radial view is zoomed in, and where a point of the scene lies in the chart.

/**
 * Where the points of a scene are in the chart, in pixels, and how far it is zoomed in.
 * @typedef {object} Projection
 * @property {(v: number) => number} x
 * @property {(v: number) => number} y
 * @property {(pixel: number) => number} xBack
 * @property {(pixel: number) => number} yBack
 * @property {number} zoom
 * @property {string} transform the same as an attribute of an SVG element
 */
/** @typedef {{ clientX: number, clientY: number }} Place of the pointer in the window */

const STEP = 1.4; // of a button
const MOST = 12;

/**
 * A scene of a size, with the point (x, y) of it in the middle.
 * @param {number} width
 * @param {number} height
 * @param {number} [zoom]
 * @param {number} [x]
 * @param {number} [y]
 * @returns {Projection}
 */
export function projection(width, height, zoom = 1, x = 0, y = 0) {
  return {
    zoom,
    x: (v) => width / 2 + (v - x) * zoom, y: (v) => height / 2 - (v - y) * zoom,
    xBack: (pixel) => x + (pixel - width / 2) / zoom, yBack: (pixel) => y - (pixel - height / 2) / zoom,
    transform: `matrix(${zoom} 0 0 ${-zoom} ${width / 2 - x * zoom} ${height / 2 + y * zoom})`,
  };
}

/**
 * Zoom of a chart by its buttons, by Ctrl and the wheel or a trackpad's pinch, and by a double click.
 * @param {HTMLElement} chart
 * @param {HTMLElement[]} buttons with `data-zoom`: in, out or whole
 * @param {() => void} changed
 */
export function zoom(chart, buttons, changed) {
  let scale = 1, x = 0, y = 0; // the point in the middle

  const now = () => projection(chart.clientWidth, chart.clientHeight, scale, x, y);

  /**
   * @param {number} factor
   * @param {Place | null} [place] what stays where it is; the middle if null
   */
  function by(factor, place = null) {
    const box = chart.getBoundingClientRect(), before = now();
    const [px, py] = place ? [place.clientX - box.left, place.clientY - box.top] : [box.width / 2, box.height / 2];
    const at = [before.xBack(px), before.yBack(py)];
    scale = Math.min(MOST, Math.max(1, scale * factor));
    const after = now();
    x = scale === 1 ? 0 : x + at[0] - after.xBack(px);
    y = scale === 1 ? 0 : y + at[1] - after.yBack(py);
    changed();
  }

  function reset() {
    if (scale === 1 && !x && !y) return;
    [scale, x, y] = [1, 0, 0];
    changed();
  }

  /**
   * Move what is shown by so many pixels.
   * @param {number} right
   * @param {number} down
   */
  function move(right, down) {
    x -= right / scale;
    y += down / scale;
    changed();
  }

  for (const button of buttons) {
    button.addEventListener("click", () => (button.dataset.zoom === "whole" ? reset() : by(button.dataset.zoom === "in" ? STEP : 1 / STEP)));
  }
  chart.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    by(Math.exp(-event.deltaY / 200), event);
  }, { passive: false });
  chart.addEventListener("dblclick", reset);
  return { now, move, reset };
}
