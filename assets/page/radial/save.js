// @ts-check
// Saving what the radial view shows: as a picture with the held selection, or as a page of its own that works offline.

import { colour, make, parts } from "../shared/dom.js";
import { Plotly, escape } from "../shared/plotly.js";
import { cellCorners } from "./geometry.js";
import { carried, opacityOf } from "./highlight.js";
import { centreLines, degrees, figure as restingFigure } from "./rings.js";
import { nameOf } from "./scene.js";
/** @import { Radial, Selection } from "../payloads.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Hit } from "./selection.js" */

const THEME = [
  "--body-text-color", "--body-text-color-subdued", "--background-fill-primary", "--background-fill-secondary",
  "--border-color-primary", "--color-accent", "--color-accent-soft", "--block-background-fill", "--font",
];

/**
 * Let the browser save a text or an address under a name.
 * @param {string} name
 * @param {string} content
 */
export function download(name, content) {
  const anchor = make("a", "", undefined, document.body);
  anchor.href = content.startsWith("data:") ? content : URL.createObjectURL(new Blob([content]));
  anchor.download = name;
  anchor.click();
  anchor.remove();
  if (!content.startsWith("data:")) setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
}

/**
 * The sentences, put together from their tokens.
 * @param {Radial} data
 */
const sentences = ({ text, sentence }) => [0, 1].map((part) => text.filter((_, i) => sentence[i] === part).join(" ").replace(/ ·(?=\S)| (?=[.,;:!?)])/g, "")).filter(Boolean);

/**
 * A text in lines of at most so many characters, broken at a space where there is one.
 * @param {string} text
 * @param {number} most
 * @returns {string[]}
 */
export function lines(text, most) {
  const characters = [...text];
  if (characters.length <= most) return [text];
  const at = characters.lastIndexOf(" ", most), end = at > 0 ? at : most;
  return [characters.slice(0, end).join(""), ...lines(characters.slice(end).join("").trimStart(), most)];
}

/**
 * What a picture is of, in lines of Plotly text: models and threshold, the sentences, the colours.
 * @param {Scene} scene
 */
function heading({ data, width, comparing, active }) {
  const names = active.map((i) => (data.models.length > 1 ? `${"AB"[i]}: ` : "") + data.models[i].name);
  /** @param {string} text */
  const fit = (text) => lines(text, Math.floor(width / 7.5)).map(escape);
  const key = ["a", "b", "ab"].map((name, i) => `<span style="color:${colour(`--af-${name}`)}">■ ${["only A", "only B", "both"][i]}</span>`).join("  ");
  return [...fit(`${names.join(", ")}, ${data.threshold}`).map((line) => `<b>${line}</b>`), ...sentences(data).flatMap(fit), ...(comparing ? [key] : [])];
}

/**
 * PNG or SVG of a scene; `hit` is what `selection` lights.  What the page paints above the chart becomes part of it.
 * @param {"png" | "svg"} format
 * @param {Scene} scene
 * @param {Hit | null} hit
 * @param {Selection | null} selection
 */
export async function saveImage(format, scene, hit, selection) {
  const { data: traces, layout } = restingFigure(scene);
  const rest = hit ? 0.2 : 1;
  /** @type {object[]} */
  const drawn = layout.shapes.map((/** @type {{ opacity: number }} */ shape) => ({ ...shape, opacity: shape.opacity * rest })), annotations = [];
  for (const line of (selection && hit?.lines) ?? []) {
    const [[x0, y0], [x1, y1]] = scene.lineEnds(line);
    drawn.push({ type: "line", x0, y0, x1, y1, line: { color: colour(`--af-${nameOf(line[3])}`), width: 1.2 }, opacity: opacityOf(line, /** @type {Selection} */ (selection)) });
  }
  for (const ring of scene.rings) {
    for (const node of ring.nodes.values()) {
      const on = hit?.nodes[ring.depth][node.token];
      if (hit && on) {
        carried(scene, hit, ring, node).forEach((models, head) => {
          const path = `M${cellCorners(ring, node, head).map((point) => point.join(",")).join("L")}Z`;
          if (models) drawn.push({ type: "path", path, fillcolor: colour(`--af-${nameOf(models)}`), line: { width: 0 } });
        });
      }
      annotations.push({
        x: node.x, y: node.y, text: escape(node.name ?? "") || "·", textangle: degrees(ring, node), showarrow: false, opacity: !hit || on ? 1 : 0.2,
        font: { size: ring.font, color: colour(`--af-${nameOf(on || (node.models ?? 0))}`) },
      });
    }
  }
  for (const { text, y, size } of scene.around ? centreLines(scene) : []) {
    annotations.push({ x: 0, y, text: escape(text), showarrow: false, opacity: !hit || hit.nodes[0].some(Boolean) ? 1 : 0.2, font: { size, color: colour(`--af-${nameOf(scene.pooling)}`) } });
  }
  const above = heading(scene), top = 17 * above.length + 14, height = layout.height + top;
  annotations.push({ xref: "paper", yref: "paper", x: 0, y: 1, xshift: 8, xanchor: "left", yanchor: "bottom", align: "left", showarrow: false, text: above.join("<br>"), font: { size: 13 } });
  const figure = {
    data: traces.map((trace) => ({ ...trace, opacity: (trace.opacity ?? 1) * (hit ? 0.4 : 1) })),
    layout: { ...layout, height, margin: { ...layout.margin, t: top }, paper_bgcolor: colour("--block-background-fill"), shapes: drawn, annotations },
  };
  download(`attention-flow.${format}`, await Plotly.toImage(figure, { format, width: layout.width, height, scale: format === "png" ? 2 : 1 }));
}

/** @param {URL | string} address */
const read = async (address) => (await fetch(address)).text();

/** An import of another module of ours; each stands in a line of its own. */
const IMPORT = /^(import [^"]*")(\.[^"]+)(";)$/gm;

/**
 * A module and all that it imports, by their paths below `base`: relative imports become such paths, without a dot, so that
 * an import map can name a module that has no address.
 * @param {string} path
 * @param {URL} base
 * @param {Map<string, string>} [modules]
 */
async function collected(path, base, modules = new Map()) {
  if (modules.has(path)) return modules;
  modules.set(path, ""); // is on its way
  const source = await read(new URL(path, base));
  /** @param {string} relative */
  const full = (relative) => new URL(relative, new URL(path, base)).href.slice(base.href.length);
  modules.set(path, source.replace(IMPORT, (_, before, relative, after) => before + full(relative) + after));
  await Promise.all([...source.matchAll(IMPORT)].map(([, , relative]) => collected(full(relative), base, modules)));
  return modules;
}

/**
 * A page of its own with the same data, scripts and interaction.  Modules cannot be loaded from files, so an import map
 * carries them.
 * @param {HTMLElement} box the radial view
 * @param {Radial} data
 * @param {Record<string, string>} state
 */
export async function savePage(box, data, state) {
  const base = new URL("..", import.meta.url), plotly = document.querySelector('script[src*="/plotly.min.js"]');
  if (!(plotly instanceof HTMLScriptElement)) throw new Error("Plotly's script is not in this page.");
  const [library, styles, modules] = await Promise.all([read(plotly.src), read(new URL("panels.css", base)), collected("radial/radial.js", base)]);
  const imports = Object.fromEntries([...modules].map(([path, source]) => [path, `data:text/javascript;charset=utf-8,${encodeURIComponent(source)}`]));
  const body = /** @type {HTMLElement} */ (box.cloneNode(true));
  body.removeAttribute("data-drawn");
  for (const layer of body.querySelectorAll(".af-overlay")) layer.remove();
  body.querySelector(".af-table tbody")?.replaceChildren();
  body.querySelector(".af-chart")?.replaceWith(Object.assign(document.createElement("div"), { className: "af-chart", tabIndex: 0 }));
  for (const button of parts(body, "[data-save]")) if (!["png", "svg"].includes(button.dataset.save ?? "")) button.remove();
  const theme = THEME.map((name) => `${name}: ${colour(name)};`).join(" "), models = data.models.map((model) => model.name).join(" and ");
  /**
   * @param {string} source
   * @param {string} [type]
   */
  const inline = (source, type = "") => `<script${type && ` type="${type}"`}>${source.replace(/<\/script/gi, "<\\/script")}</scr` + "ipt>";
  /** @param {any} content */
  const json = (content) => JSON.stringify(content).replace(/</g, "\\u003c");
  const start = `import { restore } from "shared/link.js";
import { mount } from "radial/radial.js";
restore(${json(state)});
mount(document.querySelector("main"), { props: { value: ${json(JSON.stringify(data))} }, trigger() {}, watch() {} });`;
  download("attention-flow.html", `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Attention flow of ${escape(models)}</title><style>:root { ${theme} } body { max-width: 960px; margin: 1rem auto; padding: 0 1rem; font-family: var(--font); color: var(--body-text-color); background: var(--block-background-fill); } ${styles}</style>
${inline(json({ imports }), "importmap")}</head>
<body class="${document.body.classList.contains("dark") ? "dark" : ""}"><main class="gradio-container"><p>${escape(models)}, ${data.threshold}</p>${sentences(data).map((text) => `<p>${escape(text)}</p>`).join("")}${body.outerHTML}</main>
${inline(library)}
${inline(start, "module")}</body></html>`);
}
