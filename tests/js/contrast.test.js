// What is read on a colour.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ink, luminance, over } from "../../assets/page/shared/contrast.js";

const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((p, q) => p - q);
  return (high + 0.05) / (low + 0.05);
};

test("luminance is that of WCAG", () => {
  assert.equal(luminance([0, 0, 0]), 0);
  assert.equal(luminance([255, 255, 255]).toFixed(6), "1.000000");
  assert.equal(contrast([119, 119, 119], [255, 255, 255]).toFixed(2), "4.48"); // #777, the example everyone knows
});

test("a colour is laid over another", () => {
  assert.deepEqual(over([100, 0, 200], [0, 100, 0], 0.25), [25, 75, 50]);
});

test("digits are read on every colour", () => {
  for (let red = 0; red < 256; red += 15) for (let green = 0; green < 256; green += 15) for (let blue = 0; blue < 256; blue += 15) {
    const ground = [red, green, blue], text = ink(ground) === "#000" ? [0, 0, 0] : [255, 255, 255];
    assert.ok(contrast(ground, text) >= 4.5, `${ground}`);
  }
});
