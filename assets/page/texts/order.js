// @ts-check
// Texts in the order of a column.  No DOM here.
import { lacks } from "./columns.js";
/** @import { Column } from "./columns.js" */

/**
 * All rows by a column, from the smallest or from the largest; equal ones as they come, those that lack it at the end.
 * @param {Column} column
 * @param {boolean} descending
 */
export function ordered(column, descending) {
  const { values } = column;
  /** @type {[having: number[], lacking: number[]]} */
  const [having, lacking] = [[], []];
  for (let row = 0; row < values.length; row++) (lacks(column, row) ? lacking : having).push(row);
  const sign = descending ? -1 : 1, rows = Uint32Array.from(having);
  rows.sort((one, other) => sign * (values[one] - values[other])); // stable, as all sorting in JavaScript
  return { rows: Uint32Array.from([...rows, ...lacking]), having: rows.length };
}

/**
 * The rows of an order that a mask leaves: what is selected first, or nothing else.
 * @param {Uint32Array} rows
 * @param {Uint8Array} mask
 * @param {Uint8Array | null} selection
 * @param {boolean} only
 */
export function kept(rows, mask, selection, only) {
  const chosen = new Uint32Array(rows.length);
  let count = 0;
  if (selection) for (const row of rows) if (mask[row] && selection[row]) chosen[count++] = row;
  if (!selection || !only) for (const row of rows) if (mask[row] && !selection?.[row]) chosen[count++] = row;
  return chosen.slice(0, count);
}
