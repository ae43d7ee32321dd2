// Selections: as texts of the address, what they light, and how they are said.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Graph } from "../../assets/page/radial/graph.js";
import { Scene, nameOf } from "../../assets/page/radial/scene.js";
import { decode, describe, encode, extended, isOne, lit, one } from "../../assets/page/radial/selection.js";
import { packed } from "./graphs.js";

const TEXT = ["[CLS]", "Ann", "·a", "[SEP]"];
// Root 0 reads 1 with heads 0 and 1, and 2 with head 1; before that 1 reads 2 and 3, and 2 reads 3.
const MODEL = packed({
  layers: 2, heads: 2, rings: [[2, 3], [1, 2], [0]],
  edges: [[0, 1, 2, [[0, 51]]], [0, 1, 3, [[1, 255]]], [0, 2, 3, [[0, 128]]], [1, 0, 1, [[0, 204], [1, 102]]], [1, 0, 2, [[1, 26]]]],
});
const NAMES = ["“[CLS]”", "“Ann”", "“a”", "“[SEP]”"];
const DATA = { unit: "piece", text: TEXT, names: NAMES, piece: TEXT, sentence: [-1, 0, 0, -1], lines: [], tau: 0.1, models: [MODEL] };
const graph = new Graph(MODEL, TEXT), scene = new Scene(DATA, [graph], "a", 600, 600);

test("a link of any age is read, and written as it was", () => {
  for (const text of ["0:0", "2:1,3", "1:4~3:0,2", "0:0.h3", "0:0.h3.m1", "1:2.m0"]) assert.equal(encode(decode(text)), text);
  assert.deepEqual(decode("0:0.h3.m1"), { ends: [{ depth: 0, tokens: [0] }], head: 3, model: 1 });
  for (const text of ["", "x", "1:", "0:0.h", "0:0.m2", "0:0 ", "-1:0"]) assert.equal(decode(text), null);
  assert.equal(encode(null), "");
});

test("a token is added to its ring, taken away again, or begins a second end", () => {
  const two = extended(one(1, 2), 1, 3);
  assert.deepEqual(two.ends, [{ depth: 1, tokens: [2, 3] }]);
  assert.deepEqual(extended(two, 1, 2).ends, [{ depth: 1, tokens: [3] }]);
  assert.deepEqual(extended(two, 0, 0).ends, [{ depth: 1, tokens: [2, 3] }, { depth: 0, tokens: [0] }]);
  assert.equal(extended(one(1, 2), 1, 2), null);
  assert.deepEqual(extended(null, 1, 2), one(1, 2));
  assert.deepEqual(two.ends[0].tokens, [2, 3], "what was selected is left as it is");
});

test("lines carry the models and the strongest attention of both", () => {
  const { lines, count, nodes } = lit(one(0, 0), [graph, graph], [0, 1], 3, 4, 2);
  assert.equal(count, 10);
  assert.deepEqual(lines.find(([depth, query, key]) => depth === 1 && query === 0 && key === 1), [1, 0, 1, 3, 204]);
  assert.deepEqual(lines.map(([, , , models]) => nameOf(models)), ["ab", "ab", "ab", "ab", "ab"]);
  assert.deepEqual([...nodes[2]], [0, 0, 3, 3]);
});

test("one head lights what it carries, in its layer", () => {
  const { lines, cells } = lit(one(0, 0, 0), [graph], [0], 3, 4, 2);
  assert.deepEqual(lines.filter(([depth]) => depth === 1), [[1, 0, 1, 1, 204]]);
  assert.deepEqual([...cells[0]].slice(0, 2), [1, 0]);
});

test("a selection is said in a sentence", () => {
  const say = (selection) => describe(selection, scene.light(selection), scene);
  assert.equal(say(one(0, 0)), "“[CLS]” at the output — 2 of its 2 heads attend to 2 tokens (most to “Ann” 0.80, “a” 0.10).");
  assert.equal(say(one(0, 0, 1)), "“[CLS]” at the output, head H2 of L2 — attends to “Ann” 0.40, “a” 0.10.");
  assert.equal(say(one(2, 3)), "“[SEP]” at the input — 2 heads of 2 tokens attend to it, 2 paths to the centre.");
  assert.equal(
    say({ ends: [{ depth: 0, tokens: [0] }, { depth: 2, tokens: [2] }], head: null, model: null }),
    "Paths between “[CLS]” at the output and “a” at the input — 1 token on the way, through L1 H1, L2 H1, L2 H2.",
  );
});

test("of one token the strongest lines alone are lit, in the colours of all that attend there", () => {
  const other = new Graph(packed({
    layers: 2, heads: 2, rings: [[2, 3], [1, 2], [0]],
    edges: [[0, 1, 2, [[0, 200]]], [0, 2, 3, [[1, 90]]], [1, 0, 1, [[0, 30]]], [1, 0, 2, [[1, 220]]]],
  }), TEXT);
  const { lines, nodes } = lit(one(0, 0), [graph, other], [0, 1], 3, 4, 2, { most: 1, differing: false });
  const sets = Object.fromEntries(lines.map(([depth, query, key, models]) => [`${depth} ${query} ${key}`, nameOf(models)]));
  // A goes by its strongest, 0 1 and 1 3; B by 0 2 and 2 3.  Both attend from 0 to 1 and to 2, but B does not go on from 1.
  assert.deepEqual(sets, { "1 0 1": "ab", "1 0 2": "ab", "2 1 3": "a", "2 2 3": "ab" });
  assert.deepEqual([...nodes[1]], [0, 3, 3, 0]);
  assert.equal(lit({ ends: [{ depth: 1, tokens: [1, 2] }], head: null, model: null }, [graph], [0], 3, 4, 2, { most: 1, differing: false }).count, 4, "of several tokens all that they share");
});

test("what both models share stays dark where only what differs is asked for", () => {
  const other = new Graph(packed({ layers: 2, heads: 2, rings: [[2], [1, 2], [0]], edges: [[0, 1, 2, [[0, 51]]], [1, 0, 1, [[0, 204]]], [1, 0, 2, [[1, 26]]]] }), TEXT);
  const { lines, cells, nodes } = lit(one(0, 0), [graph, other], [0, 1], 3, 4, 2, { most: Infinity, differing: true });
  assert.deepEqual(lines.map((line) => line.slice(0, 4)).sort(), [[2, 1, 3, 1], [2, 2, 3, 1]]);
  assert.deepEqual([[...cells[0]].slice(0, 2), [...cells[1]].slice(2, 6)], [[0, 0], [0, 1, 1, 0]], "heads that attend to something in both are shared");
  assert.deepEqual(nodes.map((ring) => [...ring]), [[3, 0, 0, 0], [0, 3, 3, 0], [0, 0, 0, 1]]);
});

test("each half of a shared cell has the tokens of its own model", () => {
  const other = new Graph(packed({ layers: 2, heads: 2, rings: [[2], [1], [0]], edges: [[0, 1, 2, [[0, 51]]], [1, 0, 1, [[1, 204]]]] }), TEXT);
  const both = new Scene({ ...DATA, models: [MODEL, MODEL] }, [graph, other], "both", 600, 600);
  assert.deepEqual(both.cells(both.rings[0], { token: 0 }), [[1, 1, 0], [3, 2, 1]]);
  assert.ok(!both.leavesOut(3));
  const only = new Scene({ ...DATA, models: [MODEL, MODEL] }, [graph, other], "both", 600, 600, { most: 3, differing: true });
  assert.ok(only.leavesOut(3) && !only.leavesOut(1) && !only.leavesOut(2));
  assert.ok(!new Scene(DATA, [graph], "a", 600, 600, { most: 3, differing: true }).lighting.differing, "one model has nothing to differ from");
});

test("a decoder beside an encoder-decoder of as many layers has the same input", () => {
  const stacks = new Graph({ ...MODEL, encoder: 1 }, TEXT), both = new Scene({ ...DATA, models: [MODEL, MODEL] }, [graph, stacks], "both", 600, 600);
  assert.deepEqual([both.ringLabel(0), both.ringLabel(1), both.ringLabel(2)], ["A2 B D1", "A1 B E1", "input"]);
});

test("names of rings have room of their own at 24 layers of two models of different depth", () => {
  const deep = new Graph(packed({ layers: 24, heads: 2, rings: Array(25).fill([0, 1, 2, 3]), edges: [] }), TEXT);
  const shallow = new Graph(packed({ layers: 12, heads: 2, rings: Array(13).fill([0, 1, 2, 3]), edges: [] }), TEXT);
  const both = new Scene({ ...DATA, models: [MODEL, MODEL] }, [shallow, deep], "both", 800, 800);
  assert.deepEqual([both.ringLabel(1), both.ringLabel(12), both.ringLabel(24)], ["A11 B23", "A in B12", "B in"]);
  for (const ring of both.rings.slice(1)) {
    const wide = 0.6 * both.ringFont(ring) * both.ringLabel(ring.depth).length;
    const free = Math.min(...[...ring.nodes.values()].map(({ x, y }) => (y > 0 ? Math.abs(x) : Infinity)));
    assert.ok(free > Math.min(wide / 2, 0.7 * ring.r), `ring ${ring.depth}`);
    assert.ok(both.ringFont(ring) <= ring.band);
  }
});

test("a word is lit where a head reads for it, or where it stands furthest out", () => {
  assert.deepEqual(scene.ofWord(2, [0, 1]), one(1, 2, 1));
  assert.deepEqual(scene.ofWord(0, [1, 0]), one(0, 0, 0));
  assert.deepEqual(scene.ofWord(3, [1, 0]), one(2, 3), "it is not in the ring that reads with this layer");
  assert.deepEqual(scene.ofWord(2, [0, 9]), one(2, 2), "there is no such head");
  assert.deepEqual(scene.ofWord(0, null), one(0, 0));
  assert.equal(scene.ofWord(9, null), null);
});

test("the page counts layers by the deeper model, wherever the ring is", () => {
  const shallow = new Graph(packed({ layers: 1, heads: 2, rings: [[1], [0]], edges: [[0, 0, 1, [[0, 9]]]] }), TEXT);
  const both = new Scene({ ...DATA, models: [MODEL, MODEL] }, [graph, shallow], "b", 600, 600);
  assert.deepEqual([both.layerOf(0), both.layerOf(1)], [1, 0]);
  assert.equal(both.layerName(0), "L1");
  assert.ok(both.fits(one(1, 3)) && !both.fits(one(2, 0)) && !both.fits(one(0, 0, 2)));
});

test("a root of several tokens is selected, named and said as one", () => {
  const model = { ...MODEL, root: [0, 3], centre: "mean of 2 tokens", rings: [[2, 3], [1, 2], [0, 3]] };
  const pooled = new Graph(model, TEXT), alone = new Scene({ ...DATA, models: [model] }, [pooled], "a", 600, 600);
  assert.deepEqual(alone.at(0, 0, false), { ends: [{ depth: 0, tokens: [0, 3] }], head: null, model: null });
  const say = (selection) => describe(selection, alone.light(selection), alone);
  assert.equal(say(alone.root()), "mean of 2 tokens at the output — its 2 tokens attend to 2 tokens (most to “Ann” 0.80, “a” 0.10).");
  assert.equal(say(alone.root(1)), "mean of 2 tokens at the output, head H2 of L2 — its 2 tokens attend to 2 tokens (most to “Ann” 0.40, “a” 0.10).");
  const both = new Scene({ ...DATA, models: [MODEL, model] }, [graph, pooled], "both", 600, 600);
  assert.deepEqual([both.rootNames(), both.pooling, nameOf(both.pooling)], [["A [CLS]", "B mean of 2 tokens"], 2, "b"]);
  assert.deepEqual([...both.light(both.root()).nodes[0]], [3, 0, 0, 2]);
  assert.equal(both.litCentre(both.light(both.root())), 2);
  assert.equal(both.litCentre(both.light(one(2, 3, null, 0))), 0, "of A the centre is no part");
  assert.deepEqual(both.rootNames(NAMES), ["A “[CLS]”", "B mean of 2 tokens"], "a sentence names words in quotes");
  assert.ok(isOne(both.root(), both.graphs, both.active) && !isOne({ ...one(0, 0), ends: [{ depth: 1, tokens: [1, 2] }] }, both.graphs, both.active));
  assert.equal(lit(alone.root(), [pooled], [0], 3, 4, 2, { most: 1, differing: false }).lines.length, 2, "the strongest of each, as of a word");
  assert.ok(!scene.isRoot(scene.root().ends[0]) && !scene.around, "one token is no set");
});
