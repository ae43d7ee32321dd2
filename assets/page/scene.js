// What the radial view shows of a figure: which models, their rings, and what belongs to each token.  No DOM here.
// Sets of models are bits: 1 only A, 2 only B, 3 both.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { geometry, selection: select } = Attnflow;
  const SETS = ["a", "b", "ab"];
  const nameOf = (models) => SETS[models - 1];

  class Scene {
    /** graphs: one for each model; view: "a", "b" or "both"; the rings fill the smaller of width and height. */
    constructor(data, graphs, view, width, height) {
      const shown = view === "a" ? [0] : view === "b" ? [1] : graphs.map((_, i) => i);
      const active = shown.filter((i) => graphs[i]); // numbers of the models that are shown
      const start = data.sentence.indexOf(1);
      Object.assign(this, {
        data, graphs, active, width, height, text: data.text, comparing: active.length > 1,
        heads: Math.max(...active.map((i) => graphs[i].heads)),
        last: Math.max(...active.map((i) => graphs[i].layers)), // depth of the outermost ring, the input
        second: data.text.map((_, token) => start >= 0 && token >= start), // they run counter-clockwise
      });
      const tokens = Array.from({ length: this.last + 1 }, (_, depth) => data.text.map((_, token) => token).filter((token) => this.modelsAt(depth, token)));
      this.rings = geometry.layout(tokens, this.second, this.heads, Math.min(width, height) / 2 - 18);
      for (const ring of this.rings) for (const node of ring.nodes.values()) node.models = this.modelsAt(ring.depth, node.token);
    }

    modelsAt(depth, token) { return this.active.reduce((models, i) => models | (this.graphs[i].inRing[depth]?.[token] ? 1 << i : 0), 0); }

    node(depth, token) { return this.rings[depth]?.nodes.get(token); }

    /** Special tokens are drawn more quietly, except in the centre. */
    quiet(ring, node) { return Boolean(ring.depth && this.data.sentence[node.token] < 0); }

    // ---- heads

    /** How many cells are drawn for each token of a ring; what enters the first layer attends to nothing. */
    cellCount(ring) { return ring.cell && ring.depth < this.last ? this.heads : 0; }

    /** For each cell of a token: [the models in which that head attends to something, to how many tokens at most]. */
    cells(ring, { token }) {
      const counts = this.active.filter((i) => this.graphs[i].inRing[ring.depth]?.[token]).map((i) => [i, this.graphs[i].attends(ring.depth, token)]);
      return Array.from({ length: this.cellCount(ring) }, (_, head) => {
        const reading = counts.filter(([, heads]) => heads[head]);
        return [reading.reduce((models, [i]) => models | (1 << i), 0), Math.max(0, ...reading.map(([, heads]) => heads[head]))];
      });
    }

    /** From where a token is attended to, and by how many heads: by models, lists of [offset, heads]. */
    spikes(ring, node) {
      const at = new Map(); // attending token -> [models, heads]
      for (const i of this.active) {
        const graph = this.graphs[i];
        for (const e of graph.attendersOf(ring.depth, node.token)) {
          const [models, heads] = at.get(graph.query[e]) ?? [0, 0];
          at.set(graph.query[e], [models | (1 << i), Math.max(heads, graph.headsOf(e).length)]);
        }
      }
      const groups = new Map();
      for (const [query, [models, heads]] of at) {
        if (!groups.has(models)) groups.set(models, []);
        groups.get(models).push([(query - node.token) / Math.max(1, this.text.length - 1), heads]);
      }
      return groups;
    }

    // ---- lines

    /** From the cells of the attending token to the name of the one it attends to. */
    lineEnds([depth, query, key]) {
      const inner = this.node(depth - 1, query), outer = this.node(depth, key), ring = this.rings[depth - 1];
      return [ring.cell ? geometry.glyphCentre(ring, inner) : [inner.x, inner.y], [outer.x, outer.y]];
    }

    // ---- selections

    /** What is at a point: a token, or one of its heads.  A half of a split cell stands for one model, or for both if asked. */
    at(x, y, both) {
      const found = geometry.hit(this.rings, this.heads, x, y);
      if (!found) return null;
      const { depth, token, head, half } = found;
      if (head === null || depth === this.last) return select.one(depth, token);
      const [models] = this.cells(this.rings[depth], found)[head];
      const model = !this.comparing || !models || (models === 3 && both) ? null : models === 3 ? half : models - 1;
      return select.one(depth, token, head, model);
    }

    light(selection) { return select.lit(selection, this.graphs, this.active, this.rings.length, this.text.length, this.heads); }

    /** Whether a selection is of tokens and heads that there are. */
    fits({ ends, head }) {
      return ends.every(({ depth, tokens }) => depth <= this.last && tokens.every((token) => token < this.text.length)) && (head === null || head < this.heads);
    }

    /** Tokens of a ring, clockwise from the top. */
    clockwise(depth) {
      const { right, left } = this.rings[depth];
      return [...right, ...[...left].reverse()];
    }

    /** Where in that order the token is that stands nearest to an angle. */
    nearest(depth, angle) {
      const closeness = this.clockwise(depth).map((token) => Math.cos(this.node(depth, token).angle - angle));
      return closeness.indexOf(Math.max(...closeness));
    }

    /** Tokens of a ring from one to that nearest to an angle, the shorter way round, in sentence order. */
    stretch(depth, token, angle) {
      const order = this.clockwise(depth), size = order.length, from = order.indexOf(token);
      const way = (this.nearest(depth, angle) - from + size) % size, back = way > size / 2;
      return Array.from({ length: (back ? size - way : way) + 1 }, (_, i) => order[(from + (back ? size - i : i)) % size]).sort((p, q) => p - q);
    }

    // ---- names

    /** Say something of each model's layer in front of a ring (0 is the input), once where all models agree. */
    byLayer(depth, say) {
      const layers = this.active.map((i) => [i, this.graphs[i].layers - depth]).filter(([, layer]) => layer >= 0);
      const same = new Set(this.active.map((i) => this.graphs[i].layers)).size === 1;
      return same ? say(layers[0][1]) : layers.map(([i, layer]) => `${"AB"[i]} ${say(layer)}`).join(" · ");
    }

    layerName(depth) { return this.byLayer(depth, (layer) => `L${layer}`); }

    ringName(depth) { return depth ? this.byLayer(depth, (layer) => (layer ? `after L${layer}` : "input")) : "output"; }

    /** Where a graph ends before it has reached the input, in words; empty if none does. */
    endings() {
      const ended = this.active.map((i) => [i, this.graphs[i].inRing.findIndex((ring) => !Attnflow.count(ring))]).filter(([, depth]) => depth > 0);
      return ended.map(([i, depth]) => `${this.graphs.length > 1 ? `Model ${"AB"[i]}` : "The graph"} ends at L${this.graphs[i].layers - depth + 1}: no head there attends to anything above tau = ${this.data.tau}. Lower tau to see more.`).join(" ");
    }
  }

  Object.assign(Attnflow, { Scene, nameOf });
})();
