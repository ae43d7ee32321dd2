// @ts-check
// How numbers, counts and long names are written.  No DOM here.

/**
 * A number with at most so many decimals, thousands apart.
 * @param {number} value
 * @param {number} [digits]
 */
export const number = (value, digits = 2) => value.toLocaleString("en", { maximumFractionDigits: digits });

/**
 * A share in per cents, as `percent` of `attnflow/records/shares.py` writes it, unbroken: what is above 0 and rounds to it
 * is told as less than the least step, and what is below 1 and rounds to it as more than the step before.
 * @param {number} share
 * @param {number} [digits]
 */
export function percent(share, digits = 0) {
  const size = Math.abs(share), step = 10 ** -digits;
  let told = (100 * size).toFixed(digits), bound = "";
  if (size > 0 && Number(told) === 0) [told, bound] = [step.toFixed(digits), "< "];
  else if (size < 1 && Number(told) === 100) [told, bound] = [(100 - step).toFixed(digits), "> "];
  if (share < 0) [told, bound] = [`−${told}`, bound && (bound === "< " ? "> " : "< ")];
  return unbroken(`${bound}${told} %`);
}

/**
 * A sentence in which a number, its unit and what bounds it stay on one line.
 * @param {string} text
 */
export const unbroken = (text) => text.replace(/(\d) %/g, "$1\u00a0%").replace(/([<>]) (?=−?\d)/g, "$1\u00a0");

/**
 * A share where its unit stands beside: "12", "<1".
 * @param {number} share
 */
export const bare = (share) => percent(share).replace(/[\u00a0%]/g, "");

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
