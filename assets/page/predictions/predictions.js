// @ts-check
// Both models' predictions as bars.
import { make, part, parts, titled } from "../shared/dom.js";
import { number, percent } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
import { unseen } from "../shared/words.js";
/** @import { AtToken, ClassScore, Prediction, Side, TokenPrediction } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

/** Classes of a model that are in sight at once. */
const FEW = 3;

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /**
   * @param {ClassScore} one
   * @param {Element} card
   */
  function line({ label, probability, score }, card) {
    const row = make("div", "af-class", undefined, card);
    make("span", "af-class-name", unseen(label) || label, row).title = label;
    if (probability !== null) {
      const bar = make("span", "af-bar", undefined, row);
      make("span", "af-bar-fill", undefined, bar).style.width = `${100 * probability}%`;
      make("span", "af-value", percent(probability, 1), row).title = `score ${number(score, 3)}`;
    } else make("span", "af-value", number(score, 3), row);
  }

  /**
   * Each token over what is predicted at it; a click makes it the root.
   * @param {TokenPrediction[]} tokens
   * @param {Side} side
   * @param {Element} card
   */
  function each(tokens, side, card) {
    const strip = make("div", "af-each", undefined, card);
    strip.setAttribute("role", "group");
    strip.setAttribute("aria-label", "What is predicted at each token");
    for (const { token, text, label, probability, meant } of tokens) {
      const one = make("button", "af-at", undefined, strip);
      one.type = "button";
      one.dataset.held = `${side} ${token}`;
      one.title = `${unseen(text) || text}: ${unseen(label) || label}, ${percent(probability, 1)}. Start from it.`;
      one.setAttribute("aria-pressed", String(meant));
      make("span", "af-at-text", text, one);
      make("span", "af-at-label", label, one).style.setProperty("--sure", `${Math.round(100 * probability)}%`);
      make("span", "af-at-sure", percent(probability), one);
      one.addEventListener("click", () => {
        /** @type {AtToken} */
        const at = { side, piece: token };
        gradio.trigger("at", at);
      });
    }
  }

  /**
   * Lets the model write on, into the boxes of the sentences.
   * @param {string} name
   * @param {Side} side
   * @param {Element} card
   */
  function writer(name, side, card) {
    const write = make("button", "af-write", "Write on", card);
    write.type = "button";
    write.dataset.held = side;
    write.title = `Let ${name} go on with the text, each time with its likeliest token; the boxes of the sentences then hold what it wrote.`;
    write.addEventListener("click", () => gradio.trigger(`write_${side}`, {}));
  }

  /**
   * Scrolls a strip to one of its tokens, and nothing else.
   * @param {HTMLElement} one
   */
  function inSight(one) {
    const strip = one.parentElement;
    if (strip) strip.scrollTop += one.getBoundingClientRect().bottom - strip.getBoundingClientRect().bottom + 2;
  }

  /**
   * The decision, the likeliest classes, and behind one line all that is told of the model.
   * @param {Prediction[]} models
   * @param {HTMLElement} box
   */
  function draw(models, box) {
    const active = document.activeElement, held = active instanceof HTMLElement && box.contains(active) ? active.dataset.held : undefined;
    box.replaceChildren();
    models.forEach((model, index) => {
      const side = index ? "b" : "a", card = make("section", `af-card af-model-${side}`, undefined, box), head = titled(side, model.name, card);
      const ranked = [...model.classes].sort((p, q) => q.score - p.score);
      if (model.decided) make("strong", "af-decided", model.decided, head).title = `The decision: ${model.decided}`;
      else if (!model.tokens.length) make("span", "af-decided af-undecided", "predicts no class", head);
      const about = model.about ? make("p", "af-facts af-of", model.about, card) : card;
      if (model.writes) writer(model.name, side, about);
      for (const one of ranked.slice(0, FEW)) line(one, card);
      if (model.tokens.length) each(model.tokens, side, card);
      const more = make("details", "af-about-model", undefined, card);
      make("summary", "", model.note || model.facts, more);
      make("p", "af-facts", model.facts, more);
      if (model.note) make("p", "af-note", model.note, more);
      for (const one of ranked.slice(FEW)) line(one, more);
      if (ranked.length > FEW && !model.tokens.length) make("p", "af-facts", `${ranked.length} classes in all.`, more);
    });
    for (const meant of parts(box, ".af-at[aria-pressed=true]")) inSight(meant);
    if (held) parts(box, "button").find((button) => button.dataset.held === held)?.focus({ preventScroll: true });
  }
  panel(gradio, part(element, ".af-predictions"), { draw });
}
