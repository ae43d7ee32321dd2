// @ts-check
// Which colour every text has: hues for kinds, shades of one hue for numbers.  No DOM here.
import { counts, MISSING } from "./columns.js";
import { ordered } from "./order.js";
/** @import { Column } from "./columns.js" */
/** @import { Room } from "./room.js" */

/**
 * @typedef {object} Colouring
 * @property {Uint8Array} classes of every text, an index of `colours`
 * @property {string[]} colours
 * @property {{ kinds: number[], name: string, colour: string }[]} entries of kinds: what the legend tells
 * @property {{ low: number, high: number, cutLow: boolean, cutHigh: boolean } | null} scale of numbers: its ends, and whether there are texts beyond
 */

const HUES = 10;
const SHADES = 9;
/** Each has a contrast of 3 at least on its ground, and the first ones differ most. Also without red or without green receptors
 * (Machado, Oliveira and Fernandes 2009) any two of them, and grey, are at least 20 apart in CIE Lab. */
const LIGHT = ["#0072b2", "#d48000", "#550015", "#000095", "#555500", "#0000ff", "#bf40ff", "#550055", "#bf0055", "#ea6a55"];
const DARK = ["#56b4e9", "#ffea00", "#ea2a15", "#aa40ff", "#55ffbf", "#aa6a55", "#bfff80", "#aaaa55", "#ff9515", "#95eaea"];
const RAMPS = { light: [[133, 147, 187], [10, 34, 150]], dark: [[104, 116, 142], [178, 209, 255]] };
const GREYS = { light: "#85858f", dark: "#7c7c86" };

/** @param {boolean} dark */
export const shades = (dark) => Array.from({ length: SHADES }, (_, step) => {
  const [from, to] = RAMPS[dark ? "dark" : "light"];
  return `rgb(${from.map((part, i) => Math.round(part + ((to[i] - part) * step) / (SHADES - 1))).join(", ")})`;
});

/**
 * @param {number} n
 * @param {boolean} dark
 * @returns {Colouring} all texts in one colour
 */
export const plainColouring = (n, dark) => ({ classes: new Uint8Array(n), colours: [(dark ? DARK : LIGHT)[0]], entries: [], scale: null });

/**
 * @param {Column} column
 * @param {boolean} dark
 * @param {[number, number]} [ends] of a number's scale; otherwise the second and the last but second of a hundred texts,
 *   so that a few far ones do not take all shades
 * @returns {Colouring}
 */
export const colouring = (column, dark, ends) => (column.kind === "kind" ? ofKinds(column, dark) : ofNumbers(column, dark, ends));

/**
 * The ten kinds that most texts are of have a colour each; the rest, and texts of no kind, are grey.
 * @param {Column} column
 * @param {boolean} dark
 * @returns {Colouring}
 */
function ofKinds(column, dark) {
  const found = counts(column, null), kinds = [...column.kinds.keys()], grey = GREYS[dark ? "dark" : "light"];
  const most = new Set([...kinds].sort((one, other) => found[other] - found[one] || one - other).slice(0, HUES));
  const named = kinds.filter((kind) => most.has(kind)), others = kinds.filter((kind) => !most.has(kind));
  const colours = [...named.map((_, i) => (dark ? DARK : LIGHT)[i]), grey], place = new Uint8Array(MISSING + 1).fill(named.length);
  named.forEach((kind, i) => { place[kind] = i; });
  const entries = named.map((kind, i) => ({ kinds: [kind], name: column.kinds[kind], colour: colours[i] }));
  if (others.length) entries.push({ kinds: others, name: `other (${others.length})`, colour: grey });
  if (found[column.kinds.length]) entries.push({ kinds: [MISSING], name: "none", colour: grey });
  return { classes: Uint8Array.from(column.values, (kind) => place[kind]), colours, entries, scale: null };
}

/**
 * @param {Column} column
 * @param {boolean} dark
 * @param {[number, number]} [ends]
 * @returns {Colouring}
 */
function ofNumbers(column, dark, ends) {
  const { rows, having } = ordered(column, false);
  /** @param {number} share */
  const at = (share) => (having ? column.values[rows[Math.round(share * (having - 1))]] : 0);
  const [low, high] = ends ?? [at(0.02), at(0.98)], scale = high > low ? SHADES / (high - low) : 0;
  const classes = Uint8Array.from(column.values, (value) => (Number.isNaN(value) ? SHADES : Math.max(0, Math.min(SHADES - 1, Math.floor((value - low) * scale)))));
  return { classes, colours: [...shades(dark), GREYS[dark ? "dark" : "light"]], entries: [], scale: { low, high, cutLow: at(0) < low, cutHigh: at(1) > high } };
}

/**
 * The colours of all texts by a column, made once; one colour where there is no such column.
 * @param {Pick<Room, "collection" | "columns" | "dark" | "painted">} room
 * @param {string} name
 */
export function painted({ collection, columns, dark, painted }, name) {
  const column = columns.get(name), found = painted.get(name) ?? (column ? colouring(column, dark) : plainColouring(collection.n, dark));
  painted.set(name, found);
  return found;
}
