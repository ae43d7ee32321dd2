// @ts-check
// What a person has chosen in the room of many texts, and how the address of the page tells it.  No DOM here.
/** @import { Collection, LayoutOf } from "../payloads.js" */
/** @import { Columns } from "./columns.js" */
/** @import { Condition } from "./filters.js" */
import { MISSING } from "./columns.js";
import { dataMap } from "./datamap.js";

/** @typedef {{ of: "hidden", side: LayoutOf["side"], layer: number, method: LayoutOf["method"] }} Hidden */
/** @typedef {{ of: "behaviour", side: LayoutOf["side"], method: LayoutOf["method"] }} Behaviour */
/** @typedef {{ of: "columns", x: string, y: string }} TwoColumns */
/** @typedef {Hidden | Behaviour | TwoColumns} Choice what a plot shows */
/** @typedef {{ column: string, descending: boolean, ready: string }} Order no column: as they come; `ready` is the name of a ready order */
/** @typedef {{ filters: Condition[], order: Order, colour: string, own: [string, string], plots: [Choice, Choice], only: boolean }} Choices */

/** Colours every point by how many of its neighbours a layout keeps: no column, but of each plot. */
export const PRESERVED = "~preserved";
/** The own colour of a plot that has none: both plots have one. */
export const SHARED = "=";
const LONGEST = 1500; // characters of the address

/** @param {Columns} columns */
const numeric = (columns) => [...columns.values()].filter(({ kind }) => kind === "number").map(({ name }) => name);

/**
 * Whether texts can be laid out at all.
 * @param {Collection} collection
 */
export const laidOut = ({ n, methods }) => n >= 3 && methods.length > 0;

/**
 * @param {Collection} collection
 * @param {Columns} columns
 * @returns {Choices}
 */
export function defaults(collection, columns) {
  const numbers = numeric(columns), [method] = collection.methods.includes("pca") ? ["pca"] : collection.methods;
  /** @type {(x: string, y: string) => TwoColumns} */
  const two = (x, y) => ({ of: "columns", x: columns.has(x) ? x : numbers[0] ?? "", y: columns.has(y) ? y : numbers[1] ?? numbers[0] ?? "" });
  /** @type {(side: "a" | "b") => Hidden} */
  const last = (side) => ({ of: "hidden", side, layer: collection.layers["ab".indexOf(side)] ?? 0, method: /** @type {Hidden["method"]} */ (method) });
  const map = two("confidence_a", "loss_a"), colour = collection.decided[0]?.gold ?? [...columns.values()].find(({ kind }) => kind === "kind")?.name ?? "";
  /** @type {[Choice, Choice]} */
  const plots = laidOut(collection) ? [last("a"), collection.models.length > 1 ? last("b") : map] : [map, two("confidence_b", "loss_b")];
  return {
    filters: [], order: { column: "", descending: true, ready: "" }, colour, only: false,
    own: [collection.training?.colour ?? SHARED, SHARED], plots: [dataMap(collection) ?? plots[0], plots[1]],
  };
}

/**
 * What differs from the defaults as a short text for the address; nothing if nothing does.
 * @param {Choices} choices
 * @param {Choices} plain the defaults
 * @param {Columns} columns
 * @returns {string}
 */
export function compact({ filters, order, colour, own, plots, only }, plain, columns) {
  const f = filters.map((condition) => {
    if ("text" in condition) return ["", condition.text];
    if ("kinds" in condition) return [condition.column, condition.kinds.map((kind) => columns.get(condition.column)?.kinds[kind] ?? null)];
    return [condition.column, condition.low, condition.high];
  });
  const p = plots.map((choice) => Object.values(choice)), unchanged = plain.plots.map((choice) => Object.values(choice));
  const state = {
    ...(f.length && { f }), ...(order.ready ? { o: [order.ready] } : order.column && { o: [order.column, Number(order.descending)] }),
    ...(colour !== plain.colour && { c: colour }), ...(String(own) !== String(plain.own) && { k: own }),
    ...(JSON.stringify(p) !== JSON.stringify(unchanged) && { p }), ...(only && { s: 1 }),
  };
  if (!Object.keys(state).length) return "";
  const text = JSON.stringify(state);
  if (encodeURIComponent(text).length <= LONGEST) return text;
  return !f.length ? "" : compact({ filters: filters.slice(0, -1), order, colour, own, plots, only }, plain, columns);
}

/**
 * What the address tells, as far as the collection has it; the defaults for the rest.
 * @param {string} text
 * @param {Collection} collection
 * @param {Columns} columns
 * @returns {Choices}
 */
export function expand(text, collection, columns) {
  const plain = defaults(collection, columns);
  /** @type {any} */
  let state;
  try { state = JSON.parse(text); } catch { return plain; }
  if (!state || typeof state !== "object") return plain;
  const [name, descending] = Array.isArray(state.o) ? state.o : [], found = collection.orders.find((order) => state.o?.length === 1 && order.name === name);
  /** @type {Order} */
  let order = plain.order;
  if (found && columns.has(found.column)) order = { column: found.column, descending: true, ready: found.name };
  else if (columns.has(name)) order = { column: name, descending: Boolean(descending), ready: "" };
  /** @param {unknown} name */
  const coloured = (name) => typeof name === "string" && (columns.has(name) || ["", PRESERVED].includes(name));
  /** @param {unknown} name */
  const owned = (name) => name === SHARED || coloured(name);
  return {
    filters: (Array.isArray(state.f) ? state.f : []).flatMap((/** @type {unknown} */ told) => condition(told, columns)),
    order, colour: coloured(state.c) ? state.c : plain.colour, only: state.s === 1,
    own: [owned(state.k?.[0]) ? state.k[0] : plain.own[0], owned(state.k?.[1]) ? state.k[1] : plain.own[1]],
    plots: [choice(state.p?.[0], collection, columns) ?? plain.plots[0], choice(state.p?.[1], collection, columns) ?? plain.plots[1]],
  };
}

/**
 * @param {unknown} told
 * @param {Columns} columns
 * @returns {Condition[]} one, or none
 */
function condition(told, columns) {
  if (!Array.isArray(told)) return [];
  const [name, first, second = null] = told, column = columns.get(name);
  if (name === "" && typeof first === "string" && first) return [{ text: first }];
  if (column?.kind === "kind" && Array.isArray(first)) {
    const kinds = first.map((kind) => (kind === null ? MISSING : column.kinds.indexOf(kind))).filter((kind) => kind >= 0);
    return kinds.length ? [{ column: name, kinds }] : [];
  }
  const ends = [first, second].every((end) => end === null || Number.isFinite(end));
  return column?.kind === "number" && ends ? [{ column: name, low: first, high: second }] : [];
}

/**
 * @param {unknown} told
 * @param {Collection} collection
 * @param {Columns} columns
 * @returns {Choice | null}
 */
function choice(told, collection, columns) {
  if (!Array.isArray(told)) return null;
  const [of, first, second, third] = told, layers = collection.layers["ab".indexOf(first)];
  if (of === "columns") {
    return [first, second].every((name) => columns.get(name)?.kind === "number") ? { of, x: first, y: second } : null;
  }
  const method = of === "hidden" ? third : second;
  if (!laidOut(collection) || !["a", "b"].includes(first) || layers === undefined || !collection.methods.includes(method)) return null;
  if (of === "hidden") return Number.isInteger(second) && second >= 0 && second <= layers ? { of, side: first, layer: second, method } : null;
  return of === "behaviour" ? { of, side: first, method } : null;
}
