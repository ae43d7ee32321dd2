// The pure parts of the data map: what it is as a choice of a plot, and what the epochs say of some texts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compact, defaults, expand, SHARED } from "../../assets/page/texts/choices.js";
import { unpack } from "../../assets/page/texts/columns.js";
import { course, dataMap, isDataMap, means, path, REGIONS, VIEW } from "../../assets/page/texts/datamap.js";

const base64 = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
const number = (name, ...values) => ({ name, title: name, kind: "number", help: "", kinds: [], values: base64(Float32Array.from(values)) });
const columns = unpack([number("x", 0, 0.1, 0.2), number("y", 1, 0.5, 0.2), number("c", 2, 1, 0), number("loss_a", 1, 2, 3)]);
const training = {
  recording: "demo/training", epochs: [0, 2], counted: 2, x: "x", y: "y", colour: "c", region: "r", about: "",
  loss: base64(Float32Array.of(Math.log(2), Math.log(4), 0, NaN, NaN, NaN)), right: base64(Uint8Array.of(0, 1, 1, 0, 0, 0)),
};
const collection = { key: "k", n: 3, models: ["a"], layers: [2], methods: ["pca"], orders: [], decided: [], columns: [], fields: [], source: "", about: "", training };

test("the means of an epoch are those of the texts that were recorded in it", () => {
  const known = course(training), all = means(known, [0, 1, 2]);
  assert.equal(all.n, 2);
  assert.deepEqual(all.accuracy, [0.5, 1]);
  assert.ok(Math.abs(all.loss[0] - Math.log(2) / 2) < 1e-6 && Math.abs(all.loss[1] - Math.log(4)) < 1e-6);
  assert.deepEqual(means(known, [1]), { n: 1, accuracy: [1, null], loss: [0, null] });
  assert.deepEqual(means(known, []), { n: 0, accuracy: [null, null], loss: [null, null] });
});

test("the way of a text is the probability of its label, and whether it was right", () => {
  const { probability, right } = path(course(training), 0);
  assert.deepEqual(probability.map((one) => Math.round(100 * one)), [50, 25]);
  assert.deepEqual(right, [false, true]);
  assert.deepEqual(path(course(training), 1).probability, [1, null]);
  assert.deepEqual(path(course(training), 2).probability, [null, null]);
});

test("a data map is two columns on a scale of its own, whose regions are in sight", () => {
  const map = dataMap(collection);
  assert.deepEqual(map, { of: "columns", x: "x", y: "y" });
  assert.equal(dataMap({ training: null }), null);
  assert.equal(isDataMap(map, collection), true);
  assert.equal(isDataMap({ of: "columns", x: "y", y: "x" }, collection), false);
  assert.equal(isDataMap(map, { training: null }), false);
  for (const { x, y } of REGIONS) assert.ok(VIEW.x[0] < x && x < VIEW.x[1] && VIEW.y[0] < y && y < VIEW.y[1]);
});

test("where a training is known its map stands on the left, in colours of its own, and the address tells a change of these alone", () => {
  const plain = defaults(collection, columns), back = (choices) => expand(compact(choices, plain, columns), collection, columns);
  assert.deepEqual(plain.plots[0], dataMap(collection));
  assert.deepEqual(plain.own, ["c", SHARED]);
  assert.equal(compact(plain, plain, columns), "");
  for (const own of [[SHARED, SHARED], [SHARED, "y"], ["c", "x"]]) assert.deepEqual(back({ ...plain, own }), { ...plain, own });
  assert.deepEqual(defaults({ ...collection, training: null }, columns).own, [SHARED, SHARED]);
});
