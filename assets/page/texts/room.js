// @ts-check
// What the parts of the room of many texts share: the record they are drawn from, and the controls they are made of.
import { make } from "../shared/dom.js";
/** @import { Collection } from "../payloads.js" */
/** @import { Choice, Choices, Order } from "./choices.js" */
/** @import { Columns } from "./columns.js" */
/** @import { Condition } from "./filters.js" */
/** @import { Colouring } from "./palette.js" */

/**
 * @typedef {object} Room
 * @property {Collection} collection
 * @property {Columns} columns
 * @property {Choices} choices
 * @property {Uint8Array} mask which texts the filters leave
 * @property {number} count how many these are
 * @property {Uint8Array | null} selection which texts are selected in a plot or in the table
 * @property {number} selected how many of them the filters leave
 * @property {Map<string, Uint8Array>} found which texts hold some words
 * @property {Map<string, Colouring>} painted by the column that colours, in the theme that is shown
 * @property {boolean} dark
 * @property {number | null} opened the row that *One pair* shows
 */

/**
 * What a part may ask of the room.
 * @typedef {object} Acts
 * @property {(filters: Condition[]) => void} filter
 * @property {(selection: Uint8Array | null, add: boolean) => void} select
 * @property {(column: string) => void} colour
 * @property {(index: 0 | 1, column: string) => void} own colour one plot by a column of its own
 * @property {(order: Order) => void} order
 * @property {(only: boolean) => void} only
 * @property {(index: 0 | 1, choice: Choice) => void} plot
 * @property {(row: number) => void} open
 * @property {(row: number) => void} point show a row in the table
 * @property {(row: number) => void} mark light a row in both plots; -1 for none
 * @property {(kind: "csv" | "parquet" | "json") => void} keep
 * @property {(column: string) => void} edit open the filter of a column
 */

/** @type {(row: number) => string} */
export const numberOf = (row) => String(row + 1); // the first is 1

/**
 * A button.
 * @param {string} text
 * @param {Element} parent
 * @param {() => void} pressed
 * @param {string} [title]
 */
export function button(text, parent, pressed, title = "") {
  const made = make("button", "af-tx-button", text, parent);
  made.type = "button";
  if (title) made.title = title;
  made.addEventListener("click", pressed);
  return made;
}

/**
 * A list of choices with its name before it.
 * @param {string} name
 * @param {Element} parent
 * @param {(value: string) => void} chosen
 * @param {string} [label] what assistive technology calls it, if its name is not enough
 */
export function choice(name, parent, chosen, label) {
  const around = make("label", "af-tx-choice", undefined, parent);
  if (name) make("span", "", name, around);
  const select = make("select", "", undefined, around);
  select.setAttribute("aria-label", label ?? name);
  select.addEventListener("change", () => chosen(select.value));
  return select;
}

/**
 * Fill a list of choices, unless it has the same ones already.
 * @param {HTMLSelectElement} select
 * @param {[value: string, text: string][]} options
 * @param {string} value
 */
export function fill(select, options, value) {
  if ([...select.options].map((option) => option.value + option.text).join() !== options.map((option) => option.join("")).join()) {
    select.replaceChildren(...options.map(([key, text]) => new Option(text, key)));
  }
  select.value = value;
}

/**
 * Call something when nothing has asked for it for a while.
 * @template {unknown[]} T
 * @param {number} ms
 * @param {(...told: T) => void} call
 */
export function later(ms, call) {
  let timer = 0;
  return (/** @type {T} */ ...told) => {
    clearTimeout(timer);
    timer = setTimeout(call, ms, ...told);
  };
}
