// @ts-check
// Saving what the radial view shows: as a picture with the held selection, or as a page of its own that works offline.

import { colour, make, makeSvg, parts } from "../shared/dom.js";
import { escape } from "../shared/markup.js";
import { cellCorners } from "./geometry.js";
import { carried, opacityOf, widthOf } from "./highlight.js";
import { draw, names } from "./rings.js";
import { nameOf } from "./scene.js";
import { projection } from "./zoom.js";
/** @import { Radial, Selection } from "../payloads.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Hit } from "./selection.js" */
/** @import { Projection } from "./zoom.js" */

/** @typedef {{ selection: Selection, hit: Hit, told: string }} Held what is held, what it lights, and how it is said */

const DENSITY = 2; // pixels of a PNG for one of the page

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

const TITLE = 13; // pixels of the text above a picture
const LEADING = 17; // from line to line

/**
 * What a picture is of, in lines: models and threshold, the sentences, what is held.
 * @param {Scene} scene
 * @param {string} told
 * @returns {[text: string, bold: boolean][]}
 */
function heading({ data, width, active }, told) {
  const names = active.map((i) => (data.models.length > 1 ? `${"AB"[i]}: ` : "") + data.models[i].name);
  /**
   * @param {string} text
   * @param {boolean} bold
   * @returns {[string, boolean][]}
   */
  const fit = (text, bold = false) => lines(text, Math.floor(width / 7.5)).map((line) => [line, bold]);
  return [...fit(`${names.join(", ")}, ${data.threshold}`, true), ...sentences(data).flatMap((text) => fit(text)), ...(told ? fit(told, true) : [])];
}

/** The styles that a picture needs, with the colours of the page. */
function styles() {
  const models = [1, 2, 3].map((set) => `.af-${nameOf(set)} { fill: ${colour(`--af-${nameOf(set)}`)}; }`).join(" ");
  const line = colour("--border-color-primary"), text = colour("--body-text-color");
  return `text { font-family: ${colour("--font")}; text-anchor: middle; font-weight: 500; } .af-heading { fill: ${text}; text-anchor: start; } .af-strong { font-weight: 700; }
.af-quiet { font-style: italic; font-weight: 400; } .af-none, .af-shared { fill: ${line}; } .af-circle { fill: none; stroke: ${line}; stroke-opacity: .6; }
.af-meet { stroke: ${text}; stroke-width: 3; } .af-ring-name { fill: ${colour("--body-text-color-subdued")}; font-weight: 400; } .af-ring-name, .af-centre { stroke: ${colour("--block-background-fill")}; stroke-width: 3; paint-order: stroke; } ${models}`;
}

/**
 * What a selection lights: its lines, its heads, and its names again above those that are dimmed.
 * @param {SVGElement} picture
 * @param {Scene} scene
 * @param {Projection} whole
 * @param {Held} held
 */
function paintHeld(picture, scene, whole, { selection, hit }) {
  for (const line of hit.lines) {
    const [[x1, y1], [x2, y2]] = scene.lineEnds(line);
    makeSvg("line", {
      x1: whole.x(x1), y1: whole.y(y1), x2: whole.x(x2), y2: whole.y(y2),
      stroke: colour(`--af-${nameOf(line[3])}`), "stroke-width": widthOf(line), "stroke-opacity": opacityOf(line, selection),
    }, picture);
  }
  const cells = makeSvg("g", { transform: whole.transform }, picture);
  for (const ring of scene.rings) {
    for (const node of ring.nodes.values()) {
      if (!hit.nodes[ring.depth][node.token]) continue;
      carried(scene, hit, ring, node).forEach((models, head) => {
        if (models) makeSvg("path", { d: `M${cellCorners(ring, node, head).map((point) => point.join(",")).join("L")}Z`, class: `af-${nameOf(models)}` }, cells);
      });
    }
  }
}

/**
 * A scene as a picture of its own: what it is of, the rings with their names, and what is held.
 * @param {Scene} scene
 * @param {Held | null} held
 */
function picture(scene, held) {
  const { width } = scene, whole = projection(width, scene.height), above = heading(scene, held?.told ?? "");
  const key = scene.comparing ? ["only A", "only B", "both"].map((text, i) => [text, nameOf(i + 1)]) : [];
  const top = LEADING * (above.length + Math.sign(key.length)) + 14, height = scene.height + top;
  const svg = makeSvg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` });
  makeSvg("style", {}, svg).textContent = styles();
  makeSvg("rect", { width, height, fill: colour("--block-background-fill") }, svg);
  above.forEach(([text, bold], i) => {
    makeSvg("text", { class: `af-heading${bold ? " af-strong" : ""}`, x: 8, y: LEADING * (i + 1), "font-size": TITLE }, svg).textContent = text;
  });
  key.forEach(([text, name], i) => {
    const at = 8 + 90 * i, y = LEADING * (above.length + 1);
    makeSvg("rect", { x: at, y: y - 10, width: 11, height: 11, class: `af-${name}` }, svg);
    makeSvg("text", { class: "af-heading", x: at + 16, y, "font-size": TITLE }, svg).textContent = text;
  });
  const stage = makeSvg("g", { transform: `translate(0 ${top})` }, svg), drawing = makeSvg("g", { transform: whole.transform }, stage);
  const layers = { rings: makeSvg("g", {}, stage), tokens: makeSvg("g", {}, stage) };
  draw(drawing, scene);
  names(layers, scene, whole, true);
  if (held) {
    drawing.setAttribute("opacity", "0.22");
    paintHeld(stage, scene, whole, held);
    stage.append(layers.tokens);
    for (const name of layers.tokens.children) {
      const centre = name.classList.contains("af-centre"), [depth, token] = (name.getAttribute("data-at") ?? "").split(" ").map(Number);
      const models = centre ? scene.litCentre(held.hit) : held.hit.nodes[depth][token];
      if (!models) name.setAttribute("opacity", "0.2");
      else name.setAttribute("class", `af-${nameOf(models)} af-strong${centre ? " af-centre" : ""}`);
    }
  }
  return { svg, width, height };
}

/**
 * Let the browser save a scene as PNG or SVG.
 * @param {"png" | "svg"} format
 * @param {Scene} scene
 * @param {Held | null} held
 */
export async function saveImage(format, scene, held) {
  const { svg, width, height } = picture(scene, held), text = new XMLSerializer().serializeToString(svg);
  if (format === "svg") { download("attention-flow.svg", text); return; }
  const image = new Image(), canvas = make("canvas");
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  canvas.width = DENSITY * width;
  canvas.height = DENSITY * height;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  download("attention-flow.png", canvas.toDataURL("image/png"));
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
  const base = new URL("..", import.meta.url);
  const [styles, modules] = await Promise.all([read(new URL("panels.css", base)), collected("radial/radial.js", base)]);
  const imports = Object.fromEntries([...modules].map(([path, source]) => [path, `data:text/javascript;charset=utf-8,${encodeURIComponent(source)}`]));
  const body = /** @type {HTMLElement} */ (box.cloneNode(true));
  body.removeAttribute("data-drawn");
  for (const layer of body.querySelectorAll(".af-overlay")) layer.remove();
  body.querySelector(".af-table tbody")?.replaceChildren();
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
${inline(start, "module")}</body></html>`);
}
