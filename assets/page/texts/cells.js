// @ts-check
// The texts of rows, asked for in pages when they are to be seen; those seen last are kept.
/** @import { Rows } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */
import { later } from "./room.js";

const PAGE = 100; // rows asked for at once
const MOST = 3000; // rows that are kept
const PAUSE = 60; // ms
const PATIENCE = 8000; // ms after which an unanswered page is asked for again

/**
 * @param {Gradio} gradio
 * @param {() => void} arrived
 */
export function cells({ props, trigger, watch }, arrived) {
  /** @type {Map<number, string[]>} */
  const kept = new Map();
  let collection = "", asked = 0;
  /** @type {number[]} */
  let wanted = [];
  const ask = later(PAUSE, () => {
    if (performance.now() - asked < PATIENCE) return; // one page at a time: the next goes when it is here
    const rows = [...new Set(wanted)].filter((row) => !kept.has(row)).slice(0, PAGE);
    if (!rows.length) return;
    asked = performance.now();
    trigger("rows", { key: collection, rows });
  });
  watch("rows", () => {
    /** @type {Rows | null | undefined} */
    const answer = props.rows;
    if (!answer || answer.key !== collection) return;
    asked = -PATIENCE;
    answer.rows.forEach((row, i) => kept.set(row, answer.cells[i]));
    for (const first of kept.keys()) if (kept.size > MOST) kept.delete(first);
    arrived();
    ask();
  });
  return {
    /** @param {string} key of another collection @param {boolean} same whether its texts are those of before */
    reset(key, same) {
      collection = key;
      asked = -PATIENCE;
      if (same) return;
      kept.clear();
      wanted = [];
    },
    /** @param {number} row */
    get: (row) => kept.get(row),
    /** @param {number[]} rows what is in sight, the most urgent first */
    want(rows) {
      wanted = rows;
      for (const row of rows) {
        const known = kept.get(row);
        if (known) { kept.delete(row); kept.set(row, known); } // seen last
      }
      if (rows.some((row) => !kept.has(row))) ask();
    },
  };
}
