// @ts-check
// What the radial view shows of a figure: which models, their rings, and what belongs to each token.  No DOM here.
// Sets of models are bits: 1 only A, 2 only B, 3 both.

import { count } from "./graph.js";
import * as geometry from "./geometry.js";
import * as select from "./selection.js";
/** @import { Head, Radial, Selection } from "../payloads.js" */
/** @import { Point, Ring, RingNode } from "./geometry.js" */
/** @import { Graph } from "./graph.js" */
/** @import { Hit, Lighting } from "./selection.js" */
/** @typedef {"a" | "b" | "both"} View */

const SETS = ["a", "b", "ab"];

/**
 * The name of a set of models, as classes and colours have it.
 * @param {number} models
 */
export const nameOf = (models) => SETS[models - 1];

const RING_FONT = 9; // of the names of rings
const SHOWN = { most: select.FEW, differing: false };

export class Scene {
  /**
   * The rings fill the smaller of width and height.
   * @param {Radial} data
   * @param {Graph[]} graphs one for each model
   * @param {View} view
   * @param {number} width
   * @param {number} height
   * @param {Lighting} lighting what both models share stays dark only where both are shown
   */
  constructor(data, graphs, view, width, height, lighting = SHOWN) {
    const shown = view === "a" ? [0] : view === "b" ? [1] : graphs.map((_, i) => i);
    const active = shown.filter((i) => graphs[i]); // numbers of the models that are shown
    const start = data.lines.at(-1) ?? -1;
    this.data = data;
    this.graphs = graphs;
    this.active = active;
    this.width = width;
    this.height = height;
    this.text = data.text;
    this.names = data.names;
    this.comparing = active.length > 1;
    this.lighting = { ...lighting, differing: lighting.differing && this.comparing };
    this.heads = Math.max(...active.map((i) => graphs[i].heads));
    this.roots = [...new Set(active.flatMap((i) => graphs[i].root))].sort((p, q) => p - q);
    this.around = active.some((i) => graphs[i].root.length > 1); // several tokens are read: they stand around a centre
    this.last = Math.max(...active.map((i) => graphs[i].layers)); // depth of the outermost ring, the input
    this.second = data.text.map((_, token) => start >= 0 && token >= start); // they run counter-clockwise
    const tokens = Array.from({ length: this.last + 1 }, (_, depth) => data.text.map((_, token) => token).filter((token) => this.modelsAt(depth, token)));
    this.rings = geometry.layout(tokens, this.second, this.heads, Math.min(width, height) / 2 - 18, { free: this.ringNameWidth(), around: this.around });
    for (const ring of this.rings) for (const node of ring.nodes.values()) node.models = this.modelsAt(ring.depth, node.token);
  }

  /**
   * @param {number} depth
   * @param {number} token
   */
  modelsAt(depth, token) { return this.active.reduce((models, i) => models | (this.graphs[i].inRing[depth]?.[token] ? 1 << i : 0), 0); }

  /**
   * @param {number} depth
   * @param {number} token
   */
  node(depth, token) { return this.rings[depth]?.nodes.get(token); }

  /**
   * Special tokens are drawn more quietly, except in the centre.
   * @param {Ring} ring
   * @param {RingNode} node
   */
  quiet(ring, node) { return Boolean(ring.r && this.data.sentence[node.token] < 0); }

  // ---- heads

  /**
   * How many cells are drawn for each token of a ring; what enters the first layer attends to nothing.
   * @param {Ring} ring
   */
  cellCount(ring) { return ring.cell && ring.depth < this.last ? this.heads : 0; }

  /**
   * For each cell of a token: the models in which that head attends to something, and to how many tokens in each of the two.
   * @param {Ring} ring
   * @param {{ token: number }} node
   * @returns {[models: number, a: number, b: number][]}
   */
  cells(ring, { token }) {
    const [a, b] = [0, 1].map((i) => (this.active.includes(i) && this.graphs[i].inRing[ring.depth]?.[token] ? this.graphs[i].attends(ring.depth, token) : []));
    return Array.from({ length: this.cellCount(ring) }, (_, head) => [(a[head] ? 1 : 0) | (b[head] ? 2 : 0), a[head] ?? 0, b[head] ?? 0]);
  }

  /**
   * From where a token is attended to, and by how many heads: by models, lists of [offset, heads].
   * @param {Ring} ring
   * @param {RingNode} node
   */
  spikes(ring, node) {
    /** @type {Map<number, [models: number, heads: number]>} by attending token */
    const at = new Map();
    for (const i of this.active) {
      const graph = this.graphs[i];
      for (const e of graph.attendersOf(ring.depth, node.token)) {
        const [models, heads] = at.get(graph.query[e]) ?? [0, 0];
        at.set(graph.query[e], [models | (1 << i), Math.max(heads, graph.headsOf(e).length)]);
      }
    }
    /** @type {Map<number, Point[]>} */
    const groups = new Map();
    for (const [query, [models, heads]] of at) {
      /** @type {Point} */
      const spike = [(query - node.token) / Math.max(1, this.text.length - 1), heads];
      const group = groups.get(models);
      if (group) group.push(spike);
      else groups.set(models, [spike]);
    }
    return groups;
  }

  // ---- lines

  /**
   * From the cells of the attending token to the name of the one it attends to.
   * @param {[depth: number, query: number, key: number, ...rest: number[]]} line
   * @returns {[Point, Point]}
   */
  lineEnds([depth, query, key]) {
    const inner = /** @type {RingNode} */ (this.node(depth - 1, query)), outer = /** @type {RingNode} */ (this.node(depth, key)), ring = this.rings[depth - 1];
    return [ring.cell ? geometry.glyphCentre(ring, inner) : [inner.x, inner.y], [outer.x, outer.y]];
  }

  // ---- selections

  /**
   * What is at a point: a token, or one of its heads.  A half of a split cell stands for one model, or for both if asked.
   * @param {number} x
   * @param {number} y
   * @param {boolean} both
   */
  at(x, y, both) {
    if (Math.hypot(x, y) < geometry.centreRadius(this.rings)) return this.root();
    const found = geometry.hit(this.rings, this.heads, x, y);
    if (!found) return null;
    const { depth, token, head, half } = found;
    if (head === null || depth === this.last) return select.one(depth, token);
    const [models] = this.cells(this.rings[depth], found)[head];
    const model = !this.comparing || !models || (models === 3 && both) ? null : models === 3 ? half : models - 1;
    return select.one(depth, token, head, model);
  }

  /**
   * A word in the ring in which a head reads for it, or else where it stands furthest out; null if it is in no ring.
   * @param {number} word
   * @param {Head | null} head its layer counted by the deeper of all models
   */
  ofWord(word, head) {
    const reading = head ? this.layerOf(head[0]) : -1; // depth and layer are counted from the two ends
    if (head && head[1] < this.heads && this.node(reading, word)) return select.one(reading, word, head[1]);
    const depth = this.rings.findLastIndex((ring) => ring.nodes.has(word));
    return depth < 0 ? null : select.one(depth, word);
  }

  /** @param {Selection} selection */
  light(selection) { return select.lit(selection, this.graphs, this.active, this.rings.length, this.text.length, this.heads, this.lighting); }

  /**
   * Whether something of these models is left out: where only what differs is shown, what both share is not.
   * @param {number} models
   */
  leavesOut(models) { return this.lighting.differing && models === 3; }

  /**
   * Whether a selection is of tokens and heads that there are.
   * @param {Selection} selection
   */
  fits({ ends, head }) {
    return ends.every(({ depth, tokens }) => depth <= this.last && tokens.every((token) => token < this.text.length)) && (head === null || head < this.heads);
  }

  /**
   * Tokens of a ring, clockwise from the top.
   * @param {number} depth
   */
  clockwise(depth) {
    const { right, left } = this.rings[depth];
    return [...right, ...[...left].reverse()];
  }

  /**
   * Where in that order the token is that stands nearest to an angle.
   * @param {number} depth
   * @param {number} angle
   */
  nearest(depth, angle) {
    const closeness = this.clockwise(depth).map((token) => Math.cos((this.node(depth, token)?.angle ?? 0) - angle));
    return closeness.indexOf(Math.max(...closeness));
  }

  /**
   * Tokens of a ring from one to that nearest to an angle, the shorter way round, in sentence order.
   * @param {number} depth
   * @param {number} token
   * @param {number} angle
   */
  stretch(depth, token, angle) {
    const order = this.clockwise(depth), size = order.length, from = order.indexOf(token);
    const way = (this.nearest(depth, angle) - from + size) % size, back = way > size / 2;
    return Array.from({ length: (back ? size - way : way) + 1 }, (_, i) => order[(from + (back ? size - i : i)) % size]).sort((p, q) => p - q);
  }

  // ---- the root, where it is several tokens

  /**
   * All of the root, perhaps by one head.
   * @param {number | null} head
   * @returns {Selection}
   */
  root(head = null) { return { ends: [{ depth: 0, tokens: this.roots }], head, model: null }; }

  /**
   * Whether an end of a selection is all of a root that is several.
   * @param {Selection["ends"][number]} end
   */
  isRoot({ depth, tokens }) { return this.around && depth === 0 && this.roots.every((token) => tokens.includes(token)); }

  /** The models, as bits, that read several tokens. */
  get pooling() { return this.active.reduce((models, i) => models | (this.graphs[i].root.length > 1 ? 1 << i : 0), 0); }

  /**
   * The models, as bits, of which the centre is lit: those of which a token of the first ring is.
   * @param {Hit} hit
   */
  litCentre(hit) { return hit.nodes[0].reduce((models, on) => models | on, 0) & this.pooling; }

  /**
   * What the score of each model reads, once where all models agree: the name of the centre.
   * @param {string[]} words what single tokens are called
   */
  rootNames(words = this.text) {
    const names = this.active.map((i) => [i, this.graphs[i].centre || words[this.graphs[i].root[0]]]);
    return new Set(names.map(([, name]) => name)).size === 1 ? [`${names[0][1]}`] : names.map(([i, name]) => `${"AB"[Number(i)]} ${name}`);
  }

  // ---- names

  /**
   * Layer of the page in front of a ring, from 0: counted by the deeper of all models.
   * @param {number} depth
   */
  layerOf(depth) { return Math.max(...this.graphs.map((graph) => graph.layers)) - 1 - depth; }

  /**
   * Say something of each model's layer in front of a ring (0 is the input), once where all models agree.
   * @param {number} depth
   * @param {(name: string, layer: number) => string} say given the name of the layer, and its number from 1
   */
  byLayer(depth, say) {
    const layers = this.active.map((i) => [i, this.graphs[i].layers - depth]).filter(([, layer]) => layer >= 0);
    const same = new Set(this.active.map((i) => `${this.graphs[i].layers} ${this.graphs[i].encoder ?? 0}`)).size === 1;
    const said = layers.map(([i, layer]) => say(this.graphs[i].layerName(layer), layer));
    return same ? said[0] : said.map((one, at) => `${"AB"[layers[at][0]]} ${one}`).join(" · ");
  }

  /**
   * The name of a ring as there is room for in the drawing.
   * @param {number} depth
   */
  ringLabel(depth) { return this.byLayer(depth, (name, layer) => (layer ? name.replace("encoder ", "E").replace("decoder ", "D") : "input")).replaceAll(" L", "").replace("A input · B input", "input").replace(" input", " in").replace(" · ", " "); }

  /** Room that the names of the rings need. */
  ringNameWidth() { return 0.6 * RING_FONT * Math.max(...Array.from({ length: this.last + 1 }, (_, depth) => (depth || this.around ? this.ringLabel(depth).length : 0))) + 6; }

  /** @param {Ring} ring */
  ringFont(ring) { return Math.min(RING_FONT + 1, Math.max(7.5, 0.62 * ring.band)); }

  /** @param {number} depth */
  layerName(depth) { return this.byLayer(depth, (name) => name); }

  /** @param {number} depth */
  ringName(depth) { return depth ? this.byLayer(depth, (name, layer) => (layer ? `after ${name}` : "input")) : "output"; }

  /** Where a graph ends before it has reached the input, in words; empty if none does. */
  endings() {
    const ended = this.active.map((i) => [i, this.graphs[i].inRing.findIndex((ring) => !count(ring))]).filter(([, depth]) => depth > 0);
    return ended.map(([i, depth]) => `${this.graphs.length > 1 ? `Model ${"AB"[i]}` : "The graph"} ends at L${this.graphs[i].layers - depth + 1}: no head there attends to anything above tau = ${this.data.models[i].tau[this.graphs[i].layers - depth]}. Lower tau to see more.`).join(" ");
  }
}
