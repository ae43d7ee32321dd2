// @ts-check
// Points of a plot: layouts in one frame, what is drawn of them, and which of them are near or inside.  No DOM here.

/** @typedef {{ x: Float32Array, y: Float32Array }} Group */
/** @typedef {{ x: (value: number) => number, y: (value: number) => number }} Scale from values to pixels */

/**
 * A layout moved and scaled, alike in both directions, into the square from -1 to 1.
 * @param {Float32Array} points `[N, 2]`, NaN for texts that were not read
 */
export function framed(points) {
  const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  points.forEach((value, i) => {
    if (value < low[i % 2]) low[i % 2] = value;
    if (value > high[i % 2]) high[i % 2] = value;
  });
  const half = Math.max(high[0] - low[0], high[1] - low[1]) / 2 || 1;
  return points.map((value, i) => (value - (low[i % 2] + high[i % 2]) / 2) / half);
}

/**
 * Two columns as points.
 * @param {Float32Array | Uint16Array} x
 * @param {Float32Array | Uint16Array} y
 */
export function paired(x, y) {
  const points = new Float32Array(2 * x.length);
  for (let row = 0; row < x.length; row++) { points[2 * row] = x[row]; points[2 * row + 1] = y[row]; }
  return points;
}

/**
 * Points on the way from one layout to another.
 * @param {Float32Array} from
 * @param {Float32Array} to
 * @param {number} share of the way, 0 to 1
 */
export function between(from, to, share) {
  return to.map((end, i) => (Number.isNaN(from[i]) ? end : eased(from[i], end, share)));
}

/**
 * A number on the way from one to another, slowly at both ends.
 * @param {number} start
 * @param {number} to
 * @param {number} share of the way, 0 to 1
 */
export const eased = (start, to, share) => start + share * share * (3 - 2 * share) * (to - start);

/**
 * What is drawn: of every class the points that are lit, and those that are left but not selected.
 * @param {Float32Array} points
 * @param {Uint8Array} classes
 * @param {number} count of classes
 * @param {Uint8Array} mask
 * @param {Uint8Array | null} selection
 * @param {number} most how many points at most: of more, every second, third … is drawn, and all that are selected up to so many
 */
export function groups(points, classes, count, mask, selection, most) {
  let all = 0, chosen = 0;
  for (let row = 0; row < mask.length; row++) if (mask[row]) { all++; if (selection?.[row]) chosen++; }
  const step = Math.ceil((all - chosen) / most) || 1, stepChosen = Math.ceil(chosen / most) || 1;
  const place = new Int16Array(mask.length).fill(-1), sizes = new Uint32Array(count + 1);
  let drawn = 0, plain = 0, lit = 0;
  for (let row = 0; row < mask.length; row++) {
    if (!mask[row]) continue;
    const isChosen = Boolean(selection?.[row]);
    if ((isChosen ? lit++ % stepChosen : plain++ % step) || Number.isNaN(points[2 * row] + points[2 * row + 1])) continue;
    place[row] = selection && !isChosen ? count : classes[row];
    sizes[place[row]]++;
    drawn++;
  }
  /** @type {Group[]} */
  const made = Array.from(sizes, (size) => ({ x: new Float32Array(size), y: new Float32Array(size) })), filled = new Uint32Array(count + 1);
  for (let row = 0; row < mask.length; row++) {
    const group = place[row];
    if (group < 0) continue;
    made[group].x[filled[group]] = points[2 * row];
    made[group].y[filled[group]++] = points[2 * row + 1];
  }
  return { lit: made.slice(0, count), faded: made[count], drawn, all };
}

/**
 * The row whose point is nearest to a place, or -1 if none is as near as `reach`.
 * @param {Float32Array} points
 * @param {Uint8Array} mask
 * @param {Scale} scale
 * @param {[x: number, y: number]} place in pixels
 * @param {number} reach
 */
export function nearest(points, mask, { x, y }, [left, top], reach) {
  let best = -1, least = reach * reach;
  for (let row = 0; row < mask.length; row++) {
    if (!mask[row]) continue;
    const distance = (x(points[2 * row]) - left) ** 2 + (y(points[2 * row + 1]) - top) ** 2;
    if (distance < least) { least = distance; best = row; }
  }
  return best;
}

/**
 * Which texts lie inside a polygon, 1 each (even-odd rule).
 * @param {Float32Array} points
 * @param {Uint8Array} mask
 * @param {[x: number, y: number][]} corners in values
 */
export function inside(points, mask, corners) {
  const found = new Uint8Array(mask.length), xs = corners.map(([x]) => x), ys = corners.map(([, y]) => y);
  const [left, right, bottom, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  for (let row = 0; row < mask.length; row++) {
    const x = points[2 * row], y = points[2 * row + 1];
    if (!mask[row] || !(x >= left && x <= right && y >= bottom && y <= top)) continue;
    let odd = 0;
    for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
      if ((ys[i] > y) !== (ys[j] > y) && x < ((xs[j] - xs[i]) * (y - ys[i])) / (ys[j] - ys[i]) + xs[i]) odd ^= 1;
    }
    found[row] = odd;
  }
  return found;
}
