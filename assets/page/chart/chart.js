// @ts-check
// Any chart that Python describes: a Plotly figure with our colours by name, drawn in the theme of the page.
// The value is { title, alt, data, layout, height, note }.  A colour is written "@a", "@b", "@ab" (the models), "@text",
// "@quiet", "@line" or "@page", with ":40" after it for an opacity of 40 %.  Every other text is shown as it is.

import { colour, part } from "../shared/dom.js";
import { escape } from "../shared/markup.js";
import { panel } from "../shared/panel.js";
import { CONFIG, Plotly, chartLayout } from "../shared/plotly.js";
/** @import { ChartFigure, Selected } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */
/** @import { ChartElement } from "../shared/plotly.js" */

/** @type {Record<string, string>} */
const COLOURS = {
  a: "--af-a", b: "--af-b", ab: "--af-ab", text: "--body-text-color", quiet: "--body-text-color-subdued",
  line: "--border-color-primary", page: "--background-fill-primary",
};

/**
 * A figure with its colours filled in and its texts escaped: Plotly would read `<s>` as a tag.
 * @param {any} value
 * @param {string} key the name it has in what holds it
 * @returns {any}
 */
function dress(value, key = "") {
  if (Array.isArray(value)) return value.map((item) => dress(item, key));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, dress(item, name)]));
  if (typeof value !== "string") return value;
  const [, name, opacity] = /^@(\w+)(?::(\d+))?$/.exec(value) ?? [];
  if (COLOURS[name]) return opacity ? fade(colour(COLOURS[name]), Number(opacity) / 100) : colour(COLOURS[name]);
  return /template$/.test(key) ? value : escape(value);
}

/**
 * @param {string} text
 * @param {number} opacity
 */
function fade(text, opacity) {
  const probe = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  probe.fillStyle = text; // reads any CSS colour
  return `${String(probe.fillStyle).slice(0, 7)}${Math.round(255 * opacity).toString(16).padStart(2, "0")}`;
}

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /** @type {ChartElement} */
  const chart = part(element, ".af-chart");
  const title = part(element, ".af-title"), note = part(element, ".af-note");
  function clear() {
    Plotly.purge(chart); // with whoever listens to it
    delete chart.dataset.wired;
    chart.style.height = "";
    title.textContent = note.textContent = "";
    chart.removeAttribute("role"); // a group without a name
  }
  /** @param {ChartFigure} figure */
  async function draw(figure) {
    const box = part(element, ".af-figure"), wide = (figure.least ?? 0) > box.clientWidth;
    chart.classList.toggle("af-wide", wide);
    chart.style.width = wide ? `${figure.least}px` : "";
    if (wide) box.tabIndex = 0; // the keyboard scrolls it
    else box.removeAttribute("tabindex");
    const width = chart.clientWidth;
    title.textContent = figure.title;
    note.textContent = figure.note ?? "";
    chart.setAttribute("role", "group"); // no image: it holds buttons
    chart.setAttribute("aria-label", figure.alt ?? figure.title);
    chart.style.height = `${figure.height ?? 320}px`;
    const lines = { gridcolor: colour("--border-color-primary"), zerolinecolor: colour("--border-color-primary") };
    const layout = chartLayout({ margin: { l: 50, r: 12, t: 8, b: 40 }, ...dress(figure.layout), width, height: chart.clientHeight });
    for (const name of Object.keys(layout)) if (/^[xy]axis/.test(name)) layout[name] = { ...lines, ...layout[name] };
    if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false;
    await Plotly.react(chart, dress(figure.data), layout, { ...CONFIG, displayModeBar: box.clientWidth < 420 ? false : "hover" });
    if (chart.dataset.wired) return;
    chart.dataset.wired = "1";
    chart.on("plotly_click", ({ points: [point] }) => {
      /** @type {Selected | undefined} */
      const selected = point.customdata;
      if (selected) gradio.trigger("select", selected);
    });
  }
  panel(gradio, part(element, ".af-figure"), { draw, clear, leave: () => Plotly.purge(chart) });
}
