// Where things lie, and that what is at a point is what was put there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cellCentre, cellCorners, centreRadius, fit, grid, hit, layout, sparkline, sparklineWidth } from "../../assets/page/radial/geometry.js";

const SECOND = [false, false, false, true, true, true];
const rings = layout([[0], [0, 1, 3], [0, 1, 2, 3, 4, 5]], SECOND, 12, 300);

test("heads stand in a grid that is wide rather than high and holds them all", () => {
  assert.deepEqual(grid(12), { rows: 3, columns: 4 });
  for (let heads = 1; heads < 40; heads++) {
    const { rows, columns } = grid(heads);
    assert.ok(rows * columns >= heads && (rows - 1) * columns < heads && rows <= columns, String(heads));
  }
});

test("the first sentence runs clockwise from the top, the second one the other way, until they meet", () => {
  const { nodes, meet, r } = rings[2], angles = [0, 1, 2, 3, 4, 5].map((token) => nodes.get(token).angle);
  assert.ok(0 < angles[0] && angles[0] < angles[1] && angles[1] < angles[2] && angles[2] < meet);
  assert.ok(0 > angles[3] && angles[3] > angles[4] && angles[4] > angles[5] && angles[5] > meet - 2 * Math.PI);
  for (const { x, y } of nodes.values()) assert.ok(Math.abs(Math.hypot(x, y) - r) < 1e-9);
  assert.equal(r, 300);
  assert.deepEqual([nodes.get(0).flip, nodes.get(2).flip], [1, -1]);
});

test("every token and every head is found where it is drawn", () => {
  for (const ring of rings) {
    for (const node of ring.nodes.values()) {
      const at = hit(rings, 12, node.x, node.y);
      assert.deepEqual([at.depth, at.token], [ring.depth, node.token]);
      for (let head = 0; head < 12 && ring.cell; head++) {
        const found = hit(rings, 12, ...cellCentre(ring, node, head));
        assert.deepEqual([found.depth, found.token, found.head], [ring.depth, node.token, head]);
        for (const half of [0, 1]) {
          const corners = cellCorners(ring, node, head, half), middle = [0, 1].map((axis) => corners.reduce((sum, corner) => sum + corner[axis], 0) / 4);
          assert.equal(hit(rings, 12, ...middle).half, half);
        }
      }
    }
  }
  assert.equal(hit(rings, 12, 500, 0), null);
});

test("spikes that would hide each other count as one, and no more than three heads are told apart", () => {
  const [ring] = layout([[0], [0, 1]], [false, false], 4, 400).slice(1), node = ring.nodes.get(0);
  assert.ok(sparklineWidth(ring) > 0);
  assert.equal(sparkline(ring, node, [[-1, 1], [-1, 2], [1, 9]]).spikes.length, 2);
  const high = (heads) => { const [from, tip] = sparkline(ring, node, [[0, heads]]).spikes[0]; return Math.hypot(tip[0] - from[0], tip[1] - from[1]); };
  assert.ok(high(1) < high(3));
  assert.equal(high(3), high(9));
});

test("a label is cut to its room, whole characters at a time, or left out", () => {
  assert.equal(fit("relation", 100, 10), "relation");
  assert.equal(fit("relation", 29, 10), "rela…");
  assert.equal(fit("👍👍👍👍👍👍", 29, 10), "👍👍👍👍…");
  assert.equal(fit("relation", 10, 10), "");
});

test("the top of a ring is left free for its name, and all is still found where it is drawn", () => {
  const free = layout([[0], [0, 1, 3], [0, 1, 2, 3, 4, 5]], SECOND, 12, 300, { free: 60 });
  assert.equal(free[1].gap.toFixed(6), (30 / free[1].r).toFixed(6));
  assert.ok(layout([[0], [0, 1]], [false, false], 4, -10)[1].r > 0, "no circle is drawn with less than no radius");
  assert.equal(layout([[0], [0, 1]], [false, false], 4, 40, { free: 500 })[1].gap, Math.PI / 4, "a quarter of a small ring");
  for (const ring of free) for (const node of ring.nodes.values()) assert.equal(hit(free, 12, node.x, node.y).token, node.token);
});

test("a root of several tokens is a ring around a centre that has room for its name", () => {
  const around = layout([[0, 1, 2, 3, 4, 5], [0, 1, 3], [0, 1, 2, 3, 4, 5]], SECOND, 12, 300, { free: 60, around: true });
  assert.ok(centreRadius(around) > 30 && centreRadius(rings) === 0);
  assert.ok(around[0].r < around[1].r && around[1].r < around[2].r && around[2].r === 300);
  assert.equal(around[0].gap.toFixed(6), (30 / around[0].r).toFixed(6), "it has a name of its own, as every ring");
  for (const ring of around) for (const node of ring.nodes.values()) assert.equal(hit(around, 12, node.x, node.y).token, node.token);
  const [inner] = around, deepest = Math.min(...[...inner.nodes.values()].map((node) => Math.hypot(...cellCentre(inner, node, 11))));
  assert.ok(deepest > centreRadius(around), "cells stay out of the centre");
});
