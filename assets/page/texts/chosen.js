// @ts-check
// The controls that choose what one plot shows: hidden states of a layer, behaviour, or two columns.
import { make } from "../shared/dom.js";
import { laidOut } from "./choices.js";
import { dataMap, isDataMap } from "./datamap.js";
import { choice as list, fill } from "./room.js";
/** @import { LayoutOf } from "../payloads.js" */
/** @import { Choice } from "./choices.js" */
/** @import { Acts, Room } from "./room.js" */

const METHODS = { pca: "PCA", tsne: "t-SNE", umap: "UMAP" };

/**
 * What a plot shows, in words.
 * @param {Choice} choice
 * @param {Room} room
 */
export function shown(choice, { columns, collection }) {
  if (isDataMap(choice, collection)) return "data map, variability to the right and confidence up";
  if (choice.of === "columns") return [choice.y, choice.x].map((name) => columns.get(name)?.title ?? name).join(" against ");
  const model = collection.models.length > 1 ? choice.side.toUpperCase() : "the model", method = METHODS[choice.method];
  return choice.of === "hidden" ? `hidden states of ${model} after layer ${choice.layer}, ${method}` : `behaviour of ${model}, ${method}`;
}

/**
 * @param {Element} box
 * @param {0 | 1} index
 * @param {Acts} acts
 */
export function chooser(box, index, acts) {
  const which = index ? "right" : "left", bar = make("div", "af-tx-bar", undefined, box);
  /** @type {Room} */
  let room;
  /** @type {Choice} */
  let now;
  /** @param {Partial<Record<"of" | "side" | "layer" | "method" | "x" | "y", any>>} change */
  const change = (change) => acts.plot(index, /** @type {Choice} */ ({ ...now, ...change }));
  const what = list("", bar, (value) => {
    const [of, side] = /** @type {["hidden" | "behaviour" | "columns", LayoutOf["side"]]} */ (value.split(" "));
    const map = dataMap(room.collection);
    if (value === "map" && map) { acts.plot(index, map); return; }
    if (of === "columns") {
      const numbers = [...room.columns.values()].filter(({ kind }) => kind === "number").map(({ name }) => name);
      acts.plot(index, { of, x: numbers[0] ?? "", y: numbers[1] ?? numbers[0] ?? "" });
      return;
    }
    const method = now.of === "columns" ? room.collection.methods[0] : now.method, last = room.collection.layers["ab".indexOf(side)] ?? 0;
    if (of === "behaviour") acts.plot(index, { of, side, method });
    else acts.plot(index, { of, side, layer: now.of === "hidden" ? Math.min(now.layer, last) : last, method });
  }, `What the ${which} plot shows`);
  const method = list("", bar, (method) => change({ method }), `Projection of the ${which} plot`);
  const layer = make("label", "af-layer", "layer ", bar), slider = make("input", "", undefined, layer), told = make("output", "", undefined, layer);
  slider.type = "range";
  slider.min = "0";
  slider.setAttribute("aria-label", `Layer of the ${which} plot`);
  slider.addEventListener("input", () => change({ layer: slider.valueAsNumber }));
  const x = list("x", bar, (x) => change({ x }), `x of the ${which} plot`), y = list("y", bar, (y) => change({ y }), `y of the ${which} plot`);

  for (const axis of [x, y]) axis.parentElement?.classList.add("af-tx-axis");

  return {
    /** @param {Room} shown */
    show(shown) {
      room = shown;
      now = room.choices.plots[index];
      const { collection, columns } = room, sides = collection.models.map((_, i) => ({ side: "ab"[i], name: collection.models.length > 1 ? `${"AB"[i]}: ` : "" }));
      /** @type {[string, string][]} */
      const options = laidOut(collection) ? sides.map(({ side, name }) => [`hidden ${side}`, `${name}hidden states`]) : [];
      if (laidOut(collection)) options.push(...sides.map(({ side, name }) => /** @type {[string, string]} */ ([`behaviour ${side}`, `${name}behaviour`])));
      options.push(["columns", "two columns"]);
      const mapped = isDataMap(now, collection);
      if (collection.training) options.unshift(["map", "data map"]);
      fill(what, options, mapped ? "map" : now.of === "columns" ? now.of : `${now.of} ${now.side}`);
      /** @param {HTMLElement} control @param {boolean} on */
      const seen = (control, on) => { (control.closest("label") ?? control).hidden = !on; };
      seen(method, now.of !== "columns");
      seen(layer, now.of === "hidden");
      seen(x, now.of === "columns" && !mapped);
      seen(y, now.of === "columns" && !mapped);
      if (now.of !== "columns") fill(method, collection.methods.map((name) => [name, METHODS[name]]), now.method);
      if (now.of === "hidden") {
        const last = collection.layers["ab".indexOf(now.side)] ?? 0;
        slider.max = String(last);
        slider.value = String(now.layer);
        told.textContent = now.layer ? `${now.layer} of ${last}` : "0 (input)";
      }
      if (now.of === "columns") {
        /** @type {[string, string][]} */
        const numbers = [...columns.values()].filter(({ kind }) => kind === "number").map(({ name, title }) => [name, title]);
        fill(x, numbers, now.x);
        fill(y, numbers, now.y);
      }
    },
  };
}
