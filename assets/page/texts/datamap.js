// @ts-check
// What a data map is beside a plot of two columns: its scale and the names of its regions; and the training by epoch.  No DOM here.
import { bytes } from "../shared/bytes.js";
import { floats } from "./columns.js";
/** @import { Collection, TextTraining } from "../payloads.js" */
/** @import { Choice, TwoColumns } from "./choices.js" */

/** @typedef {{ epochs: number[], loss: Float32Array, right: Uint8Array }} Course `[N, E]` each */
/** @typedef {{ n: number, accuracy: (number | null)[], loss: (number | null)[] }} Means of each epoch */

/** Everything that a probability and its standard deviation can be, and a little space. */
export const VIEW = { x: /** @type {[number, number]} */ ([-0.02, 0.53]), y: /** @type {[number, number]} */ ([-0.12, 1.12]) };

/**
 * The data map as what a plot shows; nothing where no training is shown.
 * @param {Pick<Collection, "training">} collection
 * @returns {TwoColumns | null}
 */
export const dataMap = ({ training }) => training && { of: "columns", x: training.x, y: training.y };

/**
 * @param {Choice} choice
 * @param {Pick<Collection, "training">} collection
 */
export function isDataMap(choice, collection) {
  const map = dataMap(collection);
  return Boolean(map) && choice.of === "columns" && choice.x === map?.x && choice.y === map.y;
}

/** The regions by name: where each is written, and how. */
export const REGIONS = /** @type {const} */ ([
  { text: "easy to learn", x: 0, y: 1.03, xanchor: "left", yanchor: "bottom" },
  { text: "ambiguous", x: 0.52, y: 0.5, xanchor: "right", yanchor: "middle" },
  { text: "hard to learn", x: 0, y: -0.02, xanchor: "left", yanchor: "top" },
]);

/**
 * @param {TextTraining} training
 * @returns {Course}
 */
export const course = ({ epochs, loss, right }) => ({ epochs, loss: floats(loss), right: bytes(right) });

/**
 * Loss and accuracy of each epoch over some rows; nothing where none of them was recorded.
 * @param {Course} course
 * @param {Iterable<number>} rows
 * @returns {Means}
 */
export function means({ epochs, loss, right }, rows) {
  const width = epochs.length, seen = new Float64Array(width), lost = new Float64Array(width), hits = new Float64Array(width);
  let n = 0;
  for (const row of rows) {
    let known = false;
    for (let epoch = 0; epoch < width; epoch++) {
      const own = loss[row * width + epoch];
      if (Number.isNaN(own)) continue;
      known = true;
      seen[epoch]++;
      lost[epoch] += own;
      hits[epoch] += right[row * width + epoch];
    }
    n += Number(known);
  }
  /** @param {Float64Array} sums */
  const mean = (sums) => Array.from(sums, (sum, epoch) => (seen[epoch] ? sum / seen[epoch] : null));
  return { n, accuracy: mean(hits), loss: mean(lost) };
}

/**
 * What the model said of one text: the probability of its label in each epoch, and whether its likeliest class was that.
 * @param {Course} course
 * @param {number} row
 */
export function path({ epochs, loss, right }, row) {
  const at = row * epochs.length;
  const probability = epochs.map((_, epoch) => (Number.isNaN(loss[at + epoch]) ? null : Math.exp(-loss[at + epoch])));
  return { probability, right: epochs.map((_, epoch) => Boolean(right[at + epoch])) };
}
