// @ts-check
// Which heads follow which relations of a treebank: a map of all heads of one model at a time.
import { make, part } from "../shared/dom.js";
import * as link from "../shared/link.js";
import { panel } from "../shared/panel.js";
import { button } from "../texts/room.js";
import { read, unpack, written } from "./cells.js";
import { map as mapOf } from "./map.js";
/** @import { Grammar, GrammarCell, Head, Side } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */
/** @import { Cells, Measure } from "./cells.js" */

const MEASURES = /** @type {[Measure, string, string][]} */ ([
  ["accuracy", "Accuracy", "How often the head's choice is the governor"], ["lead", "Lead over the best offset", "How much more often than always so many words ahead or back"],
]);

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const box = part(element, ".af-grammar"), tools = make("div", "af-toolbar", undefined, box);
  make("h3", "af-title", "Relations against heads", tools);
  const sides = group("Which model the map shows"), measures = group("What the map shows"), legend = make("span", "af-legend af-gr-legend", undefined, tools);
  /** @type {Grammar | null} */
  let data = null;
  /** @type {Cells[]} */
  let models = [];
  /** @type {Side} */
  let side = link.get("cell").startsWith("b") ? "b" : "a";
  /** @type {Measure} */
  let measure = link.get("grammar") === "lead" ? "lead" : "accuracy";
  /** @type {GrammarCell | null} */
  let chosen = null;

  /** @param {string} name */
  function group(name) {
    const made = make("span", "af-views", undefined, tools);
    made.role = "group";
    made.setAttribute("aria-label", name);
    return made;
  }
  for (const [name, text, title] of MEASURES) {
    const press = button(text, measures, () => {
      measure = name;
      link.set({ grammar: name === "accuracy" ? "" : name });
      redraw();
    }, title);
    press.dataset.measure = name;
  }
  const map = mapOf(make("div", "", undefined, box), (relation, column) => {
    const head = map.headOf(column);
    if (head) choose(side, relation, head);
  });

  /** @param {Side} of @param {string} relation @param {Head} head */
  function choose(of, relation, head) {
    if (!data) return;
    chosen = { key: data.key, side: of, relation, head };
    link.set({ relation, cell: written(chosen) });
    gradio.trigger("cell", chosen);
    if (side !== of) { side = of; redraw(); return; }
    map.mark(chosen);
  }
  function shown() {
    return models.find(({ model }) => model.side === side) ?? models[0];
  }
  function redraw() {
    if (!data || !models.length) return;
    const cells = shown();
    for (const press of measures.querySelectorAll("button")) press.setAttribute("aria-pressed", String(press.dataset.measure === measure));
    for (const press of sides.querySelectorAll("button")) press.setAttribute("aria-pressed", String(press.dataset.side === cells.model.side));
    box.classList.toggle("af-model-a", cells.model.side === "a");
    box.classList.toggle("af-model-b", cells.model.side === "b");
    legend.replaceChildren();
    const key = make("span", "af-key", undefined, legend);
    make("span", "", measure === "accuracy" ? "0\u00a0%" : "as good as an offset, or worse", key);
    make("span", "af-gr-ramp", undefined, key).classList.toggle("af-gr-lead", measure === "lead");
    make("span", "", measure === "accuracy" ? "100\u00a0% found" : `+${(100 * cells.most).toFixed(1)} points`, key);
    map.show(data, cells, measure, chosen);
  }
  /** @param {Grammar} now */
  function draw(now) {
    data = now;
    models = now.models.map((model) => unpack(model, now.least));
    sides.replaceChildren();
    for (const { model } of models) {
      const press = button(`${model.side.toUpperCase()} ${model.name.split("/").pop()}`, sides, () => { side = model.side; redraw(); }, model.name);
      press.dataset.side = model.side;
    }
    if (chosen?.key !== now.key) {
      chosen = read(now, link.get("relation"), link.get("cell"));
      if (chosen) { side = chosen.side; gradio.trigger("cell", chosen); }
    }
    redraw();
  }
  /** A cell was chosen, here or in the table. */
  gradio.watch("chosen", () => {
    /** @type {GrammarCell | null | undefined} */
    const told = gradio.props.chosen;
    if (!data || told?.key !== data.key) return;
    chosen = told;
    if (side !== told.side) { side = told.side; redraw(); } else map.mark(chosen);
  });
  panel(gradio, box, { draw, redraw });
}
