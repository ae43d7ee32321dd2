// @ts-check
// What is selected in the radial view, what it lights, and how it is said in words.  No DOM here.
//
// A selection is { ends: [{ depth, tokens }, perhaps a second one], head, model }: tokens of one ring light all that they
// depend on in common and all that depends on each of them; tokens of two rings light the paths between.  `head` restricts
// the layer that the tokens read with, `model` (0 or 1) the models; null means all.

import { headName } from "../shared/head.js";
import { ALL } from "./graph.js";
import { plural } from "../shared/numbers.js";
/** @import { Selection } from "../payloads.js" */
/** @import { Graph } from "./graph.js" */
/** @import { Scene } from "./scene.js" */

/** @typedef {[depth: number, query: number, key: number, models: number, strength: number]} Line strength in 255ths */
/**
 * What a selection lights; sets of models are bits.
 * @typedef {object} Hit
 * @property {Uint8Array[]} nodes [depth][token]: models
 * @property {Uint8Array[]} cells [depth][token * heads + head]: models
 * @property {Line[]} lines the strongest
 * @property {number} count of all lines, each model's by itself
 * @property {Map<number, Uint8Array>} edges for each model a mask of its edges
 */

const MOST_LINES = 200; // of one model; more are not told apart and take longer than a frame

/**
 * What of a selection is lit.
 * @typedef {object} Lighting
 * @property {number} most strongest lines of each word of one model; `ALL` for all
 * @property {boolean} differing whether what both models share stays dark
 */
/** As many lines of a word as are told apart at first sight. */
export const FEW = 3;
/** @type {Lighting} */
const EVERYTHING = { most: ALL, differing: false };

/**
 * A token of a ring, or one head of it, in both models or one.
 * @param {number} depth
 * @param {number} token
 * @param {number | null} head
 * @param {number | null} model
 * @returns {Selection}
 */
export const one = (depth, token, head = null, model = null) => ({ ends: [{ depth, tokens: [token] }], head, model });

/**
 * The selection with a token added to its end in that ring, taken away again, or put at a second end.
 * @param {Selection | null} selection
 * @param {number} depth
 * @param {number} token
 * @returns {Selection | null}
 */
export function extended(selection, depth, token) {
  if (!selection) return one(depth, token);
  const ends = selection.ends.map((end) => ({ ...end, tokens: [...end.tokens] }));
  const end = ends.find((candidate) => candidate.depth === depth);
  if (!end) return { ends: [ends[0], { depth, tokens: [token] }], head: null, model: null };
  end.tokens = end.tokens.includes(token) ? end.tokens.filter((other) => other !== token) : [...end.tokens, token];
  const left = ends.filter(({ tokens }) => tokens.length);
  return left.length ? { ends: left, head: null, model: null } : null;
}

/**
 * As a text for the link of the page: "2:3,5" are tokens of a ring, "1:0~3:4" two ends, ".h1" a head, ".m0" a model.
 * @param {Selection | null} selection
 */
export function encode(selection) {
  if (!selection) return "";
  const ends = selection.ends.map(({ depth, tokens }) => `${depth}:${tokens.join(",")}`).join("~");
  return ends + (selection.head === null ? "" : `.h${selection.head}`) + (selection.model === null ? "" : `.m${selection.model}`);
}

/**
 * Back from that text; null if it is none.
 * @param {string} text
 * @returns {Selection | null}
 */
export function decode(text) {
  const found = /^(\d+:\d+(?:,\d+)*)(?:~(\d+:\d+(?:,\d+)*))?(?:\.h(\d+))?(?:\.m([01]))?$/.exec(text);
  if (!found) return null;
  const ends = [found[1], found[2]].filter(Boolean).map((end) => {
    const [depth, tokens] = end.split(":");
    return { depth: Number(depth), tokens: tokens.split(",").map(Number) };
  });
  return { ends, head: found[3] === undefined ? null : Number(found[3]), model: found[4] === undefined ? null : Number(found[4]) };
}

/**
 * Whether a selection is of one thing: a token, or a root of several.
 * @param {Selection} selection
 * @param {Graph[]} graphs
 * @param {number[]} active numbers of the models that are shown
 */
export const isOne = ({ ends: [{ depth, tokens }, other] }, graphs, active) =>
  !other && (tokens.length === 1 || active.some((i) => graphs[i].isRoot(depth, graphs[i].chosen(depth, tokens))));

/**
 * Light a selection: each model by itself, then united.  The strongest lines are those of each model, but what is lit has
 * the colour of all models that attend there: a line is not of one model alone because it is weaker in the other.
 * @param {Selection} selection
 * @param {Graph[]} graphs
 * @param {number[]} active numbers of the models that are shown
 * @param {number} depths
 * @param {number} size how many tokens there are
 * @param {number} heads
 * @param {Lighting} [lighting]
 * @returns {Hit}
 */
export function lit(selection, graphs, active, depths, size, heads, { most, differing } = EVERYTHING) {
  const nodes = Array.from({ length: depths }, () => new Uint8Array(size));
  const cells = Array.from({ length: depths }, () => new Uint8Array(size * heads));
  /** @type {Map<string, Line>} */
  const lines = new Map();
  /** @type {Map<number, Uint8Array>} */
  const edges = new Map();
  let count = 0;
  const limit = isOne(selection, graphs, active) ? most : ALL; // what several have in common is few
  for (const i of active) {
    const graph = graphs[i], { head, model, ends: [end, other] } = selection;
    if ((model !== null && model !== i) || (head !== null && head >= graph.heads)) continue;
    const reach = other ? graph.between(end.depth, end.tokens, other.depth, other.tokens) : graph.reach(end.depth, end.tokens, head, limit);
    reach.rings.forEach((ring, d) => ring.forEach((on, t) => { if (on) nodes[d][t] |= 1 << i; }));
    for (let e = 0; e < reach.edges.length; e++) {
      if (!reach.edges[e]) continue;
      const depth = graph.depth[e], restricted = head !== null && depth === end.depth + 1, row = cells[depth - 1], at = graph.query[e] * heads;
      for (let k = graph.headStart[e]; k < graph.headStart[e + 1]; k++) {
        if (!restricted || graph.headOf[k] === head) row[at + graph.headOf[k]] |= 1 << i;
      }
      count++;
    }
    for (const e of strongest(graph, reach.edges)) {
      const place = /** @type {const} */ ([graph.depth[e], graph.query[e], graph.key[e]]), key = place.join(" ");
      const [, , , models, strength] = lines.get(key) ?? [...place, 0, 0];
      lines.set(key, [...place, models | (1 << i), Math.max(strength, graph.strongest[e])]);
    }
    edges.set(i, reach.edges);
  }
  const hit = { nodes, cells, count, edges, lines: [...lines.values()] };
  if (limit < ALL && selection.head === null && edges.size > 1) share(hit, graphs);
  if (differing) leaveShared(hit, selection);
  return hit;
}

/**
 * Give each line the colour of all models that attend there, if they have reached its attending token.
 * @param {Hit} hit
 * @param {Graph[]} graphs
 */
function share({ lines, nodes, edges }, graphs) {
  for (const line of lines.sort((p, q) => p[0] - q[0])) {
    const [depth, query, key, models] = line;
    for (const i of edges.keys()) {
      if (models & (1 << i) || !(nodes[depth - 1][query] & (1 << i)) || graphs[i].edgeAt(depth, query, key) === undefined) continue;
      line[3] |= 1 << i;
      nodes[depth][key] |= 1 << i;
    }
  }
}

/**
 * Darken what both models share: lines, heads, and tokens at which nothing else is lit.
 * @param {Hit} hit
 * @param {Selection} selection
 */
function leaveShared(hit, { ends }) {
  const seen = new Set(ends.flatMap(({ depth, tokens }) => tokens.map((token) => `${depth} ${token}`)));
  hit.lines = hit.lines.filter(([, , , models]) => models !== 3);
  for (const [depth, query, key] of hit.lines) seen.add(`${depth - 1} ${query}`).add(`${depth} ${key}`);
  for (const row of hit.cells) row.forEach((models, at) => { if (models === 3) row[at] = 0; });
  hit.nodes.forEach((row, depth) => row.forEach((models, token) => { if (models === 3 && !seen.has(`${depth} ${token}`)) row[token] = 0; }));
}

/**
 * The strongest edges of a mask, as many as are drawn.
 * @param {Graph} graph
 * @param {Uint8Array} mask
 */
function strongest(graph, mask) {
  /** @type {number[]} */
  const found = [];
  for (const e of graph.byStrength) {
    if (mask[e]) found.push(e);
    if (found.length === MOST_LINES) break;
  }
  return found;
}

/** @param {number} weight */
const weightText = (weight) => weight.toFixed(2);

/**
 * Heads that carry the edges of a mask, as "L3 H2, L3 H4, L4 H1".
 * @param {Graph} graph
 * @param {Uint8Array} mask
 */
function headList(graph, mask, most = 8) {
  /** @type {Set<number>} */
  const found = new Set(); // layer * heads + head
  for (const e of mask.keys()) if (mask[e]) for (const head of graph.headsOf(e)) found.add((graph.layers - graph.depth[e]) * graph.heads + head);
  const names = [...found].sort((p, q) => p - q).map((at) => headName([Math.floor(at / graph.heads), at % graph.heads]));
  return names.slice(0, most).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "");
}

/**
 * One sentence on a selection, with numbers for each model.
 * @param {Selection} selection
 * @param {Hit} hit
 * @param {Scene} scene
 */
export function describe(selection, hit, scene) {
  const { active, names, last } = scene;
  const { ends: [end, other], head, model } = selection;
  /** @param {number[]} tokens */
  /** @param {Selection["ends"][number]} which */
  const name = (which) => (scene.isRoot(which) ? scene.rootNames(names) : which.tokens.map((token) => names[token])).join(", ");
  /** @param {number} depth */
  const where = (depth) => (depth === 0 ? "at the output" : depth === last ? "at the input" : scene.ringName(depth));
  const reader = head !== null && end.depth < last ? `, head H${head + 1} of ${scene.layerName(end.depth)}` : "";
  const subject = other ? `Paths between ${name(end)} ${where(end.depth)} and ${name(other)} ${where(other.depth)}` : `${name(end)} ${where(end.depth)}${reader}`;
  const shown = active.filter((i) => model === null || model === i);
  const cut = hit.count > MOST_LINES * shown.length ? ` Of ${plural(hit.count, "line")} the strongest are drawn.` : "";
  return `${subject} — ${facts(selection, hit, scene).join("; ")}.${cut}`;
}

/**
 * The numbers of a selection, a text for each model that is shown.
 * @param {Selection} selection
 * @param {Hit | null} hit what it lights; needed for several tokens
 * @param {Scene} scene
 */
export function facts(selection, hit, { graphs, active, names }) {
  const shown = active.filter((i) => selection.model === null || selection.model === i);
  return shown.map((i) => (graphs.length > 1 ? `${"AB"[i]}: ` : "") + fact(graphs[i], names, hit, i, selection));
}

/**
 * The three edges of most weight.
 * @param {number[]} list
 * @param {(edge: number) => number} weight
 */
const most = (list, weight) => list.sort((p, q) => weight(q) - weight(p)).slice(0, 3);

/**
 * What all tokens of a root attend to, perhaps with one head.
 * @param {Graph} graph
 * @param {string[]} names
 * @param {number | null} head
 */
function rootFact(graph, names, head) {
  /** @param {number} e */
  const weight = (e) => (head === null ? graph.strongest[e] / 255 : graph.weight(e, head));
  /** @type {Map<number, number>} the strongest edge to each token */
  const best = new Map();
  for (const token of graph.root) {
    for (const e of graph.attendingOf(0, token)) {
      const before = best.get(graph.key[e]);
      if (weight(e) > 0 && (before === undefined || weight(e) > weight(before))) best.set(graph.key[e], e);
    }
  }
  const named = most([...best.values()], weight).map((e) => `${names[graph.key[e]]} ${weightText(weight(e))}`);
  return best.size ? `its ${graph.root.length} tokens attend to ${plural(best.size, "token")} (most to ${named.join(", ")})` : "its tokens attend to nothing above tau";
}

/**
 * @param {Graph} graph
 * @param {string[]} names
 * @param {Hit | null} hit
 * @param {number} i
 * @param {Selection} selection
 */
function fact(graph, names, hit, i, { ends: [end, other], head }) {
  const { depth, tokens } = end, edges = hit?.edges.get(i), nodes = hit?.nodes ?? [];
  const held = tokens.filter((token) => graph.inRing[depth]?.[token]);
  if (!held.length) return "not reached";
  if (other) {
    const between = nodes.slice(Math.min(depth, other.depth) + 1, Math.max(depth, other.depth)).reduce((sum, ring) => sum + ring.filter((models) => models & (1 << i)).length, 0);
    return edges?.includes(1) ? `${plural(between, "token")} on the way, through ${headList(graph, edges)}` : "no path";
  }
  const token = held[0];
  /** @type {string[]} */
  const said = [];
  if (graph.isRoot(depth, graph.chosen(depth, held))) return rootFact(graph, names, head);
  if (held.length > 1) {
    /** @param {number} d */
    const common = (d) => nodes[d]?.filter((models) => models & (1 << i)).length ?? 0;
    return `all ${held.length} attend to ${plural(common(depth + 1), "token")} and are attended to by ${plural(depth ? common(depth - 1) : 0, "token")}`;
  }
  const reads = graph.attendingOf(depth, token);
  if (head !== null) {
    const through = reads.filter((e) => graph.has(e, head));
    const named = most(through, (e) => graph.weight(e, head)).map((e) => `${names[graph.key[e]]} ${weightText(graph.weight(e, head))}`);
    return through.length ? `attends to ${named.join(", ")}${through.length > 3 ? ` and ${through.length - 3} more` : ""}` : "attends to nothing above tau";
  }
  if (depth < graph.layers) {
    const heads = graph.attends(depth, token).filter(Boolean).length;
    const named = most(reads, (e) => graph.strongest[e]).map((e) => `${names[graph.key[e]]} ${weightText(graph.strongest[e] / 255)}`);
    const passes = reads.some((e) => !graph.headsOf(e).length); // it takes no part in a layer of the other stack
    said.push(heads ? `${heads} of its ${graph.headsAt(depth)} heads attend to ${plural(reads.length, "token")} (most to ${named.join(", ")})` : passes ? "it passes through this layer as it is" : "its heads attend to nothing above tau");
  }
  if (depth > 0) {
    const by = graph.attendersOf(depth, token).filter((e) => graph.headsOf(e).length);
    const pairs = by.reduce((sum, e) => sum + graph.headsOf(e).length, 0);
    said.push(`${plural(pairs, "head")} of ${plural(by.length, "token")} attend to it`, `${plural(graph.paths[depth][token], "path")} to the centre`);
  }
  return said.join(", ");
}
