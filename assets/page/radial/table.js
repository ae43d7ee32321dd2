// @ts-check
// The rings as a table of buttons, for keyboard and screen reader; filled only while it is open.

import { make, part, parts } from "../shared/dom.js";
import { plural } from "../shared/numbers.js";
import { nameOf } from "./scene.js";
/** @import { Selection } from "../payloads.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Hit } from "./selection.js" */

/**
 * @param {HTMLDetailsElement} element
 * @param {(depth: number, token: number, added: boolean) => void} choose called when a token is pressed; `added` with Shift
 * @param {(selection: Selection) => void} hold called when a root of several tokens is pressed
 */
export function table(element, choose, hold) {
  /** @type {Scene | null} */
  let scene = null;
  /** @type {Hit | null} */
  let hit = null;
  /** @type {Selection | null} */
  let frozen = null;

  /** @param {Scene} scene */
  function fill(scene) {
    const body = part(element, "tbody");
    body.replaceChildren();
    if (scene.around) {
      const row = make("tr", "", undefined, body);
      make("th", "", "score", row).scope = "row";
      const button = make("button", `af-token-button af-${nameOf(scene.pooling)}`, scene.rootNames().join(", "), make("td", "", undefined, row));
      button.type = "button";
      button.dataset.centre = "";
      button.addEventListener("click", () => hold(scene.root()));
    }
    for (const { depth, nodes } of scene.rings) {
      const row = make("tr", "", undefined, body);
      make("th", "", scene.ringName(depth), row).scope = "row";
      const cell = make("td", "", undefined, row);
      for (const { token, models = 0 } of [...nodes.values()].sort((p, q) => p.token - q.token)) {
        const button = make("button", `af-token-button af-${nameOf(models)}`, scene.text[token], cell);
        button.type = "button";
        button.dataset.row = `${depth} ${token}`;
        button.title = `${scene.names[token]}: ${attention(scene, depth, token, models)}`;
        button.addEventListener("click", (event) => choose(depth, token, event.shiftKey));
      }
    }
    mark();
  }

  /**
   * @param {Scene} scene
   * @param {number} depth
   * @param {number} token
   * @param {number} models
   */
  function attention(scene, depth, token, models) {
    return scene.active.filter((i) => models & (1 << i)).map((i) => {
      const graph = scene.graphs[i], pairs = graph.attendersOf(depth, token).reduce((sum, e) => sum + graph.headsOf(e).length, 0);
      return `${scene.graphs.length > 1 ? `${"AB"[i]}: ` : ""}attended to by ${plural(pairs, "head")}`;
    }).join(", ");
  }

  function mark() {
    for (const button of parts(element, "[data-row]")) {
      const [depth, token] = (button.dataset.row ?? "").split(" ").map(Number);
      button.classList.toggle("af-on", Boolean(hit?.nodes[depth]?.[token]));
      button.setAttribute("aria-pressed", String(Boolean(frozen?.ends.some((end) => end.depth === depth && end.tokens.includes(token)))));
    }
  }

  element.addEventListener("toggle", () => { if (element.open && scene) fill(scene); });
  return {
    /** @param {Scene} shown */
    draw(shown) { scene = shown; if (element.open) fill(scene); },
    /**
     * @param {Hit | null} found
     * @param {Selection | null} held
     */
    light(found, held) { [hit, frozen] = [found, held]; if (element.open) mark(); },
  };
}
