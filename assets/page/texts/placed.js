// @ts-check
// Which columns the table has, in which order, and how wide: texts, label and decisions first, so that they are in sight.  No DOM here.
/** @import { Column } from "./columns.js" */
/** @import { Room } from "./room.js" */

/** @typedef {{ name: string, width: number } & ({ place: number, column?: undefined } | { place?: undefined, column: Column })} Placed a field of the text by its place, or a column */

const NUMBER_AND_BUTTON = [56, 68]; // pixels
const WIDTHS = { kind: 132, number: 120, field: 128 };
const TEXT = { least: 130, most: 290 };
const N_TEXTS = 2; // fields that are texts

/**
 * @param {Pick<Room, "collection" | "columns"> & { choices: { order: { column: string } } }} room
 * @param {number} width of the table, in pixels
 * @returns {{ columns: Placed[], widths: number[] }} and the widths of all, those before them included
 */
export function placed({ collection: { fields }, columns, choices: { order } }, width) {
  const all = [...columns.values()], titles = new Set(all.map(({ title }) => title.toLowerCase()));
  // A field that is a column, too, such as the label, is shown once.
  const others = fields.map((name, place) => ({ name, place, width: WIDTHS.field })).filter(({ name, place }) => place < N_TEXTS || !titles.has(name.toLowerCase()));
  /** @type {(column: Column) => Placed} */
  const as = (column) => ({ name: column.name, width: WIDTHS[column.kind], column });
  const texts = others.slice(0, N_TEXTS), label = others.filter(({ place }) => place === N_TEXTS), more = others.filter(({ place }) => place > N_TEXTS);
  /** @param {Column} column */
  const first = ({ name }) => name === "label" || name === order.column || /^decision_[ab]$/.test(name);
  const seen = [...label, ...all.filter(first).map(as)], rest = [...all.filter((column) => !first(column)).map(as), ...more];
  const left = width - sum(NUMBER_AND_BUTTON) - sum(seen.map((one) => one.width));
  for (const text of texts) text.width = Math.floor(Math.max(TEXT.least, Math.min(TEXT.most, left / texts.length)));
  const found = [...texts, ...seen, ...rest];
  return { columns: found, widths: [...NUMBER_AND_BUTTON, ...found.map((one) => one.width)] };
}

/** @param {number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);
