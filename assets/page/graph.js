// Attention graphs in the browser: unpacking, and what depends on what.  No DOM here.
// Rings count from the root outwards (depth 0 is the root), so that models of different depth are aligned.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});

  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const numbers = (text, size) => (size === 1 ? bytes(text) : new Uint16Array(bytes(text).buffer));

  /** One model's attention graph.  Edge e joins token key[e] of ring depth[e] to token query[e] of ring depth[e] - 1. */
  class Graph {
    constructor({ name, layers, heads, root, rings, edges }, size) {
      Object.assign(this, { name, layers, heads, root, size });
      this.query = numbers(edges.query, edges.bytes);
      this.key = numbers(edges.key, edges.bytes);
      this.depth = new Uint8Array(this.query.length);
      let edge = 0;
      edges.count.forEach((count, layer) => {
        this.depth.fill(layers - layer, edge, edge + count);
        edge += count;
      });
      this.masks = bytes(edges.heads);
      this.width = Math.ceil(heads / 8); // bytes of one set of heads
      this.weights = bytes(edges.weight);
      this.weightStart = new Int32Array(this.query.length + 1);
      for (let e = 0; e < this.query.length; e++) this.weightStart[e + 1] = this.weightStart[e] + this.headsOf(e).length;
      this.inRing = rings.map((tokens) => { // [depth][token]
        const ring = new Uint8Array(size);
        for (const token of tokens) ring[token] = 1;
        return ring;
      }).reverse();
      this.byDepth = Array.from({ length: layers + 1 }, () => []);
      this.reads = Array.from({ length: layers + 1 }, () => new Uint16Array(size * heads)); // see attends()
      this.strongest = new Uint8Array(this.query.length);
      for (let e = 0, w = 0; e < this.query.length; e++) {
        this.byDepth[this.depth[e]].push(e);
        for (const head of this.headsOf(e)) {
          this.reads[this.depth[e] - 1][this.query[e] * heads + head]++;
          this.strongest[e] = Math.max(this.strongest[e], this.weights[w++]);
        }
      }
      this.byStrength = Uint32Array.from(this.strongest.keys()).sort((p, q) => this.strongest[q] - this.strongest[p]);
    }

    has(edge, head) { return (this.masks[edge * this.width + (head >> 3)] >> (head & 7)) & 1; }

    headsOf(edge) {
      const list = [];
      for (let head = 0; head < this.heads; head++) if (this.has(edge, head)) list.push(head);
      return list;
    }

    /** Attention of one head along an edge, to 1/255; 0 if the head does not carry it. */
    weight(edge, head) {
      const at = this.headsOf(edge).indexOf(head);
      return at < 0 ? 0 : this.weights[this.weightStart[edge] + at] / 255;
    }

    /** The layer, from 0, that reads the tokens of a ring. */
    layerOf(depth) { return this.layers - depth; }

    /** For each head, to how many tokens of the next ring outwards a token attends. */
    attends(depth, token) { return this.reads[depth].subarray(token * this.heads, (token + 1) * this.heads); }

    /** What a token depends on and what depends on it; a head restricts only the layer that the token itself reads with.
     *  Returns byte masks: rings[depth][token] and edges[e]. */
    reach(depth, token, head = null) {
      const rings = Array.from({ length: this.layers + 1 }, () => new Uint8Array(this.size));
      const edges = new Uint8Array(this.query.length);
      if (!this.inRing[depth]?.[token]) return { rings, edges };
      rings[depth][token] = 1;
      for (let d = depth + 1; d <= this.layers; d++) { // away from the root
        for (const e of this.byDepth[d]) {
          if (!rings[d - 1][this.query[e]]) continue;
          if (head !== null && d === depth + 1 && !this.has(e, head)) continue;
          edges[e] = rings[d][this.key[e]] = 1;
        }
      }
      for (let d = depth; d > 0; d--) { // towards the root
        for (const e of this.byDepth[d]) if (rings[d][this.key[e]]) edges[e] = rings[d - 1][this.query[e]] = 1;
      }
      return { rings, edges };
    }
  }

  /** Number of tokens in a mask. */
  const count = (mask) => mask.reduce((sum, on) => sum + on, 0);

  Object.assign(Attnflow, { Graph, count });
})();
