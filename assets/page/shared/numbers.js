// @ts-check
// How numbers, counts and long names are written.  No DOM here.

/**
 * A number with at most so many decimals, thousands apart.
 * @param {number} value
 * @param {number} [digits]
 */
export const number = (value, digits = 2) => value.toLocaleString("en", { maximumFractionDigits: digits });

/**
 * Three digits; only what has a sign is shown with one.
 * @param {number | null} value
 * @param {boolean} signed
 */
export function precise(value, signed) {
  if (value === null) return "–";
  return `${value < 0 ? "−" : signed && value > 0 ? "+" : ""}${Number(Math.abs(value).toPrecision(3))}`;
}

/**
 * A count with its noun: "1 head", "2 heads".
 * @param {number} count
 * @param {string} name
 */
export const plural = (count, name) => `${number(count, 0)} ${name}${count === 1 ? "" : "s"}`;

/**
 * A text cut to so many characters, the last of them an ellipsis.
 * @param {string} text
 * @param {number} limit
 */
export const shorten = (text, limit) => ([...text].length > limit ? [...text].slice(0, limit - 1).join("") + "…" : text);

/**
 * Seconds for a reader, as exactly as a guess can be: "1 s", "50 s", "4 minutes".
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 10) return `${Math.max(1, Math.ceil(seconds))} s`;
  return seconds < 90 ? `${5 * Math.ceil(seconds / 5)} s` : `${Math.round(seconds / 60)} minutes`;
}
