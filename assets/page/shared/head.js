// @ts-check
// How a head is written: [layer, head] in data, both from 0; "L1 H4" for people; "0.3" where one text must name it.  No DOM here.
// Python has the same in `attnflow/head_names.py`.
/** @import { Head } from "../payloads.js" */

/**
 * For people: "L1 H4".
 * @param {Head} head
 */
export const headName = ([layer, head]) => `L${layer + 1} H${head + 1}`;

/**
 * As one text: "0.3", in attributes and in the address of the page.
 * @param {Head} head
 */
export const headKey = ([layer, head]) => `${layer}.${head}`;

/**
 * Back from that text.
 * @param {string} key
 * @returns {Head}
 */
export function headOf(key) {
  const [, layer, head] = /^(\d+)\.(\d+)$/.exec(key) ?? [];
  if (layer === undefined || head === undefined) throw new Error(`"${key}" is no head; it must be layer and head from 0, as in "0.3".`);
  return [Number(layer), Number(head)];
}
