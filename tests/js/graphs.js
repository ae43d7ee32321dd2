// Small attention graphs for the tests: packed as Python packs them, from lists of edges.

/** Base64 text of bytes. */
const text = (bytes) => Buffer.from(Uint8Array.from(bytes)).toString("base64");

/**
 * A model as it is sent, from edges [layer, query, key, [[head, weight in 255ths], ...]] in the order of their layers, and the
 * tokens of rings 0 … L.
 */
export function packed({ layers, heads, root = [0], centre = "", rings, edges }) {
  const width = Math.ceil(heads / 8);
  return {
    name: "m", layers, heads, root, centre, rings,
    edges: {
      count: Array.from({ length: layers }, (_, layer) => edges.filter((edge) => edge[0] === layer).length),
      bytes: 1,
      query: text(edges.map((edge) => edge[1])),
      key: text(edges.map((edge) => edge[2])),
      heads: text(edges.flatMap(([, , , carried]) => {
        const mask = new Array(width).fill(0);
        for (const [head] of carried) mask[head >> 3] |= 1 << (head & 7);
        return mask;
      })),
      weight: text(edges.flatMap(([, , , carried]) => [...carried].sort(([p], [q]) => p - q).map(([, weight]) => weight))),
    },
  };
}

/** A generator of numbers from 0 to 1 that gives the same ones each time. */
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A random graph that grows from its root, perhaps several tokens, and its edges. */
export function random(seed, layers, heads, size, root = [0]) {
  const next = seeded(seed), edges = [], rings = Array.from({ length: layers + 1 }, () => new Set());
  for (const token of root) rings[layers].add(token);
  for (let layer = layers - 1; layer >= 0; layer--) {
    for (const query of rings[layer + 1]) {
      for (let key = 0; key < size; key++) {
        const carried = Array.from({ length: heads }, (_, head) => head).filter(() => next() < 0.2).map((head) => [head, 1 + Math.floor(next() * 255)]);
        if (!carried.length) continue;
        edges.push([layer, query, key, carried]);
        rings[layer].add(key);
      }
    }
  }
  edges.sort((p, q) => p[0] - q[0]);
  return { edges, model: packed({ layers, heads, root, rings: rings.map((ring) => [...ring].sort((p, q) => p - q)), edges }) };
}
