// @ts-check
// Token strips: the words of each model coloured by what a saliency method says of them, and all methods for one word.

import { make, part, parts, titled } from "../shared/dom.js";
import * as link from "../shared/link.js";
import { precise } from "../shared/numbers.js";
import { panel } from "../shared/panel.js";
import { spread } from "../shared/words.js";
/** @import { LitTokens, Saliency, SaliencyMethod, SaliencyModel, Selected } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */

const ALL = "all";

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  /** @type {HTMLSelectElement} */
  const choice = part(element, ".af-method");
  const strips = part(element, ".af-strips"), detail = part(element, ".af-detail"), scale = part(element, ".af-scale"), about = part(element, ".af-about");
  /** @type {Saliency} */
  let data = { methods: [], models: [], best: "" };
  /** @type {[side: string, token: number] | null} */
  let picked = null;

  /** @param {SaliencyModel["side"]} side @param {number} index */
  function isLit(side, index) {
    /** @type {LitTokens | null | undefined} */
    const lit = gradio.props.lit;
    return lit?.[`strip_${side}`].includes(index) ?? false;
  }
  gradio.watch("lit", () => {
    for (const token of parts(strips, "button.af-heat")) {
      const [side, index] = (token.dataset.at ?? "").split(" ");
      token.classList.toggle("af-chosen", isLit(/** @type {SaliencyModel["side"]} */ (side), Number(index)));
    }
  });

  /** @param {string} text */
  const lower = (text) => text[0].toLowerCase() + text.slice(1);

  /**
   * @param {SaliencyModel} model
   * @param {SaliencyMethod} method
   * @param {HTMLElement} box
   */
  function words(model, method, box) {
    const strip = make("div", "af-strip", undefined, box), signed = method.signed || model.side === "ab";
    const values = model.values?.[method.name] ?? [], scaled = model.scaled?.[method.name] ?? [];
    spread(model, strip, (name, index, word) => {
      const kind = !signed ? "af-size" : scaled[index] < 0 ? "af-against" : "af-for";
      const token = make("button", `af-heat ${kind}${model.sentence[index] < 0 ? " af-special" : ""}`, name, word);
      token.type = "button";
      token.style.setProperty("--w", String(Math.abs(scaled[index])));
      token.title = `${model.names[index]}: ${precise(values[index], signed)}`;
      token.setAttribute("aria-label", token.title);
      token.dataset.at = `${model.side} ${index}`;
      token.classList.toggle("af-chosen", isLit(model.side, index));
      token.setAttribute("aria-pressed", "false");
      token.addEventListener("click", () => {
        picked = picked?.[0] === model.side && picked[1] === index ? null : [model.side, index];
        tell();
        if (!picked) return;
        /** @type {Selected} */
        const selected = model.side === "ab" ? { word: index } : { side: model.side, own: index };
        gradio.trigger("select", selected);
      });
    });
  }

  /** The values of the word that was clicked, in every method, in both models if they share their tokens. */
  function tell() {
    for (const token of parts(strips, ".af-heat")) token.setAttribute("aria-pressed", String(token.dataset.at === picked?.join(" ")));
    detail.replaceChildren();
    const model = data.models.find((one) => one.side === picked?.[0]), index = picked?.[1] ?? 0;
    if (!data.models.some((one) => one.values)) return;
    if (!model || index >= model.text.length) {
      make("p", "af-note", "Click a word for what every method says of it.", detail);
      return;
    }
    const alike = data.models.filter((one) => one.text.length && one.text.join("\n") === model.text.join("\n"));
    const columns = alike.filter((one) => one.values);
    make("p", "af-note", undefined, detail).append("What every method says of ", make("strong", "", model.names[index]), ":");
    const table = make("table", "af-values", undefined, detail), head = make("tr", "", undefined, make("thead", "", undefined, table));
    make("th", "", "Method", head).scope = "col";
    for (const one of columns) make("th", "", one.side === "ab" ? "B − A, share" : one.side.toUpperCase(), head).scope = "col";
    const body = make("tbody", "", undefined, table);
    for (const method of data.methods) {
      const row = make("tr", "", undefined, body);
      make("th", "", method.title, row).scope = "row";
      for (const one of columns) {
        const cell = make("td", "", undefined, row), values = one.values?.[method.name], scaled = one.scaled?.[method.name];
        if (!values || !scaled) { cell.textContent = "–"; continue; }
        const value = scaled[index], signed = method.signed || one.side === "ab";
        cell.textContent = precise(values[index], signed);
        cell.className = `af-heat ${!signed ? "af-size" : value < 0 ? "af-against" : "af-for"}`;
        cell.style.setProperty("--w", String(Math.abs(value)));
      }
    }
  }

  /** @param {SaliencyMethod | null} method */
  function legend(method) {
    scale.replaceChildren();
    const signed = method?.signed ?? true;
    for (const [kind, text] of signed ? [["af-against", "against"], ["af-for", "for"]] : [["af-size", "more"]]) {
      if (kind === "af-against") make("span", "", text, scale);
      make("span", `af-ramp ${kind}`, undefined, scale).setAttribute("aria-hidden", "true");
      if (kind !== "af-against") make("span", "", text, scale);
    }
    if (!method) make("span", "", "(grey: no sign)", scale);
  }

  function show() {
    const one = data.methods.find((method) => method.name === choice.value) ?? null, methods = one ? [one] : data.methods;
    legend(one);
    about.textContent = one ? `Why may it disagree with the others? It measures: ${lower(one.measures)} It ignores: ${lower(one.ignores)} (${one.source})` : "Every method with its own scale: the strongest word of each strip has the full colour.";
    strips.replaceChildren();
    for (const model of data.models) {
      const section = make("section", `af-model af-model-${model.side}`, undefined, strips), head = titled(model.side, model.name, section);
      if (model.about) make("span", "af-facts", model.about, head);
      if (model.problem) make("p", "af-note", model.problem, section);
      if (!model.values) continue;
      for (const method of methods) {
        if (!model.values[method.name]) {
          if (one && model.absent?.[method.name]) make("p", "af-note", model.absent[method.name], section);
          continue;
        }
        const box = make("div", "af-one", undefined, section);
        if (!one) {
          const name = make("h4", "", method.title, box);
          if (model.beats?.[method.name] === false) make("span", "af-doubt", "no better than random here", name);
          make("p", "af-note", `${method.measures} It ignores: ${lower(method.ignores)} (${method.source})`, box).hidden = model !== data.models.find((other) => other.values?.[method.name]);
        }
        words(model, method, box);
        if (one && model.beats?.[method.name] === false) make("p", "af-note af-warning", "No better than a random ranking of the words on this input.", box);
        if (one && model.notes?.[method.name]) make("p", "af-note", model.notes[method.name], box);
      }
      if (model.verdict) make("p", "af-verdict", model.verdict, section);
    }
    tell();
  }

  /** @param {Saliency} value */
  function draw(value) {
    data = value;
    choice.replaceChildren();
    for (const method of data.methods) make("option", "", method.title, choice).value = method.name;
    make("option", "", "All methods", choice).value = ALL;
    // What the reader chose stays; else the method to be believed first.
    const wanted = [link.get("method"), data.best, "integrated_gradients", data.methods[0]?.name, ALL];
    choice.value = wanted.find((name) => [...choice.options].some((option) => option.value === name)) ?? ALL;
    show();
  }
  choice.addEventListener("change", () => {
    link.set({ method: choice.value });
    show();
  });
  panel(gradio, part(element, ".af-saliency"), { draw, redraw: () => {}, clear: () => strips.replaceChildren() });
}
