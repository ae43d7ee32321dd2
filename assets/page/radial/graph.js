// @ts-check
// Attention graphs in the browser: unpacking, and what depends on what.  No DOM here.
// Rings count from the root outwards (depth 0 is the root), so that models of different depth are aligned.

import { bytes } from "../shared/bytes.js";
/** @import { Edges, RadialModel } from "../payloads.js" */
/** @typedef {{ rings: Uint8Array[], edges: Uint8Array }} Traced masks: rings[depth][token], edges[e] */

/** How many of its strongest edges a token lights at most, if all. */
export const ALL = Infinity;
const FAR = 255; // a place in an order that is not counted further

/**
 * @param {string} text
 * @param {Edges["bytes"]} size
 */
const numbers = (text, size) => (size === 1 ? bytes(text) : new Uint16Array(bytes(text).buffer));

/** One model's attention graph.  Edge e joins token key[e] of ring depth[e] to token query[e] of ring depth[e] - 1. */
export class Graph {
  /** @type {Map<number, number[]>[] | undefined} */
  attenders;
  /** @type {Map<number, number> | undefined} */
  edgesAt;

  /**
   * @param {RadialModel} model
   * @param {string[]} text
   */
  constructor({ name, layers, encoder, heads, root, centre, rings, edges }, text) {
    const size = text.length;
    this.name = name;
    this.layers = layers;
    this.encoder = encoder; // of its layers, those of an encoder before a decoder
    this.heads = heads;
    this.root = root; // one token, or several that are read together: they stand around a centre, and are one thing
    this.centre = centre;
    this.size = size;
    this.text = text;
    this.query = numbers(edges.query, edges.bytes);
    this.key = numbers(edges.key, edges.bytes);
    this.depth = new Uint8Array(this.query.length);
    this.span = Array.from({ length: layers + 2 }, () => [0, 0]); // edges of a depth: from, and up to but without
    let edge = 0;
    edges.count.forEach((count, layer) => {
      this.span[layers - layer] = [edge, edge + count];
      this.depth.fill(layers - layer, edge, edge += count);
    });
    this.weights = bytes(edges.weight);
    // Heads of edge e are headOf[headStart[e]] .. headOf[headStart[e + 1] - 1], and so are their weights.
    this.headOf = new Uint8Array(this.weights.length);
    this.headStart = new Uint32Array(this.query.length + 1);
    const masks = bytes(edges.heads), width = Math.ceil(heads / 8); // bytes of one set of heads
    for (let e = 0, at = 0; e < this.query.length; e++) {
      for (let head = 0; head < heads; head++) if ((masks[e * width + (head >> 3)] >> (head & 7)) & 1) this.headOf[at++] = head;
      this.headStart[e + 1] = at;
    }
    this.inRing = rings.map((tokens) => { // [depth][token]
      const ring = new Uint8Array(size);
      for (const token of tokens) ring[token] = 1;
      return ring;
    }).reverse();
    this.reads = Array.from({ length: layers + 1 }, () => new Uint16Array(size * heads)); // see attends()
    this.strongest = new Uint8Array(this.query.length);
    for (let e = 0; e < this.query.length; e++) {
      const reads = this.reads[this.depth[e] - 1], at = this.query[e] * heads;
      for (let k = this.headStart[e]; k < this.headStart[e + 1]; k++) {
        reads[at + this.headOf[k]]++;
        if (this.weights[k] > this.strongest[e]) this.strongest[e] = this.weights[k];
      }
    }
    this.paths = this.pathsToRoot();
    this.byStrength = Uint32Array.from(this.strongest.keys()).sort((p, q) => this.strongest[q] - this.strongest[p]);
    this.placeOfKey = this.places(this.query); // which of the edges by which its token attends each edge is, from 1, by strength
    this.placeOfQuery = this.places(this.key); // and which of those by which its token is attended to
  }

  /**
   * For each edge its place by strength among those of its depth that share an end.
   * @param {Uint8Array | Uint16Array} ends
   */
  places(ends) {
    const places = new Uint8Array(ends.length), counts = new Uint16Array((this.layers + 1) * this.size);
    for (const e of this.byStrength) places[e] = Math.min(FAR, ++counts[this.depth[e] * this.size + ends[e]]);
    return places;
  }

  /**
   * The edge between two tokens; undefined if there is none.
   * @param {number} depth of the token that is attended to
   * @param {number} query
   * @param {number} key
   */
  edgeAt(depth, query, key) {
    /** @param {number} e */
    const number = (e) => (this.depth[e] * this.size + this.query[e]) * this.size + this.key[e];
    this.edgesAt ??= new Map(Array.from(this.query.keys(), (e) => [number(e), e]));
    return this.edgesAt.get((depth * this.size + query) * this.size + key);
  }

  /**
   * The name of a layer, from 1.
   * @param {number} layer
   */
  layerName(layer) { return !this.encoder ? `L${layer}` : layer > this.encoder ? `decoder ${layer - this.encoder}` : `encoder ${layer}`; }

  /**
   * How many heads attend from a ring: in the layers of an encoder there are none of cross-attention.
   * @param {number} depth of the ring
   */
  headsAt(depth) { return this.layers - depth > this.encoder ? this.heads : this.encoder ? this.heads / 2 : this.heads; }

  /** @param {number} edge */
  headsOf(edge) { return this.headOf.subarray(this.headStart[edge], this.headStart[edge + 1]); }

  /**
   * @param {number} edge
   * @param {number} head
   */
  has(edge, head) { return this.headsOf(edge).includes(head); }

  /**
   * Attention of one head along an edge, to 1/255; 0 if the head does not carry it.
   * @param {number} edge
   * @param {number} head
   */
  weight(edge, head) {
    const at = this.headsOf(edge).indexOf(head);
    return at < 0 ? 0 : this.weights[this.headStart[edge] + at] / 255;
  }

  /**
   * For each head, to how many tokens of the next ring outwards a token attends.
   * @param {number} depth
   * @param {number} token
   */
  attends(depth, token) { return this.reads[depth].subarray(token * this.heads, (token + 1) * this.heads); }

  /**
   * The edges by which a token of a ring attends.
   * @param {number} depth
   * @param {number} token
   */
  attendingOf(depth, token) {
    const [from, to] = this.span[depth + 1];
    /** @type {number[]} */
    const found = [];
    for (let e = from; e < to; e++) if (this.query[e] === token) found.push(e);
    return found;
  }

  /**
   * The edges by which a token of a ring is attended to.
   * @param {number} depth
   * @param {number} token
   */
  attendersOf(depth, token) {
    if (!this.attenders) {
      this.attenders = this.span.map(() => new Map());
      for (let e = 0; e < this.key.length; e++) {
        const ring = this.attenders[this.depth[e]], edges = ring.get(this.key[e]);
        if (edges) edges.push(e);
        else ring.set(this.key[e], [e]);
      }
    }
    return this.attenders[depth]?.get(token) ?? [];
  }

  /**
   * What tokens of a ring depend on in common, and what depends on all of them; a head restricts only the layer that
   * the tokens themselves read with.  All tokens of a root of several: what any of them depends on.  `most` keeps to the
   * strongest edges of each token on the way: those by which it attends, and towards the root those by which it is attended to.
   * @param {number} depth
   * @param {number[]} tokens
   * @param {number | null} head
   * @param {number} most
   * @returns {Traced}
   */
  reach(depth, tokens, head = null, most = ALL) {
    const { rings, edges } = this.nothing();
    if (depth > this.layers) return { rings, edges };
    const chosen = this.chosen(depth, tokens), size = this.isRoot(depth, chosen) ? 1 : count(chosen);
    rings[depth] = chosen;
    for (let d = depth + 1; d <= this.layers; d++) { // away from the root
      const next = d === depth + 1, keeps = next && head !== null ? this.ofHead(depth, tokens, head, most) : this.within(this.placeOfKey, most);
      rings[d] = this.follow(d, this.query, this.key, rings[d - 1], edges, next ? size : 1, keeps);
    }
    const keeps = this.within(this.placeOfQuery, most);
    for (let d = depth; d > 0; d--) rings[d - 1] = this.follow(d, this.key, this.query, rings[d], edges, d === depth ? size : 1, keeps); // towards it
    return { rings, edges };
  }

  /**
   * Whether an edge is among the strongest of its token; null if all are.
   * @param {Uint8Array} places
   * @param {number} most
   */
  within(places, most) { return most < ALL ? (/** @type {number} */ e) => places[e] <= most : null; }

  /**
   * Whether an edge is carried by a head, and among the strongest that this head carries for its token.
   * @param {number} depth
   * @param {number[]} tokens
   * @param {number} head
   * @param {number} most
   */
  ofHead(depth, tokens, head, most) {
    const found = tokens.flatMap((token) => {
      const own = this.attendingOf(depth, token).filter((e) => this.has(e, head));
      return most < ALL ? own.sort((p, q) => this.weight(q, head) - this.weight(p, head)).slice(0, most) : own;
    });
    const kept = new Set(found);
    return (/** @type {number} */ e) => kept.has(e);
  }

  /**
   * From the tokens of a mask, at the `near` ends of the edges of a depth, to those at the `far` ends that are joined to at
   * least so many of them, perhaps only by some edges; returns their mask and puts the edges into `edges`.
   * @param {number} depth
   * @param {Uint8Array | Uint16Array} near
   * @param {Uint8Array | Uint16Array} far
   * @param {Uint8Array} mask
   * @param {Uint8Array} edges
   * @param {number} least
   * @param {((edge: number) => boolean) | null} keeps
   */
  follow(depth, near, far, mask, edges, least = 1, keeps = null) {
    const [from, to] = this.span[depth], reached = new Uint8Array(this.size), joined = new Uint16Array(this.size);
    /** @param {number} e */
    const crosses = (e) => mask[near[e]] && (!keeps || keeps(e));
    if (least > 1) for (let e = from; e < to; e++) if (crosses(e)) joined[far[e]]++; // each edge joins one pair
    for (let e = from; e < to; e++) if (crosses(e) && (least < 2 || joined[far[e]] >= least)) edges[e] = reached[far[e]] = 1;
    return reached;
  }

  /**
   * All paths between tokens of two rings, and the tokens on the way that all of them are joined to.
   * @param {number} depth
   * @param {number[]} tokens
   * @param {number} otherDepth
   * @param {number[]} otherTokens
   * @returns {Traced}
   */
  between(depth, tokens, otherDepth, otherTokens) {
    const inner = Math.min(depth, otherDepth), outer = Math.max(depth, otherDepth);
    /** @type {Record<number, Uint8Array>} */
    const ends = { [depth]: this.chosen(depth, tokens), [otherDepth]: this.chosen(otherDepth, otherTokens) };
    const { rings, edges } = this.nothing();
    const down = this.joined(inner, ends[inner], outer), up = this.joined(outer, ends[outer], inner);
    for (let d = inner; d <= outer; d++) {
      if (d > this.layers) break;
      rings[d] = ends[d] ?? down[d].map((on, token) => on & up[d][token]);
    }
    for (let d = inner + 1; d <= Math.min(outer, this.layers); d++) {
      const [from, to] = this.span[d];
      for (let e = from; e < to; e++) if (rings[d - 1][this.query[e]] && rings[d][this.key[e]]) edges[e] = 1;
    }
    return { rings, edges };
  }

  /**
   * Masks by ring of the tokens that each of the chosen ones, or any of a root of several, is joined to by a path.
   * @param {number} depth
   * @param {Uint8Array} chosen
   * @param {number} until
   */
  joined(depth, chosen, until) {
    const whole = this.isRoot(depth, chosen), all = Array.from({ length: this.layers + 1 }, () => new Uint8Array(this.size).fill(count(chosen) && !whole ? 1 : 0));
    const step = Math.sign(until - depth);
    chosen.forEach((on, token) => {
      if (!on) return;
      const { rings, edges } = this.nothing(), [near, far] = step > 0 ? [this.query, this.key] : [this.key, this.query];
      rings[depth][token] = 1;
      for (let d = depth; d !== until && d + step <= this.layers; d += step) rings[d + step] = this.follow(step > 0 ? d + 1 : d, near, far, rings[d], edges);
      all.forEach((ring, d) => ring.forEach((was, t) => { ring[t] = whole ? was | rings[d][t] : was & rings[d][t]; }));
    });
    return all;
  }

  /**
   * Whether tokens of a ring are all of a root that is several.
   * @param {number} depth
   * @param {Uint8Array} chosen
   */
  isRoot(depth, chosen) { return depth === 0 && this.root.length > 1 && this.root.every((token) => chosen[token]); }

  /** @returns {Traced} */
  nothing() {
    return { rings: Array.from({ length: this.layers + 1 }, () => new Uint8Array(this.size)), edges: new Uint8Array(this.query.length) };
  }

  /**
   * The given tokens that are in a ring.
   * @param {number} depth
   * @param {number[]} tokens
   */
  chosen(depth, tokens) {
    const mask = new Uint8Array(this.size);
    for (const token of tokens) if (this.inRing[depth]?.[token]) mask[token] = 1;
    return mask;
  }

  /** Number of paths from each token to the root, along edges (heads count once): paths[depth][token]. */
  pathsToRoot() {
    const paths = this.inRing.map(() => new Float64Array(this.size));
    for (const token of this.root) paths[0][token] = 1;
    for (let d = 1; d <= this.layers; d++) {
      const [from, to] = this.span[d];
      for (let e = from; e < to; e++) paths[d][this.key[e]] += paths[d - 1][this.query[e]];
    }
    return paths;
  }
}

/**
 * Number of tokens in a mask.
 * @param {Uint8Array} mask
 */
export const count = (mask) => mask.reduce((sum, on) => sum + on, 0);
