// @ts-check
// The pieces of a sentence pair, put together into words and lines.
import { make } from "./dom.js";

/**
 * The letters of a piece without the mark that it continues a word.
 * @param {string} text
 */
export const plain = (text) => (text.startsWith("·") && text.length > 1 ? text.slice(1) : text);

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
