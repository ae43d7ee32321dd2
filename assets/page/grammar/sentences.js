// @ts-check
// Sentences on which a head is right, and on which it is wrong: the true governors above the words, its choices below.
import { make, part } from "../shared/dom.js";
import { panel } from "../shared/panel.js";
import { button } from "../texts/room.js";
import { arcs } from "./arcs.js";
/** @import { Arc, GrammarSentence, GrammarSentences } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/** @typedef {"right" | "wrong"} Kind */

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const box = part(element, ".af-sentences"), tools = make("div", "af-toolbar", undefined, box);
  make("h3", "af-title", "What it chooses", tools);
  const kinds = make("span", "af-views", undefined, tools), pager = make("span", "af-tx-bar", undefined, tools);
  kinds.role = "group";
  kinds.setAttribute("aria-label", "Which sentences");
  const before = button("‹", pager, () => go(-1), "The sentence before"), place = make("span", "af-gr-place", undefined, pager), after = button("›", pager, () => go(1), "The next sentence");
  const open = button("Open it in One pair", pager, () => { if (data) gradio.trigger("open", { row: current().row }); }, "With this head selected");
  before.setAttribute("aria-label", "The sentence before");
  after.setAttribute("aria-label", "The next sentence");
  place.role = "status";
  const told = make("p", "af-note", undefined, box), stage = make("div", "af-arcs", undefined, box), legend = make("p", "af-legend", undefined, box);
  stage.tabIndex = 0;
  stage.role = "region";
  stage.setAttribute("aria-label", "Sentence with arcs");
  /** @type {GrammarSentences | null} */
  let data = null;
  /** @type {Kind} */
  let kind = "right";
  let at = 0;

  const current = () => /** @type {GrammarSentences} */ (data)[kind][at];
  /** @param {number} by */
  function go(by) {
    if (!data) return;
    at = Math.max(0, Math.min(data[kind].length - 1, at + by));
    show();
  }
  stage.addEventListener("keydown", (event) => {
    if (event.key !== "PageDown" && event.key !== "PageUp") return;
    event.preventDefault();
    go(event.key === "PageDown" ? 1 : -1);
  });
  /** @param {GrammarSentence} sentence @param {Arc} arc */
  const said = ({ words }, { word, to }) => `“${words[word]}” → “${words[to]}”`;

  function show() {
    if (!data) return;
    for (const press of kinds.querySelectorAll("button")) press.setAttribute("aria-pressed", String(press.dataset.kind === kind));
    const all = data[kind], sentence = all[at];
    place.textContent = all.length ? `${at + 1} of ${all.length}` : "none";
    before.disabled = at <= 0;
    after.disabled = at >= all.length - 1;
    open.disabled = !sentence;
    stage.replaceChildren();
    if (!sentence) { make("p", "af-note", `Among these sentences there is none on which it is ${kind}.`, stage); return; }
    const image = `${sentence.words.join(" ")} Governors: ${sentence.gold.map((arc) => said(sentence, arc)).join(", ")}. Chosen: `
      + `${sentence.chosen.map((arc) => `${said(sentence, arc)} (${arc.right ? "right" : "wrong"})`).join(", ") || "none"}.`;
    const marked = new Set(sentence.gold.map(({ word }) => word));
    const first = arcs(
      stage, sentence.words, marked,
      { arcs: sentence.gold.map((arc) => ({ ...arc, kind: "af-arc-gold" })), label: data.relation },
      { arcs: sentence.chosen.map((arc) => ({ ...arc, kind: arc.right ? "af-arc-right" : "af-arc-wrong" })), label: "" },
      image,
    );
    stage.scrollLeft = (stage.dir === "rtl" ? -1 : 1) * Math.max(0, first - stage.clientWidth / 3);
  }
  /** @param {GrammarSentences} now */
  function draw(now) {
    data = now;
    kind = now.right.length ? "right" : "wrong";
    at = 0;
    box.classList.toggle("af-model-a", now.cell.side === "a");
    box.classList.toggle("af-model-b", now.cell.side === "b");
    told.textContent = now.told;
    kinds.replaceChildren();
    for (const name of /** @type {Kind[]} */ (["right", "wrong"])) {
      const press = button(`${name === "right" ? "All right" : "Some wrong"} (${now[name].length})`, kinds, () => { kind = name; at = 0; show(); });
      press.dataset.kind = name;
    }
    legend.replaceChildren();
    for (const [name, text] of [["gold", "true governor"], ["right", "chosen, right"], ["wrong", "chosen, wrong"]]) {
      const key = make("span", "af-key", undefined, legend);
      make("span", `af-arc-key af-arc-${name}`, undefined, key);
      make("span", "", text, key);
    }
    show();
  }
  panel(gradio, box, { draw, redraw: show });
}
