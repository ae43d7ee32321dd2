// @ts-check
// The sentence-context ring beside the radial view: the angle is the place in the sentence, the same in every ring.

import { makeSvg } from "../shared/dom.js";
import { layout } from "./geometry.js";
import { nameOf } from "./scene.js";
/** @import { RingNode } from "./geometry.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Hit } from "./selection.js" */

/** @param {HTMLElement} element */
export function context(element) {
  /** @type {[depth: number, token: number, dot: SVGElement][]} */
  let dots = [];

  /** @param {Scene} scene */
  function draw({ rings, text, second, around }) {
    element.replaceChildren();
    const svg = makeSvg("svg", { viewBox: "-60 -60 120 120", role: "img", "aria-label": "Where the words of each ring stand in the sentences" }, element);
    const everything = text.map((_, token) => token);
    const full = layout(rings.map(() => everything), second, 1, 56, around);
    dots = [];
    for (const { depth, nodes } of rings.slice(around ? 0 : 1)) {
      makeSvg("circle", { r: full[depth].r, class: "af-orbit" }, svg);
      for (const { token, models } of nodes.values()) {
        const { x, y } = /** @type {RingNode} */ (full[depth].nodes.get(token));
        dots.push([depth, token, makeSvg("circle", { cx: x.toFixed(1), cy: (-y).toFixed(1), r: 1.7, class: `af-${nameOf(models ?? 0)}`, "data-place": `${depth} ${token}` }, svg)]);
      }
    }
  }

  /** @param {Hit | null} hit */
  function light(hit) {
    element.classList.toggle("af-lit", Boolean(hit));
    for (const [depth, token, dot] of dots) dot.classList.toggle("af-on", Boolean(hit?.nodes[depth][token]));
  }

  return { draw, light };
}
