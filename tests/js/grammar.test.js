// The map of relations and heads, the order of its table, and where words and arcs of a sentence lie.
import assert from "node:assert/strict";
import { test } from "node:test";
import { columnOf, digits, headAt, read, sorted, step, strength, told, unpack, value, written } from "../../assets/page/grammar/cells.js";
import { bow, fromRight, levels, places, tip } from "../../assets/page/grammar/lanes.js";

const base64 = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
const model = {
  side: "b", name: "lab/x", layers: 1, heads: 2, cases: [100, 3, 0], steps: 10000, offset: [0.5, 0, 0], best: [1, 0, -1], names: ["", "next; follows det 80%"],
  accuracy: base64(Uint16Array.of(2500, 8000, 10000, 0, 0, 0)), direction: base64(Uint8Array.of(0, 1, 0, 0, 0, 0)),
};
const data = {
  key: "k", least: 20, directions: ["dependent to governor", "governor to dependent"], models: [model],
  relations: [{ name: "det", finds: "the determiner's noun" }, { name: "dep", finds: "the governor of “dep”" }, { name: "gone", finds: "" }],
};

test("cells are accuracies, or what they lead an offset by; rare relations do not stretch the scale", () => {
  const cells = unpack(model, 20);
  assert.deepEqual([...cells.accuracy].map((one) => Math.round(100 * one)), [25, 80, 100, 0, 0, 0]);
  assert.equal(Math.round(100 * cells.most), 30);
  assert.equal(Math.round(100 * unpack(model, 1).most), 100);
  assert.deepEqual([0, 1].map((column) => Math.round(100 * value(cells, 0, column, "lead"))), [-25, 30]);
  assert.deepEqual([strength(cells, 0, 1, "lead"), strength(cells, 1, 0, "lead"), Math.round(1e4 * strength(cells, 0, 0, "lead"))], [1, 1, -625]);
  assert.deepEqual([digits(0.8, "accuracy"), digits(0.3, "lead"), digits(-0.25, "lead"), digits(-0.001, "lead")], ["80", "+30", "−25", "0"]);
  assert.deepEqual(headAt(cells, 1), [0, 1]);
  assert.equal(columnOf(cells, [0, 1]), 1);
});

test("a cell tells what its head finds, in which direction, beside the offset; or that there is no case", () => {
  const cells = unpack(model, 20);
  assert.equal(
    told(data, cells, 0, 1).replaceAll("\u00a0", " "),
    "L1 H2 · det: finds the determiner's noun in 80.0 % of 100 cases (governor to dependent); the best offset in 50.0 %. In short: next; follows det 80%.",
  );
  assert.doesNotMatch(told(data, cells, 0, 0), /In short/);
  assert.equal(told(data, cells, 2, 0), "L1 H1: B has no case of gone.");
});

test("arrows stay on the map", () => {
  assert.deepEqual(step("ArrowDown", [0, 1], 3, 2), [1, 1]);
  assert.deepEqual(step("Home", [2, 1], 3, 2), [2, 0]);
  assert.deepEqual(step("End", [2, 0], 3, 2), [2, 1]);
  for (const [key, at] of [["ArrowUp", [0, 0]], ["ArrowDown", [2, 0]], ["ArrowLeft", [1, 0]], ["ArrowRight", [1, 1]], ["x", [1, 1]]]) assert.equal(step(key, at, 3, 2), null);
});

test("the address tells a cell, and what the data has not is left out", () => {
  const cell = { key: "k", side: "b", relation: "det", head: [0, 1] };
  assert.equal(written(cell), "b.0.1");
  assert.deepEqual(read(data, "det", "b.0.1"), cell);
  for (const [relation, text] of [["det", "a.0.1"], ["det", "b.1.0"], ["det", "b.0.2"], ["gone", "b.0.1"], ["none", "b.0.1"], ["det", ""], ["det", "b.0"]]) assert.equal(read(data, relation, text), null);
});

test("the table is sorted by any column, and equal rows stay as they came", () => {
  const share = (of) => ({ share: of, low: 0, high: 1 });
  const row = (relation, side, n, head, held, offset, all) => ({ relation, side, n, head, held_out: share(held), offset_held_out: share(offset), on_all: share(all) });
  const rows = [row("det", "a", 9, [2, 8], 0.5, 0.1, 0.3), row("det", "b", 9, [2, 7], 0.6, 0.5, 0.9), row("aux", "a", 20, [0, 11], 0.4, 0.2, 0.4)];
  const order = (by, descending) => sorted(rows, by, descending).map((one) => rows.indexOf(one)).join("");
  assert.deepEqual(["relation", "side", "n", "head", "held_out", "offset", "lead", "paper"].map((by) => order(by, false)), ["201", "021", "012", "210", "201", "021", "120", "021"]);
  assert.equal(order("n", true), "201");
  assert.equal(order("", true), "012");
});

test("words stand in the direction in which they are read", () => {
  assert.deepEqual([["The", "end"], ["«", "كتاب", "x"], ["…", "שלום"], ["3", "日本"], []].map(fromRight), [false, true, true, false, false]);
  assert.deepEqual(places([10, 30], 5, false), { middles: [10, 35], width: 55 });
  assert.deepEqual(places([10, 30], 5, true), { middles: [45, 20], width: 55 });
});

test("an arc is above those that it spans or crosses, and beside those that it only meets", () => {
  const arc = (word, to) => ({ word, to });
  assert.deepEqual(levels([arc(0, 1), arc(2, 1), arc(0, 3), arc(3, 5)]), [1, 1, 2, 1]);
  assert.deepEqual(levels([arc(0, 2), arc(1, 3)]), [1, 2]);
  assert.deepEqual(levels([arc(0, 5), arc(1, 2), arc(1, 4)]), [3, 1, 2]);
  assert.deepEqual(levels([arc(3, 5), arc(0, 3)]), [1, 1]);
  assert.deepEqual(levels([]), []);
  assert.equal(bow(0, 10, 40, 30), "M0,40C0,0 10,0 10,40");
  assert.equal(tip(10, 40, 1), "M10,40l-3.5,-7h7z");
});
