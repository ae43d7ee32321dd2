// @ts-check
// A Plotly heat map of tokens against tokens, and under it the sentence coloured by what one token attends to.
import { colour, make, part } from "../shared/dom.js";
import { percent, shorten } from "../shared/numbers.js";
import { escape } from "../shared/markup.js";
import { panel } from "../shared/panel.js";
import { CONFIG, Plotly, chartLayout } from "../shared/plotly.js";
/** @import { HeatMap, LitTokens, Selected } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */
/** @import { ChartElement } from "../shared/plotly.js" */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /** @type {ChartElement} */
  const chart = part(element, ".af-chart");
  const title = part(element, ".af-title"), strip = part(element, ".af-token-row"), told = part(element, ".af-note");
  /** @type {HeatMap | null} */
  let current = null;
  /** @type {number | null} */
  let query = null;

  /**
   * The row of one token over the text; a click on a word chooses its row.
   * @param {HeatMap} figure
   * @param {number} query
   */
  function words({ data: [trace], names, told: named, model, row: say }, query) {
    const row = trace.z[query], most = Math.max(...row);
    strip.replaceChildren();
    strip.className = `af-token-row af-model-${model}`;
    told.textContent = `${say.replace("{}", () => named[query])}, out of 100 %. Click a word, or a row of the map, for another row.`;
    names.forEach((name, key) => {
      const word = make("button", "", name, strip);
      word.type = "button";
      word.style.setProperty("--share", String(most ? row[key] / most : 0));
      word.setAttribute("aria-pressed", String(key === query));
      word.title = `${named[query]} → ${named[key]}: ${percent(row[key], 1)}`;
      word.setAttribute("aria-label", word.title);
      word.classList.toggle("af-chosen", lit(model).includes(key));
      word.addEventListener("click", () => { pick(key); /** @type {HTMLElement} */ (strip.children[key]).focus({ preventScroll: true }); });
    });
  }
  /** Where the selected word stands. @param {HeatMap["model"]} model */
  function lit(model) {
    /** @type {LitTokens | null | undefined} */
    const lit = gradio.props.lit;
    return lit?.[model] ?? [];
  }
  /** Its rows and columns, framed. @param {HeatMap} figure */
  function frames({ model, names }) {
    const marked = lit(model).filter((token) => token < names.length), size = names.length - 0.5, line = { color: colour("--body-text-color"), width: 1.5 };
    if (!marked.length) return [];
    const low = Math.min(...marked) - 0.5, high = Math.max(...marked) + 0.5;
    return [{ type: "rect", x0: -0.5, x1: size, y0: low, y1: high, line }, { type: "rect", x0: low, x1: high, y0: -0.5, y1: size, line }];
  }
  /** @param {number} row */
  function choose(row) {
    query = row;
    if (current) words(current, row);
  }
  /** A token that was clicked: its row here, and its word on the whole page. @param {number} row */
  function pick(row) {
    choose(row);
    if (!current) return;
    /** @type {Selected} */
    const selected = { side: current.model, piece: row };
    gradio.trigger("select", selected);
  }
  gradio.watch("lit", () => {
    if (!current) return;
    const [first] = lit(current.model);
    if (first !== undefined && query !== null && !lit(current.model).includes(query)) query = first;
    Plotly.relayout(chart, { shapes: frames(current) });
    choose(query ?? current.start);
  });

  function clear(heading = "") {
    Plotly.purge(chart);
    strip.replaceChildren();
    told.textContent = "";
    query = current = null;
    title.textContent = heading;
    chart.style.height = "";
    chart.hidden = false;
  }
  /** @param {HeatMap} figure */
  async function draw(figure) {
    if (!figure.data.length) { // the model has no such head, and the reason needs no room for a map
      clear(figure.title);
      chart.hidden = true;
      return;
    }
    const { data: [trace], layout, names } = figure, own = colour(`--af-${figure.model}`);
    chart.hidden = false;
    const width = chart.clientWidth, narrow = width < 420;
    title.textContent = figure.title;
    chart.style.height = `${Math.min(720, width + 30)}px`;
    const step = Math.ceil((11.5 * names.length) / (width - 130)); // as many names as can be read
    const places = names.map((_, index) => index).filter((index) => index % step === 0);
    const axis = { tickvals: places, ticktext: places.map((index) => escape(shorten(names[index], 12))), tickfont: { size: 10 } };
    const shown = {
      // Weight 0 is the page itself, in light and in dark mode.
      ...trace, colorscale: [[0, `${own}00`], [1, own]], showscale: !narrow, xgap: names.length > 32 ? 0 : 1, ygap: names.length > 32 ? 0 : 1,
      text: names.map((_, query) => names.map((_, key) => `${escape(figure.told[query])} → ${escape(figure.told[key])}`)),
    };
    await Plotly.react(chart, [shown], chartLayout({
      ...layout, width, height: chart.clientHeight, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      shapes: frames(figure), xaxis: { ...layout.xaxis, ...axis }, yaxis: { ...layout.yaxis, ...axis },
    }), { ...CONFIG, displayModeBar: narrow ? false : "hover" });
    if (query === null || current?.names.join("\n") !== names.join("\n")) query = lit(figure.model)[0] ?? figure.start;
    current = figure;
    words(figure, query);
    chart.removeAllListeners?.("plotly_click");
    chart.on("plotly_click", ({ points: [point] }) => pick(point.pointIndex[0]));
  }
  panel(gradio, part(element, ".af-heatmap"), { draw, clear: () => clear(), leave: () => Plotly.purge(chart) });
}
