// @ts-check
// Where words and arcs of a sentence lie, from left to right or from right to left.  No DOM here.
/** @import { Arc } from "../payloads.js" */

const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/**
 * Whether a text is read from the right: its first letter tells.
 * @param {string[]} words
 */
export function fromRight(words) {
  const letter = /\p{L}/u.exec(words.join(" "))?.[0] ?? "";
  return RIGHT_TO_LEFT.test(letter);
}

/**
 * The middle of each word, in pixels, and the width of all.
 * @param {number[]} widths of the words
 * @param {number} gap
 * @param {boolean} right whether the first word stands at the right
 */
export function places(widths, gap, right) {
  const width = widths.reduce((sum, own) => sum + own + gap, gap);
  let at = gap;
  const middles = widths.map((own) => {
    const middle = at + own / 2;
    at += own + gap;
    return right ? width - middle : middle;
  });
  return { middles, width };
}

/**
 * How high each arc is, from 1: above those that it spans or crosses.
 * @param {Arc[]} arcs
 */
export function levels(arcs) {
  const ends = arcs.map(({ word, to }) => [Math.min(word, to), Math.max(word, to)]), found = arcs.map(() => 0);
  const order = [...arcs.keys()].sort((one, other) => ends[one][1] - ends[one][0] - (ends[other][1] - ends[other][0]));
  for (const place of order) {
    const [low, high] = ends[place];
    const below = order.filter((other) => found[other] && ends[other][0] < high && ends[other][1] > low);
    found[place] = 1 + Math.max(0, ...below.map((other) => found[other]));
  }
  return found;
}

/**
 * An arc as the path of an SVG, from one place to another on a line; its top is at the given height.
 * @param {number} from
 * @param {number} to
 * @param {number} line
 * @param {number} height above the line; below it if negative
 */
export function bow(from, to, line, height) {
  const y = line - (4 / 3) * height; // of the two points that pull a cubic curve to its height
  return `M${from},${line}C${from},${y} ${to},${y} ${to},${line}`;
}

/**
 * The head of an arrow that comes from above, or from below, to a place on a line.
 * @param {number} at
 * @param {number} line
 * @param {number} sign 1 from above, -1 from below
 */
export const tip = (at, line, sign) => `M${at},${line}l-3.5,${-7 * sign}h7z`;
