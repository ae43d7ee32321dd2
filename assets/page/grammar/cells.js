// @ts-check
// What the map of relations and heads holds: accuracies, leads, orders of the table, and where arrows lead.  No DOM here.
import { bytes } from "../shared/bytes.js";
import { headName } from "../shared/head.js";
import { bare, number, percent } from "../shared/numbers.js";
/** @import { Grammar, GrammarCell, GrammarModelFigure, GrammarRow, GrammarShare, Head, Side } from "../payloads.js" */

/** @typedef {"accuracy" | "lead"} Measure */
/**
 * One model, unpacked; `[R, L * H]` row by row.
 * @typedef {object} Cells
 * @property {GrammarModelFigure} model
 * @property {Float32Array} accuracy in the better direction
 * @property {Uint8Array} direction which that is
 * @property {number} columns L * H
 * @property {number} most the largest lead over an offset, above 0
 */

/**
 * @param {GrammarModelFigure} model
 * @param {number} least cases of a relation whose lead counts for the scale
 * @returns {Cells}
 */
export function unpack(model, least) {
  const accuracy = Float32Array.from(new Uint16Array(bytes(model.accuracy).buffer), (value) => value / model.steps), columns = model.layers * model.heads;
  let most = 0.01;
  accuracy.forEach((value, place) => {
    const relation = Math.floor(place / columns);
    if (model.cases[relation] >= least) most = Math.max(most, value - model.offset[relation]);
  });
  return { model, accuracy, direction: bytes(model.direction), columns, most };
}

/**
 * What a cell shows: an accuracy from 0 to 1, or how much better it is than the best offset.
 * @param {Cells} cells
 * @param {number} relation
 * @param {number} column
 * @param {Measure} measure
 */
export function value({ model, accuracy, columns }, relation, column, measure) {
  const found = accuracy[relation * columns + column];
  return measure === "accuracy" ? found : found - model.offset[relation];
}

/**
 * How strong its colour is, from -1 to 1: below 0 for what an offset finds better.
 * @param {Cells} cells
 * @param {number} relation
 * @param {number} column
 * @param {Measure} measure
 */
export function strength(cells, relation, column, measure) {
  const shown = value(cells, relation, column, measure);
  return measure === "accuracy" ? shown : shown > 0 ? Math.min(1, shown / cells.most) : shown / 4; // what no head follows stays pale
}

/** @param {Cells} cells @param {number} column @returns {Head} */
export const headAt = ({ model: { heads } }, column) => [Math.floor(column / heads), column % heads];

/** @param {Cells} cells @param {Head} head */
export const columnOf = ({ model: { heads } }, [layer, head]) => layer * heads + head;

/**
 * What stands in a cell that is wide enough: hundredths, of a lead with its sign.
 * @param {number} shown
 * @param {Measure} measure
 */
export function digits(shown, measure) {
  if (measure === "accuracy") return bare(shown);
  const whole = Math.round(100 * shown);
  return `${whole > 0 ? "+" : whole < 0 ? "−" : ""}${Math.abs(whole)}`;
}

/**
 * What a cell tells.
 * @param {Grammar} data
 * @param {Cells} cells
 * @param {number} relation
 * @param {number} column
 */
export function told({ relations, directions }, cells, relation, column) {
  const { model } = cells, place = relation * cells.columns + column, name = model.names[column];
  const n = model.cases[relation], head = headName(headAt(cells, column));
  if (!n) return `${head}: ${model.side.toUpperCase()} has no case of ${relations[relation].name}.`;
  const better = cells.accuracy[place], offset = model.offset[relation];
  return `${head} · ${relations[relation].name}: finds ${relations[relation].finds} in ${percent(better, 1)} of ${number(n, 0)} cases (${directions[cells.direction[place]]}); `
    + `the best offset in ${percent(offset, 1)}.${name ? ` In short: ${name}.` : ""}`;
}

/** @typedef {"relation" | "side" | "n" | "head" | "held_out" | "lead" | "offset" | "paper" | "random" | "compared"} By */

/** @type {Record<By, (row: GrammarRow) => string | number>} */
const KEYS = {
  relation: (row) => row.relation, side: (row) => row.side, n: (row) => row.n, head: ({ head: [layer, head] }) => 1000 * layer + head,
  held_out: (row) => row.held_out.share, lead: (row) => row.held_out.share - row.offset_held_out.share, offset: (row) => row.offset_held_out.share,
  paper: (row) => row.on_all.share, random: (row) => row.random?.share ?? -1, compared: (row) => row.compared?.points ?? -Infinity,
};

/**
 * Rows in the order of a column; equal ones stay as they came.
 * @param {GrammarRow[]} rows
 * @param {By | ""} by
 * @param {boolean} descending
 */
export function sorted(rows, by, descending) {
  if (!by) return rows;
  const key = KEYS[by], sign = descending ? -1 : 1;
  return [...rows].sort((one, other) => {
    const a = key(one), b = key(other);
    return sign * (typeof a === "string" ? a.localeCompare(String(b)) : a - Number(b));
  });
}

/**
 * A difference in points with its sign.
 * @param {number} points
 */
export const signed = (points) => `${points > 0 ? "+" : ""}${points.toFixed(1)}`.replace("-", "−");

/**
 * How likely a difference is by chance, as it stands in a cell.
 * @param {{ p: number, differs: boolean }} of
 */
export const chance = ({ p, differs }) => (!differs ? "n.s." : p < 0.001 ? "p < .001" : `p = ${p.toFixed(3).slice(1)}`);

/**
 * A share with its interval.
 * @param {GrammarShare} of
 */
export const interval = ({ share, low, high }) => `${percent(share, 1)}, 95\u00a0% interval ${percent(low, 1)} to ${percent(high, 1)}`;

/**
 * Where an arrow key leads; null where there is no further cell.
 * @param {string} key
 * @param {[relation: number, column: number]} at
 * @param {number} rows
 * @param {number} columns
 * @returns {[relation: number, column: number] | null}
 */
export function step(key, [relation, column], rows, columns) {
  /** @type {Record<string, [number, number]>} */
  const steps = { ArrowUp: [relation - 1, column], ArrowDown: [relation + 1, column], ArrowLeft: [relation, column - 1], ArrowRight: [relation, column + 1], Home: [relation, 0], End: [relation, columns - 1] };
  const [row, place] = steps[key] ?? [-1, -1];
  return row >= 0 && row < rows && place >= 0 && place < columns ? [row, place] : null;
}

/**
 * A cell as one text for the address, without its relation: "a.2.8".
 * @param {GrammarCell} cell
 */
export const written = ({ side, head }) => `${side}.${head[0]}.${head[1]}`;

/**
 * The cell that an address tells; null if the data has none such.
 * @param {Grammar} data
 * @param {string} relation
 * @param {string} text
 * @returns {GrammarCell | null}
 */
export function read(data, relation, text) {
  const [, side, layer, head] = /^([ab])\.(\d{1,3})\.(\d{1,3})$/.exec(text) ?? [], place = data.relations.findIndex(({ name }) => name === relation);
  const model = data.models.find((one) => one.side === side);
  if (!model || !model.cases[place] || Number(layer) >= model.layers || Number(head) >= model.heads) return null;
  return { key: data.key, side: /** @type {Side} */ (side), relation, head: [Number(layer), Number(head)] };
}
