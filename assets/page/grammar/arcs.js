// @ts-check
// A sentence with arcs between its words: some above, some below.
import { makeSvg } from "../shared/dom.js";
import { bow, fromRight, levels, places, tip } from "./lanes.js";
/** @import { Arc } from "../payloads.js" */

/**
 * Arcs on one side of the words.
 * @typedef {object} Lane
 * @property {(Arc & { kind: string, label?: string, says?: string, width?: number })[]} arcs `kind` is a class of the style
 *   sheet; what stands at the arc, what it tells while the pointer is there, and how thick it is in pixels may be its own
 * @property {string} label stands at each arc that has none of its own, if it is not empty
 */

const SIZE = 15, GAP = 14, STEP = 17, ASIDE = 5, ROW = 24; // pixels: of letters, between words, between levels, from the middle of a word, of the words

/** @type {CanvasRenderingContext2D | null} */
let pen = null;

/** Pixels that arcs need. @param {number[]} levels_ */
const room = (levels_) => STEP * Math.max(0, ...levels_);

/** @param {string} text @param {string} font */
function measured(text, font) {
  pen ??= document.createElement("canvas").getContext("2d");
  if (!pen) return 8 * text.length;
  pen.font = font;
  return pen.measureText(text).width;
}

/**
 * Draw a sentence; the image says in words what it shows.
 * @param {HTMLElement} box
 * @param {string[]} words
 * @param {Set<number>} marked words that are asked about
 * @param {Lane} above
 * @param {Lane} below
 * @param {string} told
 */
export function arcs(box, words, marked, above, below, told) {
  const family = getComputedStyle(box).fontFamily, right = fromRight(words);
  const { middles, width } = places(words.map((word, place) => measured(word, `${marked.has(place) ? "700 " : ""}${SIZE}px ${family}`)), GAP, right);
  const up = levels(above.arcs), down = levels(below.arcs);
  const top = room(up) + 16, bottom = room(down) + 14, height = top + ROW + bottom;
  box.replaceChildren();
  box.dir = right ? "rtl" : "ltr"; // so that it begins where one reads
  const svg = makeSvg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told, direction: right ? "rtl" : "ltr" }, box);
  words.forEach((word, place) => {
    const text = makeSvg("text", { x: middles[place], y: top + ROW - 7, class: marked.has(place) ? "af-arc-word af-arc-marked" : "af-arc-word", "font-size": SIZE, "text-anchor": "middle" }, svg);
    text.textContent = word;
  });
  lane(svg, above, up, middles, top, 1);
  lane(svg, below, down, middles, top + ROW, -1);
  return right ? width - middles[Math.min(...marked)] : middles[Math.min(...marked)];
}

/**
 * @param {SVGElement} svg
 * @param {Lane} of
 * @param {number[]} level
 * @param {number[]} middles
 * @param {number} line
 * @param {1 | -1} sign 1 above the words
 */
function lane(svg, { arcs: all, label }, level, middles, line, sign) {
  all.forEach(({ word, to, kind, label: own, says, width }, number) => {
    const aside = Math.sign(middles[to] - middles[word]) * ASIDE, from = middles[word] + aside, end = middles[to] - aside;
    const high = sign * STEP * level[number], edge = line - sign;
    const path = makeSvg("path", { d: bow(from, end, edge, high), class: `af-arc ${kind}` }, svg);
    if (width) path.style.strokeWidth = String(width);
    if (says) makeSvg("title", {}, path).textContent = says;
    makeSvg("path", { d: tip(end, edge, sign), class: `af-arc-tip ${kind}` }, svg);
    if (!(own ?? label)) return;
    const name = makeSvg("text", { x: (from + end) / 2, y: edge - high + 3.5, class: "af-arc-name", "text-anchor": "middle", direction: "ltr" }, svg);
    name.textContent = own ?? label;
    if (says) makeSvg("title", {}, name).textContent = says;
  });
}
