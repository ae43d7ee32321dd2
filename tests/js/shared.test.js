// How heads, numbers and words are written, and the address of the page.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { headKey, headName, headOf } from "../../assets/page/shared/head.js";
import { replaced } from "../../assets/page/shared/words.js";
import * as link from "../../assets/page/shared/link.js";
import { bare, number, percent, plural, precise, shorten, unbroken } from "../../assets/page/shared/numbers.js";
import { escape } from "../../assets/page/shared/markup.js";
import { outputsAlone } from "../../assets/page/shared/statuses.js";
import { plain } from "../../assets/page/shared/words.js";

test("a head is written for people, as one text, and read back", () => {
  assert.equal(headName([0, 3]), "L1 H4");
  assert.equal(headKey([0, 3]), "0.3");
  assert.deepEqual(headOf("11.0"), [11, 0]);
  for (const text of ["", "1", "1.", "1.2.3", "-1.0", "L1 H4"]) assert.throws(() => headOf(text), /is no head/);
});

test("numbers are short, and a sign is a minus", () => {
  assert.deepEqual([number(1234.567), number(0.5, 1), number(0.04, 1)], ["1,234.57", "0.5", "0"]);
  assert.deepEqual([precise(-0.12345, true), precise(0.12345, true), precise(0.12345, false), precise(0, true), precise(null, true)], ["−0.123", "+0.123", "0.123", "0", "–"]);
  assert.deepEqual([plural(1, "head"), plural(0, "head"), plural(1200, "head")], ["1 head", "0 heads", "1,200 heads"]);
  assert.deepEqual([shorten("abcdef", 6), shorten("abcdef", 4), shorten("👍👍👍", 2)], ["abcdef", "abc…", "👍…"]);
});

test("Plotly gets no tags, and a piece is told without its mark", () => {
  assert.equal(escape("<s> & </s>"), "&lt;s&gt; &amp; &lt;/s&gt;");
  assert.deepEqual([plain("·ing"), plain("·"), plain("ing")], ["ing", "·", "ing"]);
});

beforeEach(() => {
  const address = new URL("http://localhost/?tau=0.2&heads=0.3,1.2#here");
  globalThis.location = address;
  globalThis.history = { state: null, replaceState: (_, __, to) => { globalThis.location = new URL(to, address); } };
});

test("the address keeps what is set, leaves out what is empty, and minds nothing else", () => {
  link.set({ tau: "", root: 2, select: null, view: "b" });
  assert.equal(location.href, "http://localhost/?heads=0.3%2C1.2&root=2&view=b#here");
  assert.equal(link.get("heads"), "0.3,1.2");
  assert.equal(link.get("tau"), "");
});

test("the address tells settings that are not as they begin, and of a switch and what it chooses one", () => {
  const plain = { link: "", unless: "" };
  const settings = [
    { ...plain, name: "text_a", link: "a", plain: "" }, { ...plain, name: "tau", link: "tau", unless: "auto", plain: 0.05 },
    { ...plain, name: "auto", plain: true }, { ...plain, name: "heads", link: "heads", plain: [] },
    { ...plain, name: "hide", link: "hide", plain: false }, { ...plain, name: "root", link: "root", plain: -1 },
  ];
  link.remember(settings, ["Anna & Paul", 0.05, true, [], true, 0]);
  assert.equal(location.search, "?a=Anna+%26+Paul&hide=1&root=0");
  link.remember(settings, ["", 0.05, false, ["0.3", "1.2"], false, null]);
  assert.equal(location.search, "?tau=0.05&heads=0.3%2C1.2");
});

test("a saved page has its state inside, and leaves its address alone", () => {
  globalThis.location = new URL("file:///tmp/flow.html");
  link.restore({ select: "1:2" });
  link.set({ select: "3:4" });
  assert.equal(location.href, "file:///tmp/flow.html");
  assert.equal(link.get("select"), "1:2");
  link.restore({});
});

test("a word is replaced, or left out with its space", () => {
  assert.equal(replaced("The cook left.", [4, 8], "[MASK]"), "The [MASK] left.");
  assert.equal(replaced("The cook left.", [4, 8], ""), "The left.");
  assert.equal(replaced("The cook left.", [0, 3], ""), "cook left.");
  assert.equal(replaced("The cook left.", [9, 13], ""), "The cook .");
  assert.equal(replaced("The cook left.", [13, 14], ""), "The cook left");
  assert.equal(replaced("cook", [0, 4], ""), "");
});

test("what an event reads is not told of its steps", () => {
  class Statuses {
    resolve_args(/** @type {any} */ { stream }) { return [{ id: 1, type: "output" }, { id: 2, type: stream ? "input" : "output" }]; }
  }
  outputsAlone({ nothing: null, other: () => 0 });
  outputsAlone({ other: 1, n: Statuses });
  const told = (/** @type {boolean} */ stream) => new Statuses().resolve_args({ stream }).map(({ id }) => id);
  assert.deepEqual([told(true), told(false)], [[1], [1, 2]]);
});

test("a share that is little or most does not read as nothing or all, nor does it break over lines", () => {
  assert.deepEqual([0, 0.002, 0.124, 0.998, 1].map((share) => percent(share)), ["0\u00a0%", "<\u00a01\u00a0%", "12\u00a0%", ">\u00a099\u00a0%", "100\u00a0%"]);
  assert.deepEqual([0.0002, 0.12345, 0.9998].map((share) => percent(share, 1)), ["<\u00a00.1\u00a0%", "12.3\u00a0%", ">\u00a099.9\u00a0%"]);
  assert.deepEqual([0, 0.002, 0.124, 1].map(bare), ["0", "<1", "12", "100"]);
  assert.equal(unbroken("12 % of it, and < 1 % (> −1 %)"), "12\u00a0% of it, and <\u00a01\u00a0% (>\u00a0−1\u00a0%)");
});
