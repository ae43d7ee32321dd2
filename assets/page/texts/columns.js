// @ts-check
// The attributes of all texts as typed arrays, and what is counted of them.  No DOM here.
import { bytes } from "../shared/bytes.js";
import { number, precise } from "../shared/numbers.js";
/** @import { TextColumn } from "../payloads.js" */

/** @typedef {Omit<TextColumn, "values"> & { values: Float32Array | Uint16Array }} Column */
/** @typedef {Map<string, Column>} Columns by their names, in their order */

/** The kind of a text that has none. */
export const MISSING = 65535;

/** @param {string} text base64 of little-endian float32 */
export const floats = (text) => new Float32Array(bytes(text).buffer);

/**
 * Row numbers as base64 text of little-endian uint32.
 * @param {Uint32Array} rows
 */
export function packed(rows) {
  const all = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength), step = 0x8000; // more arguments than that would overflow the stack
  let letters = "";
  for (let at = 0; at < all.length; at += step) letters += String.fromCharCode(...all.subarray(at, at + step));
  return btoa(letters);
}

/**
 * @param {TextColumn[]} columns
 * @returns {Columns}
 */
export function unpack(columns) {
  return new Map(columns.map((column) => {
    const { buffer } = bytes(column.values);
    return [column.name, { ...column, values: column.kind === "kind" ? new Uint16Array(buffer) : new Float32Array(buffer) }];
  }));
}

/**
 * Whether a text lacks the attribute.
 * @param {Column} column
 * @param {number} row
 */
export function lacks({ kind, values }, row) {
  return kind === "kind" ? values[row] === MISSING : Number.isNaN(values[row]);
}

/**
 * A number of a column: whole ones in full, others with three digits.
 * @param {number | null} value
 */
export const digits = (value) => (value !== null && Number.isInteger(value) ? number(value, 0).replace("-", "−") : precise(value, false));

/**
 * A value as it is written; nothing where it is missing.
 * @param {Column} column
 * @param {number} row
 */
export function written(column, row) {
  if (lacks(column, row)) return "–";
  return column.kind === "kind" ? column.kinds[column.values[row]] ?? "–" : digits(column.values[row]);
}

/**
 * The smallest and the largest number of a column; 0 and 0 if it has none.
 * @param {Column} column
 * @returns {[number, number]}
 */
export function ends({ values }) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 0];
}

/**
 * How many texts are of each kind; behind them, how many are of none.
 * @param {Column} column
 * @param {Uint8Array | null} mask which texts count; null for all
 */
export function counts({ values, kinds }, mask) {
  const found = new Uint32Array(kinds.length + 1);
  for (let row = 0; row < values.length; row++) if (!mask || mask[row]) found[Math.min(values[row], kinds.length)]++;
  return found;
}

/**
 * How many texts are in each of some parts of equal width between the ends of a column.
 * @param {Column} column
 * @param {Uint8Array | null} mask
 * @param {number} bins
 */
export function histogram(column, mask, bins) {
  const [low, high] = ends(column), found = new Uint32Array(bins), scale = high > low ? bins / (high - low) : 0;
  column.values.forEach((value, row) => {
    if (!Number.isNaN(value) && (!mask || mask[row])) found[Math.min(bins - 1, Math.floor((value - low) * scale))]++;
  });
  return found;
}
