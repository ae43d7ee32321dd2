// @ts-check
// The trees that the probes of both models read out of a sentence, one above the other; true arcs above the words.
import { make, part } from "../shared/dom.js";
import { bare, percent } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
import { arcs } from "./arcs.js";
/** @import { Arc, ParsedTree, ParsedTrees } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */


/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const box = part(element, ".af-sentences");
  make("h3", "af-title", "What the probe reads out of a sentence", box);
  const told = make("p", "af-note", undefined, box), trees = make("div", "af-gr-trees", undefined, box), legend = make("p", "af-legend", undefined, box);

  /** @param {ParsedTree} tree @param {Arc} arc */
  const said = ({ words }, { word, to }) => `“${words[word]}” → “${words[to]}”`;

  /** @param {ParsedTree} tree */
  function one(tree) {
    const known = tree.gold.length > 0, name = `${tree.side.toUpperCase()} ${tree.name.split("/").pop()}`;
    const item = make("div", `af-gr-tree af-model-${tree.side}`, undefined, trees), head = make("p", "af-note", undefined, item);
    make("span", "af-badge", tree.side.toUpperCase(), head);
    make("span", "", `${tree.name.split("/").pop()}: ${tree.told}`, head);
    const stage = make("div", "af-arcs", undefined, item);
    stage.tabIndex = 0;
    stage.role = "region";
    stage.setAttribute("aria-label", `Tree of ${name}`);
    const found = {
      arcs: tree.arcs.map((arc) => ({
        ...arc, kind: arc.right === false ? "af-arc-wrong" : "af-arc-right", label: bare(arc.probability), width: 1 + 3 * arc.probability,
        says: `${said(tree, arc)}: ${percent(arc.probability)}`,
      })),
      label: "",
    };
    const gold = { arcs: tree.gold.map((arc) => ({ ...arc, kind: "af-arc-gold" })), label: "" }, none = { arcs: [], label: "" };
    const image = `${tree.words.join(" ")} ${tree.told} ${found.arcs.map(({ says, right }) => `${says}${right === false ? " (wrong)" : ""}`).join(", ")}.`;
    arcs(stage, tree.words, new Set([tree.root]), known ? gold : found, known ? found : none, image);
  }
  /** @param {ParsedTrees} now */
  function draw(now) {
    told.textContent = now.told;
    trees.replaceChildren();
    now.trees.forEach(one);
    legend.replaceChildren();
    if (!now.trees.some(({ gold }) => gold.length)) return;
    for (const [name, text] of [["gold", "true governor"], ["right", "read out, right"], ["wrong", "read out, wrong"]]) {
      const key = make("span", "af-key", undefined, legend);
      for (const { side } of name === "right" ? now.trees : now.trees.slice(0, 1)) make("span", `af-arc-key af-arc-${name} af-model-${side}`, undefined, key);
      make("span", "", text, key);
    }
  }
  panel(gradio, box, { draw });
}
