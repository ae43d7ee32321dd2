// @ts-check
// The radial view at rest, as SVG: rings, head cells and sparklines, and the names above them.  Colours come from the classes.

import { makeSvg } from "../shared/dom.js";
import * as geometry from "./geometry.js";
import { nameOf } from "./scene.js";
/** @import { Point, Ring, RingNode } from "./geometry.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Projection } from "./zoom.js" */

const SHADES = [0, 0.42, 0.6, 0.8, 1];
/**
 * Shade of a cell by how many tokens its head attends to.
 * @param {number} tokens
 */
const shade = (tokens) => (tokens < 2 ? 1 : tokens < 4 ? 2 : tokens < 8 ? 3 : 4);

/**
 * Cells and sparklines, one path for each colour and shade: as elements of their own they would take many times as long.
 * @param {Scene} scene
 */
function shapes(scene) {
  /** @type {Map<string, string[]>} */
  const paths = new Map();
  /**
   * @param {number} models
   * @param {number} level
   * @param {Point[]} corners
   */
  function put(models, level, corners) {
    if (scene.leavesOut(models) || (!models && scene.lighting.differing)) return;
    const key = `${models} ${level}`, path = paths.get(key) ?? [];
    if (!path.length) paths.set(key, path);
    path.push(`M${corners.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`);
  }
  for (const ring of scene.rings) {
    for (const node of ring.nodes.values()) {
      scene.cells(ring, node).forEach(([models, a, b], head) => {
        // What both models share is one cell of two halves, each as dark as its model says.
        if (models === 3) [a, b].forEach((tokens, half) => put(3, shade(tokens), geometry.cellCorners(ring, node, head, half)));
        else put(models, models ? shade(a + b) : 0, geometry.cellCorners(ring, node, head));
      });
      for (const [models, spikes] of geometry.sparklineWidth(ring) ? scene.spikes(ring, node) : []) {
        const sparkline = geometry.sparkline(ring, node, spikes);
        put(0, 0, sparkline.line);
        for (const corners of sparkline.spikes) put(models, 4, corners);
      }
    }
  }
  return paths;
}

/**
 * Draw the rings, the ticks where the sentences meet, and the cells, in the coordinates of the scene: y upwards.
 * @param {SVGElement} group
 * @param {Scene} scene
 */
export function draw(group, scene) {
  group.replaceChildren();
  for (const { r, band, meet } of scene.rings) {
    if (!r) continue;
    makeSvg("circle", { r: r.toFixed(1), class: "af-circle" }, group);
    if (meet === null) continue;
    const [from, to] = [r - 0.34 * band, r + 0.08 * band].map((at) => `${(at * Math.sin(meet)).toFixed(1)},${(at * Math.cos(meet)).toFixed(1)}`);
    makeSvg("path", { d: `M${from}L${to}`, class: "af-meet" }, group);
  }
  for (const [key, path] of shapes(scene)) {
    const [models, level] = key.split(" ").map(Number);
    makeSvg("path", { d: path.join(""), class: models ? `af-${nameOf(models)}` : "af-none", "fill-opacity": models ? SHADES[level] : 0.55 }, group);
  }
}

/**
 * What the rings stand around, line by line: what the score reads, if it reads several tokens.
 * @param {Scene} scene
 * @returns {{ text: string, y: number, size: number }[]}
 */
export function centreLines(scene) {
  const lines = scene.rootNames().flatMap((name) => name.split(/ (?=\d|together$)/)), room = 2 * geometry.centreRadius(scene.rings);
  const size = Math.max(7, Math.min(13, room / (lines.length + 1), room / (0.56 * Math.max(...lines.map((line) => line.length)))));
  return lines.map((text, i) => ({ text, y: ((lines.length - 1) / 2 - i) * 1.2 * size, size }));
}

/**
 * How far a name is turned.
 * @param {Ring} ring
 * @param {RingNode} node
 */
export const degrees = (ring, node) => (ring.r ? (node.angle * 180) / Math.PI + (node.flip < 0 ? 180 : 0) : 0);

/**
 * Write the names of rings and tokens; `node.name` becomes what there is room for, "" where only a dot is drawn.
 * @param {{ rings: SVGElement, tokens: SVGElement }} layers
 * @param {Scene} scene
 * @param {Projection} project
 * @param {boolean} named
 */
export function names({ rings: ringNames, tokens }, scene, project, named) {
  ringNames.replaceChildren();
  tokens.replaceChildren();
  for (const { text, y, size } of scene.around ? centreLines(scene) : []) {
    const kind = scene.leavesOut(scene.pooling) ? "ring-name" : nameOf(scene.pooling); // it stays to be read
    makeSvg("text", { class: `af-centre af-${kind}`, x: project.x(0), y: project.y(y), "font-size": size, dy: "0.32em" }, tokens).textContent = text;
  }
  for (const ring of scene.rings) {
    if (ring.r) {
      const name = makeSvg("text", { class: "af-ring-name", x: project.x(0), y: project.y(ring.r), "font-size": scene.ringFont(ring), dy: "0.32em" }, ringNames);
      name.textContent = scene.ringLabel(ring.depth);
    }
    const room = (ring.r ? ring.arc : 4 * ring.band) * project.zoom - 4;
    const every = Math.ceil((3.2 * 0.56 * ring.font) / Math.max(room, 1)); // in a crowded ring only some are named
    [...ring.nodes.values()].forEach((node, index) => {
      const shared = scene.leavesOut(node.models ?? 0); // a dot keeps its place
      node.name = named && !shared && index % every === 0 ? geometry.fit(scene.text[node.token], room * every, ring.font) : "";
      const shape = makeSvg(node.name ? "text" : "circle", {
        "data-at": `${ring.depth} ${node.token}`, class: `af-${shared ? "shared" : nameOf(node.models ?? 0)}${scene.quiet(ring, node) ? " af-quiet" : ""}`,
        transform: `translate(${project.x(node.x).toFixed(1)} ${project.y(node.y).toFixed(1)}) rotate(${degrees(ring, node).toFixed(1)})`,
        ...(node.name ? { "font-size": ring.font, dy: "0.32em" } : { r: 1.6 }),
      }, tokens);
      if (node.name) shape.textContent = node.name;
    });
  }
}
