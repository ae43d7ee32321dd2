// Unpacking and tracing, against walks along single edges.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Graph, count } from "../../assets/page/radial/graph.js";
import { random } from "./graphs.js";

const SIZES = [[1, 1, 1, 3], [2, 3, 9, 6], [3, 4, 17, 5], [4, 2, 8, 7]];
const texts = (size) => Array.from({ length: size }, (_, token) => `t${token}`);

/** All nodes "depth token" that are joined to one by a path in one direction, the first step perhaps by one head. */
function walk(graph, edges, layers, depth, token, step, head = null) {
  const found = new Set([`${depth} ${token}`]);
  let ends = [[depth, token, true]];
  while (ends.length) {
    const [d, t, first] = ends.pop();
    for (const [layer, query, key, carried] of edges) {
      const outer = layers - layer; // depth of the token attended to
      if (first && head !== null && step > 0 && !carried.some(([one]) => one === head)) continue;
      const next = step > 0 ? (outer - 1 === d && query === t ? [outer, key] : null) : (outer === d && key === t ? [outer - 1, query] : null);
      if (!next || found.has(next.join(" "))) continue;
      found.add(next.join(" "));
      ends.push([...next, false]);
    }
  }
  return found;
}

const nodesOf = (rings) => new Set(rings.flatMap((ring, depth) => [...ring].flatMap((on, token) => (on ? [`${depth} ${token}`] : []))));

test("a graph is unpacked edge by edge, head by head", () => {
  for (const [seed, layers, heads, size] of SIZES) {
    const { edges, model } = random(seed, layers, heads, size), graph = new Graph(model, texts(size));
    assert.equal(graph.query.length, edges.length);
    edges.forEach(([layer, query, key, carried], e) => {
      assert.deepEqual([graph.depth[e], graph.query[e], graph.key[e]], [layers - layer, query, key]);
      assert.deepEqual([...graph.headsOf(e)], carried.map(([head]) => head));
      for (const [head, weight] of carried) assert.equal(graph.weight(e, head), weight / 255);
      assert.equal(graph.strongest[e], Math.max(...carried.map(([, weight]) => weight)));
    });
    for (let head = 0; head < heads; head++) {
      const read = edges.filter(([layer, query, , carried]) => layer === layers - 1 && query === 0 && carried.some(([one]) => one === head));
      assert.equal(graph.attends(0, 0)[head], read.length);
    }
  }
});

test("a token's reach is every path through it, with a head only in the layer that it reads with", () => {
  for (const [seed, layers, heads, size] of SIZES) {
    const { edges, model } = random(seed, layers, heads, size), graph = new Graph(model, texts(size));
    for (let depth = 0; depth <= layers; depth++) {
      for (let token = 0; token < size; token++) {
        for (const head of [null, 0, heads - 1]) {
          const { rings } = graph.reach(depth, [token], head);
          if (!graph.inRing[depth][token]) { assert.equal(nodesOf(rings).size, 0); continue; }
          const expected = walk(graph, edges, layers, depth, token, 1, head).union(walk(graph, edges, layers, depth, token, -1));
          assert.deepEqual(nodesOf(rings), expected);
        }
      }
    }
  }
});

test("paths between two tokens hold what is joined to both", () => {
  for (const [seed, layers, heads, size] of SIZES) {
    const { edges, model } = random(seed, layers, heads, size), graph = new Graph(model, texts(size));
    for (let token = 0; token < size; token++) {
      if (!graph.inRing[layers][token]) continue;
      const { rings } = graph.between(0, [0], layers, [token]);
      const expected = walk(graph, edges, layers, 0, 0, 1).intersection(walk(graph, edges, layers, layers, token, -1));
      const ends = new Set(["0 0", `${layers} ${token}`]); // are always part of it
      assert.deepEqual(nodesOf(rings).union(ends), expected.union(ends));
    }
  }
});

test("paths to the root are counted along edges", () => {
  const [seed, layers, heads, size] = SIZES[3], { edges, model } = random(seed, layers, heads, size), graph = new Graph(model, texts(size));
  const paths = (depth, token) => (depth === 0 ? Number(token === 0)
    : edges.filter(([layer, , key]) => layers - layer === depth && key === token).reduce((sum, [, query]) => sum + paths(depth - 1, query), 0));
  for (let depth = 0; depth <= layers; depth++) for (let token = 0; token < size; token++) assert.equal(graph.paths[depth][token], paths(depth, token));
  assert.equal(count(graph.inRing[0]), 1);
});

test("of one token's reach the strongest edges of each token on the way are kept", () => {
  for (const [seed, layers, heads, size] of SIZES) {
    const { edges, model } = random(seed, layers, heads, size), graph = new Graph(model, texts(size));
    const weight = (carried, head) => Math.max(...carried.filter(([one]) => head === null || one === head).map(([, w]) => w));
    /** The edges that share an end with one, strongest first; of equal ones that which comes first. */
    const rivals = (depth, side, token, head = null) => edges
      .filter(([layer, query, key, carried]) => layers - layer === depth && [query, key][side] === token && (head === null || carried.some(([one]) => one === head)))
      .sort((p, q) => weight(q[3], head) - weight(p[3], head));
    for (const most of [1, 2, 3]) {
      for (let depth = 0; depth <= layers; depth++) {
        for (let token = 0; token < size; token++) {
          if (!graph.inRing[depth][token]) continue;
          for (const head of [null, heads - 1]) {
            const found = new Set([`${depth} ${token}`]);
            let ring = new Set([token]);
            for (let d = depth; d < layers; d++) {
              ring = new Set([...ring].flatMap((at) => rivals(d + 1, 0, at, d === depth ? head : null).slice(0, most).map(([, , key]) => key)));
              for (const at of ring) found.add(`${d + 1} ${at}`);
            }
            ring = new Set([token]);
            for (let d = depth; d > 0; d--) {
              ring = new Set([...ring].flatMap((at) => rivals(d, 1, at).slice(0, most).map(([, query]) => query)));
              for (const at of ring) found.add(`${d - 1} ${at}`);
            }
            assert.deepEqual(nodesOf(graph.reach(depth, [token], head, most).rings), found);
          }
        }
      }
    }
  }
});

test("all tokens of a root of several are one thing: what the centre that they stand around reaches", () => {
  for (const [seed, layers, heads, size] of SIZES) {
    const root = [0, size - 1], { edges, model } = random(seed, layers, heads, size, root), graph = new Graph(model, texts(size));
    const united = (depth, token, step, head = null) => root.map((one) => walk(graph, edges, layers, 0, one, step, head)).reduce((all, found) => all.union(found));
    for (const head of [null, 0]) {
      assert.deepEqual(nodesOf(graph.reach(0, root, head).rings), united(0, root, 1, head));
      const few = root.map((one) => nodesOf(graph.reach(0, [one], head, 2).rings)).reduce((all, found) => all.union(found));
      assert.deepEqual(nodesOf(graph.reach(0, root, head, 2).rings), few, "the strongest edges of each");
    }
    for (let token = 0; token < size; token++) {
      if (!graph.inRing[layers][token]) continue;
      const ends = new Set([...root.map((one) => `0 ${one}`), `${layers} ${token}`]); // are always part of it
      const expected = united(0, root, 1).intersection(walk(graph, edges, layers, layers, token, -1));
      assert.deepEqual(nodesOf(graph.between(0, root, layers, [token]).rings).union(ends), expected.union(ends));
    }
    assert.equal(root.reduce((sum, one) => sum + graph.paths[0][one], 0), 2);
  }
});
