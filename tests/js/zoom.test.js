// Where the points of a scene are in the chart.
import assert from "node:assert/strict";
import { test } from "node:test";
import { projection } from "../../assets/page/radial/zoom.js";

test("a scene is centred, y upwards, and every pixel leads back", () => {
  const whole = projection(400, 300);
  assert.deepEqual([whole.x(0), whole.y(0), whole.x(10), whole.y(10)], [200, 150, 210, 140]);
  const closer = projection(400, 300, 2.5, 30, -20);
  assert.deepEqual([closer.x(30), closer.y(-20), closer.x(32), closer.y(-18)], [200, 150, 205, 145]);
  for (const v of [-70, 0, 12.5]) {
    assert.equal(closer.xBack(closer.x(v)).toFixed(9), v.toFixed(9));
    assert.equal(closer.yBack(closer.y(v)).toFixed(9), v.toFixed(9));
  }
});

test("the transform of a drawing says the same as the projection of a point", () => {
  const { x, y, transform } = projection(400, 300, 1.7, -12, 40), [a, b, c, d, e, f] = transform.slice(7, -1).split(" ").map(Number);
  for (const [u, v] of [[0, 0], [50, -30]]) {
    assert.equal((a * u + c * v + e).toFixed(9), x(u).toFixed(9));
    assert.equal((b * u + d * v + f).toFixed(9), y(v).toFixed(9));
  }
});
