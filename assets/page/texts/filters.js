// @ts-check
// Conditions on texts, and which texts fulfil all of them.  No DOM here.
/** @import { Columns } from "./columns.js" */

/** @typedef {{ column: string, low: number | null, high: number | null }} Range a number, both ends included */
/** @typedef {{ column: string, kinds: number[] }} Kinds one of these kinds; `MISSING` for texts of none */
/** @typedef {{ text: string }} Words words in the text */
/** @typedef {Range | Kinds | Words} Condition */
/** @typedef {{ title: string, conditions: Kinds[] }} Ready a filter with a name of its own */

/**
 * Which texts fulfil all conditions, 1 each.
 * @param {number} n
 * @param {Condition[]} conditions
 * @param {Columns} columns
 * @param {Map<string, Uint8Array>} found which texts hold some words; words that are not searched yet are held by all
 */
export function fulfilled(n, conditions, columns, found) {
  const mask = new Uint8Array(n).fill(1);
  for (const condition of conditions) {
    if ("text" in condition) {
      const holds = found.get(condition.text);
      if (holds) for (let row = 0; row < n; row++) mask[row] &= holds[row];
      continue;
    }
    const values = columns.get(condition.column)?.values;
    if (!values) continue;
    if ("kinds" in condition) {
      const wanted = new Uint8Array(65536);
      for (const kind of condition.kinds) wanted[kind] = 1;
      for (let row = 0; row < n; row++) mask[row] &= wanted[values[row]];
    } else {
      const low = Math.fround(condition.low ?? -Infinity), high = Math.fround(condition.high ?? Infinity); // as the values are
      for (let row = 0; row < n; row++) mask[row] &= Number(values[row] >= low && values[row] <= high);
    }
  }
  return mask;
}

/** @param {Condition} condition what it is on: only one condition is on one column, and words are on nothing else */
export const subject = (condition) => ("text" in condition ? `"${condition.text}` : condition.column);

/**
 * Conditions with one more, in the place of that on the same column if there is one.
 * @param {Condition[]} conditions
 * @param {Condition} condition
 */
export function put(conditions, condition) {
  const at = conditions.findIndex((other) => subject(other) === subject(condition));
  return at < 0 ? [...conditions, condition] : conditions.with(at, condition);
}

/**
 * Conditions without those on the same columns.
 * @param {Condition[]} conditions
 * @param {Condition[]} gone
 */
export function without(conditions, gone) {
  const subjects = new Set(gone.map(subject));
  return conditions.filter((condition) => !subjects.has(subject(condition)));
}

/**
 * Whether some kinds are asked for, exactly.
 * @param {Condition[]} conditions
 * @param {Kinds[]} asked
 */
export function holds(conditions, asked) {
  return asked.every(({ column, kinds }) => conditions.some((other) => "kinds" in other && other.column === column && String(other.kinds) === String(kinds)));
}

/**
 * Put some kinds among the conditions; if they are there, take them out again.
 * @param {Condition[]} conditions
 * @param {Kinds[]} asked
 */
export const toggled = (conditions, asked) => (holds(conditions, asked) ? without(conditions, asked) : asked.reduce(put, conditions));

/** @type {[title: string, asked: Record<string, string>][]} */
const READY = [
  ["both wrong", { right_a: "no", right_b: "no" }],
  ["only A right", { right_a: "yes", right_b: "no" }],
  ["only B right", { right_a: "no", right_b: "yes" }],
  ["decision flipped", { flipped: "yes" }],
];

/**
 * The filters with a name whose columns are there.
 * @param {Columns} columns
 * @returns {Ready[]}
 */
export function ready(columns) {
  return READY.flatMap(([title, asked]) => {
    const conditions = Object.entries(asked).map(([column, kind]) => ({ column, kinds: [columns.get(column)?.kinds.indexOf(kind) ?? -1] }));
    return conditions.every(({ kinds: [kind] }) => kind >= 0) ? [{ title, conditions }] : [];
  });
}

/**
 * The rows that a mask leaves, and that are selected if something is.
 * @param {Uint8Array} mask
 * @param {Uint8Array | null} selection
 */
export function left(mask, selection) {
  const rows = new Uint32Array(mask.length);
  let count = 0;
  for (let row = 0; row < mask.length; row++) if (mask[row] && (!selection || selection[row])) rows[count++] = row;
  return rows.slice(0, count);
}
