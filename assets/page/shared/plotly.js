// @ts-check
// Plotly, and what all charts share.
import { colour, make } from "./dom.js";

/**
 * The part of Plotly that is used here.
 * @typedef {object} PlotlyApi
 * @property {(chart: HTMLElement, data: object[], layout: object, config: object) => Promise<unknown>} react
 * @property {(chart: HTMLElement, update: object) => Promise<unknown>} relayout
 * @property {(chart: HTMLElement) => void} purge
 * @property {(figure: object, options: object) => Promise<string>} toImage
 */
/**
 * What Plotly makes of an element.
 * @typedef {object} Drawn
 * @property {(name: string, told: (event: any) => void) => void} on
 * @property {(name: string) => void} [removeAllListeners]
 * @property {any} [_fullLayout]
 */
/** @typedef {HTMLElement & Drawn} ChartElement */

const ADDRESS = new URL("../plotly.min.js", import.meta.url).href;

/**
 * Load Plotly when the first chart is made: the page without charts needs none of it.
 * @returns {Promise<PlotlyApi>}
 */
function loaded() {
  return new Promise((done, failed) => {
    const script = make("script");
    script.src = ADDRESS;
    script.onload = () => done(/** @type {any} */ (globalThis).Plotly); // ours: a gr.Plot on the page would later put its own build there
    script.onerror = () => failed(new Error(`${ADDRESS} did not load; charts cannot be drawn.`));
    document.head.append(script);
  });
}

export const Plotly = await loaded();
export const CONFIG = {
  responsive: false, displaylogo: false, // resizing is ours: panels may be drawn while their tab is hidden
  modeBarButtonsToRemove: ["sendChartToCloud", "autoScale2d", "select2d", "lasso2d"],
  toImageButtonOptions: { format: "png", scale: 2, filename: "attnflow" },
};

/**
 * Layout that every chart shares: the page shows through, and text has the page's colour and font.
 * @param {Record<string, any>} layout
 * @returns {Record<string, any>}
 */
export const chartLayout = (layout) => ({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
  modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--body-text-color-subdued"), activecolor: colour("--body-text-color") },
  font: { color: colour("--body-text-color"), family: colour("--font"), size: 12 },
  hoverlabel: { bgcolor: colour("--background-fill-primary"), bordercolor: colour("--border-color-primary"), font: { color: colour("--body-text-color") } },
  ...layout,
});
