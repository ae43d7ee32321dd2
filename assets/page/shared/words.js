// @ts-check
// The pieces of a sentence pair, put together into words and lines.
import { make } from "./dom.js";

/**
 * The letters of a piece without the mark that it continues a word.
 * @param {string} text
 */
export const plain = (text) => (text.startsWith("·") && text.length > 1 ? text.slice(1) : text);

/** What cannot be seen, and the signs that stand for it. @type {Record<string, string>} */
const UNSEEN = {
  "\u2581": "a space", " ": "a space", "\u00a0": "a no-break space", "⏎": "a line break", "\n": "a line break", "\r": "a carriage return", "⇥": "a tab", "\t": "a tab",
  "\u00ad": "a soft hyphen", "\u200b": "a zero-width space", "\u200c": "a zero-width non-joiner", "\u200d": "a zero-width joiner", "\ufeff": "a byte order mark",
};

/**
 * What a text is, in words, of which nothing can be seen; empty for any other.  As `unseen` of `attnflow/records/words.py`.
 * @param {string} text
 */
export function unseen(text) {
  const characters = [...text];
  if (!characters.every((one) => one in UNSEEN || /[\p{C}\p{Z}]/u.test(one))) return "";
  const runs = [...text.matchAll(/(.)\1*/gsu)].map(([run, one]) => {
    const count = [...run].length, name = UNSEEN[one] ?? `U+${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
    return count === 1 ? name : `${count} ${name.replace(/^a /, "")}${one in UNSEEN ? "s" : ""}`;
  });
  return runs.join(" and ") || "nothing";
}

/**
 * How a sentence names a token: in quotes, or in words if nothing of it can be seen.
 * @param {string} text
 */
export const quoted = (text) => unseen(text) || `“${text}”`;

/**
 * A text with something in the place of a word, or without it and the space that it leaves.
 * @param {string} text
 * @param {[start: number, end: number]} span
 * @param {string} put
 */
export function replaced(text, [start, end], put) {
  const before = text.slice(0, start), after = text.slice(end);
  return before + put + (put || (before && !/\s$/.test(before)) ? after : after.replace(/^\s/, ""));
}

/**
 * Put the pieces of a pair into a box: those of one word stay together, and the second sentence begins a line, as does
 * what a decoder reads.
 * @param {{ text: string[], sentence: number[], lines: number[] }} pair
 * @param {Element} box
 * @param {(text: string, index: number, word: HTMLElement) => void} unit adds the piece to its word
 */
export function spread({ text, sentence, lines }, box, unit) {
  /** @type {HTMLElement | null} */
  let word = null;
  text.forEach((piece, index) => {
    if (lines.includes(index)) make("span", "af-break", undefined, box);
    const continues = sentence[index] >= 0 && plain(piece) !== piece;
    if (!continues || !word) word = make("bdi", "af-word", undefined, box);
    unit(continues ? plain(piece) : piece, index, word);
  });
}
