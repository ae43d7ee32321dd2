// @ts-check
// Where everything of the radial view lies, in pixels from its centre, y upwards.  No DOM here.

/** @typedef {[number, number]} Point */
/**
 * A token in its ring: where, and in which directions it is read.
 * @typedef {object} RingNode
 * @property {number} token
 * @property {number} angle clockwise from the top
 * @property {1 | -1} flip -1 in the lower half
 * @property {number} x
 * @property {number} y
 * @property {Point} right direction of reading
 * @property {Point} up
 * @property {number} [models] those that have it, as bits
 * @property {string} [name] what there was room for
 */
/**
 * A ring of tokens.
 * @typedef {object} Ring
 * @property {number} depth
 * @property {number} r
 * @property {number} arc room of one token along the ring
 * @property {number} band room of the ring, inwards
 * @property {Map<number, RingNode>} nodes by token
 * @property {number[]} right tokens of the first sentence, clockwise
 * @property {number[]} left tokens of the second sentence, counter-clockwise
 * @property {number} rows of head cells
 * @property {number} columns
 * @property {number} pitch from cell to cell
 * @property {number} cell 0 where cells would be too small
 * @property {number} gap half the angle that is left free at the top, for the name of the ring
 * @property {number | null} meet the angle where the sentences meet
 * @property {number} font
 */

const TURN = 2 * Math.PI;
const SPIKE = 2.6; // width of a spike of a sparkline

/**
 * Rows and columns for a grid of heads: wide rather than high, like a line of text (12 heads are 3 x 4).
 * @param {number} heads
 */
export function grid(heads) {
  const rows = Math.max(1, Math.round(Math.sqrt(heads) * 0.85));
  return { rows, columns: Math.ceil(heads / rows) };
}

/**
 * Lay out rings of tokens: the first sentence runs clockwise from the top, the second one counter-clockwise, until they meet.
 * The first ring is the root: a point or, around a centre, a ring like the others.
 * @param {number[][]} rings token numbers in sentence order, by depth
 * @param {boolean[]} second whether a token belongs to the second sentence
 * @param {number} heads
 * @param {number} radius
 * @param {object} [options]
 * @param {number} [options.free] how much of each ring is left free at the top, in pixels along it
 * @param {boolean} [options.around] whether the first ring stands around a centre
 * @returns {Ring[]}
 */
export function layout(rings, second, heads, radius, { free = 0, around = false } = {}) {
  const depth = rings.length - 1;
  radius = Math.max(radius, 1); // where a window is made narrow there may be no room for a moment
  const inner = around ? 0.28 * radius : Math.min(0.55 * radius / Math.max(depth, 1), 46);
  const band = depth ? (radius - inner) / depth : radius;
  const { rows, columns } = grid(heads);
  return rings.map((tokens, d) => {
    const r = d || around ? inner + d * band : 0, room = d ? band : around ? Math.min(band, 0.6 * inner) : 2 * inner;
    const gap = r ? Math.min(free / 2 / r, TURN / 8) : 0; // of a small ring a quarter at most
    const step = (TURN - 2 * gap) / Math.max(tokens.length, 1);
    const left = tokens.filter((token) => second[token]), right = tokens.filter((token) => !second[token]);
    /** @type {Map<number, RingNode>} */
    const nodes = new Map();
    /**
     * @param {number} token
     * @param {number} angle
     */
    const place = (token, angle) => {
      const flip = r && Math.cos(angle) < -1e-9 ? -1 : 1; // right side up in the lower half, too
      nodes.set(token, {
        token, angle, flip, x: r * Math.sin(angle), y: r * Math.cos(angle),
        right: r ? [flip * Math.cos(angle), -flip * Math.sin(angle)] : [1, 0], // direction of reading
        up: r ? [flip * Math.sin(angle), flip * Math.cos(angle)] : [0, 1],
      });
    };
    right.forEach((token, i) => place(token, gap + (i + 0.5) * step));
    left.forEach((token, i) => place(token, -gap - (i + 0.5) * step));
    if (!r) tokens.forEach((token, i) => Object.assign(/** @type {RingNode} */ (nodes.get(token)), { angle: 0, x: (i - (tokens.length - 1) / 2) * 1.4 * inner })); // two roots
    const arc = r ? r * step : 2 * inner;
    const pitch = Math.min(6, 0.36 * Math.min(band, room) / rows, 0.9 * arc / columns);
    return {
      depth: d, r, arc, band: room, nodes, right, left, rows, columns,
      pitch, cell: pitch < 1.6 ? 0 : 0.78 * pitch, // too small to tell apart: no cells
      gap, meet: left.length && right.length ? gap + right.length * step : null,
      font: Math.max(8, Math.min(12.5, 0.33 * Math.min(band, room))),
    };
  });
}

/**
 * Centre of a node's grid of head cells: inside its ring, the label stands on the ring.
 * @param {Ring} ring
 * @param {RingNode} node
 * @returns {Point}
 */
export function glyphCentre(ring, node) {
  const back = (ring.rows * ring.pitch) / 2 + ring.font * 0.66;
  if (!ring.r) return [node.x, node.y - back];
  return [node.x - back * Math.sin(node.angle), node.y - back * Math.cos(node.angle)];
}

/**
 * Centre of one head's cell within its grid: across in the direction of reading, and down.
 * @param {Ring} ring
 * @param {number} head
 * @returns {Point}
 */
export function cellPlace(ring, head) {
  const row = Math.floor(head / ring.columns), column = head % ring.columns;
  return [(column - (ring.columns - 1) / 2) * ring.pitch, (row - (ring.rows - 1) / 2) * ring.pitch];
}

/**
 * Centre of one head's cell.
 * @param {Ring} ring
 * @param {RingNode} node
 * @param {number} head
 * @returns {Point}
 */
export function cellCentre(ring, node, head) {
  const [across, down] = cellPlace(ring, head), [x, y] = glyphCentre(ring, node);
  return [x + across * node.right[0] - down * node.up[0], y + across * node.right[1] - down * node.up[1]];
}

/**
 * Corners of one head's cell, or of its left (0) or right (1) half, for a closed line.
 * @param {Ring} ring
 * @param {RingNode} node
 * @param {number} head
 * @param {number | null} half
 * @returns {Point[]}
 */
export function cellCorners(ring, node, head, half = null) {
  const [x, y] = cellCentre(ring, node, head), h = ring.cell / 2, gap = 0.1 * h, { right: [a, b], up: [c, d] } = node;
  const from = half === 1 ? gap : -h, to = half === 0 ? -gap : h;
  return [[from, -h], [to, -h], [to, h], [from, h]].map(([u, v]) => [x + u * a + v * c, y + u * b + v * d]);
}

/** @param {Ring} ring */
const sparklineHeight = (ring) => Math.min(11, 0.13 * ring.band);

/**
 * Room for a sparkline, 0 if there is too little or nothing attends to the ring.
 * @param {Ring} ring
 */
export function sparklineWidth(ring) {
  const width = Math.min(0.72 * ring.arc, 46), used = 1.11 * ring.font + ring.rows * ring.pitch + 2 + sparklineHeight(ring);
  return ring.depth && ring.cell && width >= 14 && used <= ring.band - 1.2 ? width : 0;
}

/**
 * Spikes under a token's cells: where, relative to it, the tokens stand that attend to it.  Returns the base line and a
 * triangle each.
 * @param {Ring} ring
 * @param {RingNode} node
 * @param {Point[]} spikes [offset from -1 to 1, heads]
 */
export function sparkline(ring, node, spikes) {
  const width = sparklineWidth(ring), high = sparklineHeight(ring);
  const [x, y] = glyphCentre(ring, node), inward = (ring.rows * ring.pitch) / 2 + 2 + (node.flip > 0 ? high : 0);
  const base = [x - inward * Math.sin(node.angle), y - inward * Math.cos(node.angle)];
  /**
   * @param {Point[]} points
   * @returns {Point[]}
   */
  const put = (points) => points.map(([u, v]) => [base[0] + u * node.right[0] + v * node.up[0], base[1] + u * node.right[1] + v * node.up[1]]);
  const line = put([[-width / 2, -0.8], [width / 2, -0.8], [width / 2, 0], [-width / 2, 0]]);
  /** @type {Map<number, number>} */
  const tallest = new Map(); // spikes that would hide each other count as one
  for (const [offset, heads] of spikes) {
    const at = Math.round((offset * width) / 2 / SPIKE) * SPIKE;
    tallest.set(at, Math.max(tallest.get(at) ?? 0, Math.min(heads, 3)));
  }
  return { line, spikes: [...tallest].map(([at, heads]) => put([[at - SPIKE / 2, 0], [at, (high * heads) / 3], [at + SPIKE / 2, 0]])) };
}

/**
 * Radius of what the rings stand around; 0 where the first of them is a point.
 * @param {Ring[]} rings
 */
export const centreRadius = ([ring]) => (ring.r ? ring.r - 0.72 * ring.band : 0);

/**
 * The token, and perhaps the head of it, at a point; null where there is none.
 * @param {Ring[]} rings
 * @param {number} heads
 * @param {number} x
 * @param {number} y
 */
export function hit(rings, heads, x, y) {
  const distance = Math.hypot(x, y), angle = Math.atan2(x, y);
  for (const ring of rings) {
    if (!ring.nodes.size) continue;
    const low = ring.r ? ring.r - 0.72 * ring.band : -1, high = ring.r ? ring.r + 0.28 * ring.band : 0.6 * ring.band;
    if (distance < low || distance >= high) continue;
    const node = ring.r ? nodeAt(ring, angle) : [...ring.nodes.values()].sort((p, q) => Math.hypot(p.x - x, p.y - y) - Math.hypot(q.x - x, q.y - y))[0];
    return node && { depth: ring.depth, token: node.token, ...headAt(ring, node, heads, x, y) };
  }
  return null;
}

/**
 * @param {Ring} ring
 * @param {number} angle
 */
function nodeAt(ring, angle) {
  const step = (TURN - 2 * ring.gap) / ring.nodes.size;
  const clockwise = (angle + TURN) % TURN, at = Math.min(ring.nodes.size - 1, Math.max(0, Math.floor((clockwise - ring.gap) / step)));
  const token = at < ring.right.length ? ring.right[at] : ring.left[ring.nodes.size - 1 - at];
  const node = /** @type {RingNode} */ (ring.nodes.get(token));
  // In a sparse ring a token's slice is wide; only its middle belongs to it.
  const off = Math.abs(((clockwise - node.angle + 1.5 * TURN) % TURN) - TURN / 2) * ring.r;
  return off <= Math.max(60, ring.band) ? node : null;
}

/**
 * The head whose cell is at a point, and the half of the cell (0 left, 1 right).
 * @param {Ring} ring
 * @param {RingNode} node
 * @param {number} heads
 * @param {number} x
 * @param {number} y
 * @returns {{ head: number | null, half: number | null }}
 */
function headAt(ring, node, heads, x, y) {
  if (!ring.cell) return { head: null, half: null };
  const [cx, cy] = glyphCentre(ring, node), { right, up } = node;
  const across = ((x - cx) * right[0] + (y - cy) * right[1]) / ring.pitch + ring.columns / 2;
  const down = -((x - cx) * up[0] + (y - cy) * up[1]) / ring.pitch + ring.rows / 2;
  const column = Math.floor(across), row = Math.floor(down), head = row * ring.columns + column;
  const inside = column >= 0 && column < ring.columns && row >= 0 && row < ring.rows && head < heads;
  return inside ? { head, half: across - column < 0.5 ? 0 : 1 } : { head: null, half: null };
}

/**
 * A label cut to the room there is, or "" if not even three characters fit.
 * @param {string} text
 * @param {number} room
 * @param {number} font
 */
export function fit(text, room, font) {
  const characters = [...text], most = Math.floor(room / (0.56 * font));
  if (characters.length <= most) return text;
  return most >= 3 ? characters.slice(0, most - 1).join("") + "…" : "";
}
