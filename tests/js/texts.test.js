// The pure parts of the room of many texts: columns, filters, order, colours, points, words, and the address.
import assert from "node:assert/strict";
import { test } from "node:test";
import { luminance } from "../../assets/page/shared/contrast.js";
import { compact, defaults, expand, PRESERVED } from "../../assets/page/texts/choices.js";
import { bytes } from "../../assets/page/shared/bytes.js";
import { counts, digits, ends, floats, histogram, lacks, MISSING, packed, unpack, written } from "../../assets/page/texts/columns.js";
import { confused } from "../../assets/page/texts/confusion.js";
import { fulfilled, holds, left, put, ready, toggled, without } from "../../assets/page/texts/filters.js";
import { kept, ordered } from "../../assets/page/texts/order.js";
import { colouring, painted, plainColouring, shades } from "../../assets/page/texts/palette.js";
import { placed } from "../../assets/page/texts/placed.js";
import { between, framed, groups, inside, nearest, paired } from "../../assets/page/texts/points.js";
import { counted, slice, told, trust } from "../../assets/page/texts/words.js";

const base64 = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
const number = (name, ...values) => ({ name, title: name.replace("_", " "), kind: "number", help: "", kinds: [], values: base64(Float32Array.from(values)) });
const kind = (name, kinds, ...values) => ({ name, title: name.replace("_", " "), kind: "kind", help: "", kinds, values: base64(Uint16Array.from(values)) });
const BOTH = ["no", "yes"];
const columns = unpack([
  kind("label", ["x", "y", "z"], 0, 1, 2, MISSING, 1),
  number("loss", 0.5, NaN, 2, 0.5, 0.1),
  kind("right_a", BOTH, 0, 0, 1, 1, MISSING), kind("right_b", BOTH, 0, 1, 0, 1, 1),
]);
const all = new Uint8Array(5).fill(1), none = new Map();
const rows = (conditions, found = none) => [...left(fulfilled(5, conditions, columns, found), null)];
const label = columns.get("label"), loss = columns.get("loss");

test("columns are unpacked, what is missing is known, and rows are packed as little-endian numbers", () => {
  assert.deepEqual([...label.values], [0, 1, 2, MISSING, 1]);
  assert.deepEqual([12345, -2, 0.12345, null].map(digits), ["12,345", "−2", "0.123", "–"]);
  assert.deepEqual([lacks(label, 3), lacks(label, 0), lacks(loss, 1), lacks(loss, 0)], [true, false, true, false]);
  assert.deepEqual([written(label, 2), written(label, 3), written(loss, 4), written(loss, 1)], ["z", "–", "0.1", "–"]);
  const many = Uint32Array.from({ length: 100000 }, (_, i) => i);
  assert.deepEqual(new Uint32Array(bytes(packed(many)).buffer), many);
  assert.equal(packed(many.subarray(1, 2)), "AQAAAA==");
  assert.deepEqual([...floats(base64(Float32Array.of(1.5, -2)))], [1.5, -2]);
});

test("kinds are counted, of none too; numbers have ends and a histogram", () => {
  assert.deepEqual([...counts(label, null)], [1, 2, 1, 1]);
  assert.deepEqual([...counts(label, Uint8Array.of(0, 1, 0, 1, 0))], [0, 1, 0, 1]);
  assert.deepEqual(ends(loss).map((end) => Math.round(10 * end)), [1, 20]);
  assert.deepEqual(ends(unpack([number("nothing", NaN)]).get("nothing")), [0, 0]);
  assert.deepEqual([...histogram(loss, null, 2)], [3, 1]);
  assert.deepEqual([...histogram(unpack([number("same", 3, 3)]).get("same"), null, 4)], [2, 0, 0, 0]);
});

test("conditions hold together; ends belong to a range; what is missing fulfils none but its own", () => {
  assert.deepEqual(rows([]), [0, 1, 2, 3, 4]);
  assert.deepEqual(rows([{ column: "loss", low: 0.1, high: 0.5 }]), [0, 3, 4]);
  assert.deepEqual(rows([{ column: "loss", low: null, high: 0.4 }]), [4]);
  assert.deepEqual(rows([{ column: "loss", low: null, high: null }]), [0, 2, 3, 4]);
  assert.deepEqual(rows([{ column: "label", kinds: [1, MISSING] }]), [1, 3, 4]);
  assert.deepEqual(rows([{ column: "label", kinds: [1] }, { column: "loss", low: 0, high: null }]), [4]);
  assert.deepEqual(rows([{ column: "label", kinds: [] }]), []);
  assert.deepEqual(rows([{ column: "gone", kinds: [0] }]), [0, 1, 2, 3, 4]);
  const found = new Map([["a", Uint8Array.of(1, 0, 1, 0, 0)]]);
  assert.deepEqual(rows([{ text: "a" }, { text: "not searched yet" }], found), [0, 2]);
  assert.deepEqual(rows([{ column: "loss", low: 1, high: null }, { text: "a" }], found), [2]);
  assert.deepEqual([...left(all, Uint8Array.of(0, 1, 0, 0, 1))], [1, 4]);
});

test("a column has one condition, and ready filters are put and taken as a whole", () => {
  const range = { column: "loss", low: 0, high: 1 }, other = { column: "loss", low: 2, high: null }, words = { text: "loss" };
  assert.deepEqual(put([range, words], other), [other, words]);
  assert.deepEqual(put([words], { text: "more" }), [words, { text: "more" }]);
  assert.deepEqual(without([range, words], [other]), [words]);
  const offered = ready(columns);
  assert.deepEqual(offered.map(({ title }) => title), ["both wrong", "only A right", "only B right"]);
  assert.deepEqual(offered.map(({ conditions }) => rows(conditions)), [[0], [2], [1]]);
  const on = toggled([words], offered[0].conditions);
  assert.deepEqual([holds(on, offered[0].conditions), holds(on, offered[1].conditions)], [true, false]);
  assert.deepEqual(toggled(on, offered[0].conditions), [words]);
});

test("an order is stable in both directions, and what is missing stands last", () => {
  assert.deepEqual([...ordered(loss, false).rows], [4, 0, 3, 2, 1]);
  assert.deepEqual([...ordered(loss, true).rows], [2, 0, 3, 4, 1]);
  assert.deepEqual([...ordered(label, true).rows], [2, 1, 4, 0, 3]);
  assert.equal(ordered(loss, true).having, 4);
  const by = ordered(loss, true).rows, mask = Uint8Array.of(1, 1, 1, 0, 1), selection = Uint8Array.of(0, 0, 0, 1, 1);
  assert.deepEqual([...kept(by, mask, null, true)], [2, 0, 4, 1]);
  assert.deepEqual([...kept(by, mask, selection, false)], [4, 2, 0, 1]);
  assert.deepEqual([...kept(by, mask, selection, true)], [4]);
});

test("the ten kinds of most texts have a colour each, the rest are grey; numbers have shades between their ends", () => {
  const many = unpack([kind("topic", [..."abcdefghijkl"], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 10, MISSING)]).get("topic");
  const { classes, colours, entries } = colouring(many, false);
  assert.equal(new Set(colours).size, 11);
  assert.deepEqual(entries.map(({ name }) => name), [..."abcdefghkl", "other (2)", "none"]);
  assert.deepEqual([classes[8], classes[9], classes[14], classes[11], classes[10]], [10, 10, 10, 9, 8]);
  assert.deepEqual(entries[10].kinds, [8, 9]);
  const shaded = colouring(loss, true, [0, 2]);
  assert.deepEqual([...shaded.classes], [2, 9, 8, 2, 0]);
  assert.equal(shaded.colours.length, 10);
  const far = unpack([number("far", ...Array.from({ length: 100 }, (_, i) => i), 1e6)]).get("far");
  assert.deepEqual(colouring(far, false).scale, { low: 2, high: 98, cutLow: true, cutHigh: true });
  assert.deepEqual(new Set(plainColouring(3, false).classes), new Set([0]));
});

test("every colour of a point is seen on its ground", () => {
  const kinds = Array.from({ length: 12 }, (_, i) => String(i)), topic = unpack([kind("topic", kinds, ...kinds.keys())]).get("topic");
  const contrast = (one, other) => [luminance(one), luminance(other)].sort((a, b) => b - a).map((light) => light + 0.05).reduce((high, low) => high / low);
  const parts = (colour) => (colour.startsWith("#") ? colour.match(/\w\w/g).map((hex) => parseInt(hex, 16)) : colour.match(/\d+/g).map(Number));
  for (const [dark, ground] of [[false, [255, 255, 255]], [true, [39, 39, 42]]]) {
    for (const colour of [...colouring(topic, dark).colours, ...shades(dark)]) assert.ok(contrast(parts(colour), ground) >= 3, `${colour} ${contrast(parts(colour), ground)}`);
  }
});

test("kinds are told apart without red or green receptors, too", () => {
  const topic = unpack([kind("topic", [..."abcdefghijkl"], ...Array(12).keys())]).get("topic");
  const seen = { // what is left of linear red, green and blue: Machado, Oliveira and Fernandes 2009, severity 1
    protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  };
  const toXyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]];
  const times = (matrix, vector) => matrix.map((line) => line.reduce((sum, weight, i) => sum + weight * vector[i], 0));
  function lab(colour, eye) {
    const linear = colour.match(/\w\w/g).map((hex) => parseInt(hex, 16) / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    const xyz = times(toXyz, times(eye, linear).map((value) => Math.min(1, Math.max(0, value)))), white = [0.95047, 1, 1.08883];
    const [x, y, z] = xyz.map((value, i) => value / white[i]).map((value) => (value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116));
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
  }
  for (const dark of [false, true]) {
    const { colours } = colouring(topic, dark);
    for (const [name, eye] of Object.entries(seen)) {
      const labs = colours.map((colour) => lab(colour, eye));
      labs.forEach((one, i) => labs.slice(0, i).forEach((other, j) => assert.ok(Math.hypot(...one.map((value, k) => value - other[k])) >= 20, `${name}: ${colours[i]} ${colours[j]}`)));
    }
  }
});

test("layouts are put into one square in proportion, and points move from one to another", () => {
  const points = framed(Float32Array.of(0, 10, 4, 10, 2, 12, NaN, NaN));
  assert.deepEqual([...points], [-1, -0.5, 1, -0.5, 0, 0.5, NaN, NaN]);
  assert.deepEqual([...framed(Float32Array.of(0, 0, 1, 4))], [-0.25, -1, 0.25, 1]);
  assert.deepEqual([...framed(Float32Array.of(3, 3))], [0, 0]);
  assert.deepEqual([...between(Float32Array.of(0, NaN), Float32Array.of(2, 5), 0.5)], [1, 5]);
  assert.deepEqual([...between(Float32Array.of(0), Float32Array.of(2), 1)], [2]);
  assert.deepEqual([...paired(Float32Array.of(1, 2), Float32Array.of(3, 4))], [1, 3, 2, 4]);
});

test("points are drawn by class; of those that are left but not selected, none is lit", () => {
  const points = Float32Array.of(0, 0, 1, 1, 2, 2, NaN, 3), classes = Uint8Array.of(0, 1, 0, 1), mask = Uint8Array.of(1, 1, 1, 1);
  const plain = groups(points, classes, 2, mask, null, 10);
  assert.deepEqual(plain.lit.map(({ x }) => [...x]), [[0, 2], [1]]);
  assert.deepEqual([plain.drawn, plain.all, plain.faded.x.length], [3, 4, 0]);
  const some = groups(points, classes, 2, Uint8Array.of(1, 0, 1, 0), Uint8Array.of(0, 1, 1, 0), 10);
  assert.deepEqual([some.lit.map(({ y }) => [...y]), [...some.faded.x]], [[[2], []], [0]]);
  const few = groups(points, classes, 2, mask, Uint8Array.of(0, 1, 0, 0), 2);
  assert.deepEqual([few.lit.map(({ x }) => [...x]), [...few.faded.x]], [[[], [1]], [0]]); // every second of the others, of which one has no place
});

test("a lasso takes what is inside of it, and the pointer the nearest", () => {
  const points = Float32Array.of(0, 0, 1, 1, 3, 1, 2, 2.5, NaN, NaN), mask = Uint8Array.of(1, 1, 1, 1, 1);
  const bay = [[-1, -1], [4, -1], [4, 3], [2, 0.5], [-1, 3]]; // the corner at (2, 0.5) leaves a bay open above it
  assert.deepEqual([...inside(points, mask, bay)], [1, 1, 1, 0, 0]);
  assert.deepEqual([...inside(points, Uint8Array.of(0, 1, 0, 1, 1), bay)], [0, 1, 0, 0, 0]);
  const scale = { x: (value) => 10 * value, y: (value) => 100 - 10 * value };
  assert.equal(nearest(points, mask, scale, [12, 89], 14), 1);
  assert.equal(nearest(points, Uint8Array.of(1, 0, 1, 1, 1), scale, [12, 89], 14), -1);
  assert.equal(nearest(points, mask, scale, [500, 500], 14), -1);
});

test("confusions are counted of what is filtered and selected; a text without a label is in no cell", () => {
  const decision = unpack([kind("decision", ["x", "y", "z"], 0, 2, 2, 1, 1)]).get("decision");
  assert.deepEqual(confused(label, decision, all, null), { cells: Uint32Array.of(1, 0, 0, 0, 1, 1, 0, 0, 1), right: 3, all: 4 });
  assert.deepEqual(confused(label, decision, all, Uint8Array.of(0, 1, 0, 1, 0)), { cells: Uint32Array.of(0, 0, 0, 0, 0, 1, 0, 0, 0), right: 0, all: 1 });
});

test("filters are told in words", () => {
  const say = (condition) => told(condition, columns);
  assert.equal(say({ column: "right_a", kinds: [0] }), "right a: no");
  assert.equal(say({ column: "label", kinds: [0, MISSING] }), "label is x or none");
  assert.equal(say({ column: "label", kinds: [0, 1, MISSING] }), "label is not z");
  assert.equal(say({ column: "label", kinds: [] }), "no kind of label");
  assert.equal(say({ column: "loss", low: 0.12345, high: null }), "loss at least 0.123");
  assert.equal(say({ column: "loss", low: null, high: -1 }), "loss at most −1");
  assert.equal(say({ column: "loss", low: 0, high: 2 }), "loss from 0 to 2");
  assert.equal(slice([], columns, 0), "all texts");
  assert.equal(slice([{ text: "bank" }, { column: "label", kinds: [1] }], columns, 1200), "text has “bank”; label is y; 1,200 texts selected in the map");
  assert.deepEqual([counted(5, 5), counted(3, 2000), counted(0, 1)], ["5 texts", "3 of 2,000 texts", "0 of 1 text"]);
  assert.match(trust({ trustworthiness: 0.8123, continuity: 0.9, neighbours: 15, note: "Drawn." }), /^Trustworthiness 0.81, continuity 0.9 \(of 15 neighbours\)\. Only who is near .* no unit\. Drawn\.$/);
  assert.match(trust({ trustworthiness: null, continuity: null, neighbours: 0, note: "" }), /^Only who .* unit\.$/);
});

const collection = {
  key: "k", n: 5, source: "", about: "", models: ["one", "other"], layers: [6, 12], columns: [], fields: [], methods: ["pca", "tsne"],
  orders: [{ name: "hard", title: "Hard", sentence: "", column: "loss" }, { name: "lost", title: "Lost", sentence: "", column: "gone" }],
  decided: [{ side: "a", gold: "label", decision: "label" }],
};

test("at first both last layers are shown, or what there is", () => {
  const plain = defaults(collection, columns);
  assert.deepEqual(plain.plots, [{ of: "hidden", side: "a", layer: 6, method: "pca" }, { of: "hidden", side: "b", layer: 12, method: "pca" }]);
  assert.equal(plain.colour, "label");
  const one = defaults({ ...collection, models: ["one"], layers: [6], methods: ["tsne"], decided: [] }, columns);
  assert.deepEqual(one.plots, [{ of: "hidden", side: "a", layer: 6, method: "tsne" }, { of: "columns", x: "loss", y: "loss" }]);
  assert.deepEqual(defaults({ ...collection, n: 2 }, columns).plots.map(({ of }) => of), ["columns", "columns"]);
});

test("the address keeps what was chosen, is short, and what it does not know it leaves out", () => {
  const plain = defaults(collection, columns), back = (choices) => expand(compact(choices, plain, columns), collection, columns);
  assert.equal(compact(plain, plain, columns), "");
  const chosen = {
    filters: [{ column: "label", kinds: [0, MISSING] }, { column: "loss", low: null, high: 0.5 }, { text: "bank" }], order: { column: "loss", descending: true, ready: "hard" },
    colour: PRESERVED, own: ["=", "loss"], only: true, plots: [{ of: "columns", x: "loss", y: "loss" }, { of: "behaviour", side: "b", method: "tsne" }],
  };
  assert.deepEqual(back(chosen), chosen);
  assert.deepEqual(back({ ...chosen, order: { column: "label", descending: false, ready: "" } }).order, { column: "label", descending: false, ready: "" });
  const long = { ...plain, filters: [{ text: "short" }, { text: "ü".repeat(400) }] };
  assert.deepEqual(back(long).filters, [{ text: "short" }]);
  assert.deepEqual(back({ ...plain, own: [PRESERVED, ""] }).own, [PRESERVED, ""]);
  const strange = { k: ["gone", 7], f: [["gone", 0, 1], ["loss", "a", 1], ["label", ["?"]], ["label", 0, 1], ["", 3], 7], o: ["lost"], c: "gone", p: [["hidden", "a", 7, "pca"], ["hidden", "b", 12, "umap"]] };
  for (const text of [JSON.stringify(strange), "", "{", "null", "[]", '{"f":1,"o":2,"p":3}']) assert.deepEqual(expand(text, collection, columns), plain);
});

test("texts, label and decisions stand first in the table, in sight where there is room; the rest follows", () => {
  const of = (name, kind, title = name) => [name, { name, title, kind, kinds: [], help: "", values: new Float32Array() }];
  const room = {
    collection: { ...collection, fields: ["first text", "second text", "label", "year", "place"] }, choices: { order: { column: "" } },
    columns: new Map([of("length_a", "number"), of("label", "kind", "Label"), of("decision_a", "kind"), of("confidence_a", "number"), of("decision_b", "kind"), of("meta:year", "number", "year")]),
  };
  const names = ({ columns }) => columns.map(({ name }) => name);
  assert.deepEqual(names(placed(room, 1200)), ["first text", "second text", "label", "decision_a", "decision_b", "length_a", "confidence_a", "meta:year", "place"]);
  assert.deepEqual(names(placed({ ...room, choices: { order: { column: "confidence_a" } } }, 1200)).slice(2, 6), ["label", "decision_a", "confidence_a", "decision_b"]);
  for (const width of [1200, 815, 660]) {
    const { widths } = placed(room, width), seen = widths.slice(0, 7).reduce((sum, one) => sum + one);
    assert.ok(seen <= width || widths[2] === 130, String(width));
    assert.equal(widths[2], widths[3]);
  }
  assert.equal(placed(room, 340).widths[2], 130);
  room.columns.delete("label");
  assert.equal(names(placed(room, 1200))[2], "label");
});

test("a column colours once in a theme, and nothing colours all alike", () => {
  const room = { collection, columns, dark: false, painted: new Map() }, found = painted(room, "label");
  assert.equal(painted(room, "label"), found);
  assert.equal(painted(room, "").colours.length, 1);
  assert.notDeepEqual(painted({ ...room, dark: true, painted: new Map() }, "label").colours, found.colours);
});
