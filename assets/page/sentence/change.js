// @ts-check
// What if a word were another one: a small menu at the word, and what both models decide before and after the change.

import { make, part } from "../shared/dom.js";
import { percent } from "../shared/numbers.js";
import { quoted, replaced } from "../shared/words.js";
/** @import { OtherPair, Selected, SentenceFigure, SentenceModel } from "../payloads.js" */

/** @typedef {(name: "what_if" | "select", data: OtherPair | Selected) => void} Tell */

/**
 * A pair as it was, and what was changed of it.
 * @typedef {{ texts: string[], models: SentenceModel[], change: string }} Former
 */

/**
 * @param {HTMLElement} element
 * @param {Tell} tell
 */
export function changes(element, tell) {
  const bar = part(element, ".af-changed"), menu = make("div", "af-change", undefined, element);
  menu.popover = "auto";
  menu.setAttribute("role", "dialog");
  /** @type {Former[]} */
  let former = []; // the last one last
  /** @type {{ texts: string[], former: Former[] } | null} */
  let wanted = null; // what is being read, and the former ones once it is there
  /** @type {SentenceFigure} */
  let data;

  /** A share or score as it is read. @param {{ probability: number | null, score: number }} entry */
  const told = ({ probability, score }) => (probability === null ? score.toPrecision(3) : percent(probability, probability > 0.995 || probability < 0.005 ? 1 : 0));

  /**
   * Ask for other sentences.
   * @param {string[]} texts
   * @param {Former[]} then
   */
  function ask(texts, then) {
    wanted = { texts, former: then };
    menu.hidePopover();
    for (const button of bar.querySelectorAll("button")) button.disabled = true;
    tell("what_if", { text_a: texts[0], text_b: texts[1] });
  }

  /**
   * Put something in the place of a word; nothing leaves it out.
   * @param {number} unit
   * @param {string} put
   */
  function change(unit, put) {
    const span = data.spans[unit], sentence = data.sentence[unit] % 2;
    if (!span) return;
    const texts = data.texts.map((text, i) => (i === sentence ? replaced(text, span, put) : text));
    const told = put ? `${data.names[unit]} became ${quoted(put)}` : `${data.names[unit]} is left out`;
    ask(texts, [...former, { texts: data.texts, models: data.models, change: told }]);
  }

  /**
   * Open the menu at a word.
   * @param {number} unit
   * @param {HTMLElement} word
   */
  function open(unit, word) {
    const span = data.spans[unit], { mask } = data;
    if (!span) return;
    menu.replaceChildren();
    menu.setAttribute("aria-label", `Change ${data.names[unit]}`);
    make("strong", "", data.names[unit], menu);
    const sentence = data.sentence[unit] % 2, text = data.texts[sentence], alone = !replaced(text, span, "").trim();
    /**
     * @param {string} label
     * @param {() => void} act
     */
    const entry = (label, act) => { const button = make("button", "", label, menu); button.type = "button"; button.addEventListener("click", act); };
    entry("Light it in the rings", () => { menu.hidePopover(); tell("select", { word: unit }); });
    if (mask) entry(`Mask it (${mask})`, () => change(unit, mask));
    if (!alone || sentence === 1) entry("Leave it out", () => change(unit, ""));
    const form = make("form", "", undefined, menu), label = make("label", "", "Put in its place ", form), box = make("input", "", undefined, label);
    box.value = text.slice(...span);
    box.maxLength = 200;
    box.autocomplete = "off";
    make("button", "", "Replace", form).type = "submit";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const put = box.value.trim();
      if (put && put !== text.slice(...span)) change(unit, put);
      else box.focus();
    });
    menu.showPopover();
    const at = word.getBoundingClientRect(), { width, height } = menu.getBoundingClientRect();
    menu.style.left = `${Math.max(4, Math.min(at.left, document.documentElement.clientWidth - width - 4))}px`;
    menu.style.top = `${at.bottom + height + 4 < innerHeight ? at.bottom + 4 : Math.max(4, at.top - height - 4)}px`;
    menu.querySelector("button")?.focus();
  }

  /**
   * What one model decides before and after.
   * @param {SentenceModel} before
   * @param {SentenceModel} now
   * @param {"a" | "b"} side
   */
  function compared(before, now, side) {
    const row = make("p", `af-model-${side}`, undefined, bar);
    make("span", "af-badge", side.toUpperCase(), row);
    if (!before.classes?.length || !now.classes?.length) { row.append("predicts no class."); return; }
    const top = before.classes.reduce((best, entry) => (entry.score > best.score ? entry : best));
    const same = now.classes.find(({ label }) => label === top.label), best = now.classes.reduce((most, entry) => (entry.score > most.score ? entry : most));
    make("span", "", `${quoted(top.label)} ${told(top)} → `, row).append(make("strong", "", same ? told(same) : "–"));
    for (const [entry, when] of /** @type {const} */ ([[top, "before"], [same, "now"]])) {
      if (entry?.probability == null) continue;
      const track = make("span", "af-bar", undefined, row);
      track.title = `${when}: ${told(entry)}`;
      make("span", "af-bar-fill", undefined, track).style.width = `${100 * entry.probability}%`;
    }
    if (best.label !== top.label) make("strong", "", `now decides ${quoted(best.label)} (${told(best)})`, row);
    if (before.off !== now.off) make("span", "af-facts", `before, ${before.off} of its heads were off`, row);
  }

  function show() {
    bar.replaceChildren();
    const last = former.at(-1);
    bar.hidden = !last;
    if (!last) return;
    const head = make("p", "", undefined, bar);
    make("strong", "", "What if", head);
    head.append(` ${former.map((one) => one.change).join(", then ")}: before → now`);
    const undo = make("button", "", "Undo", head);
    undo.type = "button";
    undo.addEventListener("click", () => ask(last.texts, former.slice(0, -1)));
    former[0].models.forEach((before, i) => compared(before, data.models[i], i ? "b" : "a")); // all changes together
  }

  /**
   * Take a new figure: the pair that was asked for, the same pair with other settings, or quite another one.
   * @param {SentenceFigure} next
   */
  function receive(next) {
    const text = next.texts.join("\n"), same = data && text === data.texts.join("\n"), names = (/** @type {SentenceFigure} */ { models }) => models.map(({ name }) => name).join("\n");
    if (wanted && text === wanted.texts.join("\n")) former = wanted.former;
    else if (!same || names(next) !== names(data)) former = [];
    if (!same) wanted = null;
    data = next;
    show();
  }

  /** What was asked for could not be read: what was there stays. */
  function fail() {
    wanted = null;
    show();
  }

  return { open, receive, fail };
}
