// @ts-check
// The sentence-context ring beside the radial view: the angle is the place in the sentence, the same in every ring.

import { makeSvg } from "../shared/dom.js";
import { layout } from "./geometry.js";
import { nameOf } from "./scene.js";
/** @import { RingNode } from "./geometry.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Hit } from "./selection.js" */

/**
 * The class of a dot at rest.
 * @param {Scene} scene
 * @param {number} models
 */
const resting = (scene, models) => `af-${scene.leavesOut(models) ? "shared" : nameOf(models)}`;

/** @param {HTMLElement} element */
export function context(element) {
  /** @type {[depth: number, token: number, rest: string, dot: SVGElement][]} */
  let dots = [];

  /** @param {Scene} scene */
  function draw(scene) {
    const { rings, text, second, around } = scene;
    element.replaceChildren();
    const svg = makeSvg("svg", { viewBox: "-60 -60 120 120", role: "img", "aria-label": "Where the words of each ring stand in the sentences" }, element);
    const everything = text.map((_, token) => token);
    const full = layout(rings.map(() => everything), second, 1, 56, { around });
    dots = [];
    for (const { depth, nodes } of rings.slice(around ? 0 : 1)) {
      makeSvg("circle", { r: full[depth].r, class: "af-orbit" }, svg);
      for (const { token, models } of nodes.values()) {
        const { x, y } = /** @type {RingNode} */ (full[depth].nodes.get(token));
        dots.push([depth, token, resting(scene, models ?? 0), makeSvg("circle", { cx: x.toFixed(1), cy: (-y).toFixed(1), r: 1.7, class: resting(scene, models ?? 0), "data-place": `${depth} ${token}` }, svg)]);
      }
    }
  }

  /** @param {Hit | null} hit */
  function light(hit) {
    element.classList.toggle("af-lit", Boolean(hit));
    for (const [depth, token, rest, dot] of dots) {
      const lit = hit?.nodes[depth][token] ?? 0;
      dot.setAttribute("class", lit ? `af-on af-${nameOf(lit)}` : rest); // of the selection, where there is one
    }
  }

  return { draw, light };
}
