// @ts-check
// Saving what the radial view shows: as a picture with the held selection.

import { colour, make, makeSvg } from "../shared/dom.js";
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
