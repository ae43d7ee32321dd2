// @ts-check
// The radial view at rest: Plotly draws rings and head cells and does zoom, the names stand in an SVG layer above it.

import { colour, makeSvg } from "../shared/dom.js";
import { chartLayout } from "../shared/plotly.js";
import * as geometry from "./geometry.js";
import { nameOf } from "./scene.js";
/** @import { Point, Ring, RingNode } from "./geometry.js" */
/** @import { Scene } from "./scene.js" */

/**
 * Where the points of a scene are in the window, in pixels of the chart, and how far it is zoomed in.
 * @typedef {object} Projection
 * @property {(v: number) => number} x
 * @property {(v: number) => number} y
 * @property {(pixel: number) => number} xBack
 * @property {(pixel: number) => number} yBack
 * @property {number} zoom
 */
/** @typedef {{ x: (number | null)[], y: (number | null)[] }} Points null begins another line */

/**
 * Circles, and the ticks where the sentences meet.
 * @param {Scene} scene
 * @returns {Record<string, any>[]}
 */
function traces({ rings }) {
  /**
   * @param {Points} points
   * @param {object} options
   */
  const line = (points, options) => ({ type: "scatter", mode: "lines", hoverinfo: "skip", ...points, ...options });
  /** @type {Points} */
  const circles = { x: [], y: [] };
  /** @type {Points} */
  const ticks = { x: [], y: [] };
  for (const { r, band, meet } of rings) {
    if (!r) continue;
    for (let i = 0; i <= 90; i++) { circles.x.push(r * Math.sin((i * Math.PI) / 45)); circles.y.push(r * Math.cos((i * Math.PI) / 45)); }
    circles.x.push(null); circles.y.push(null);
    if (meet === null) continue;
    for (const at of [r - 0.34 * band, r + 0.08 * band]) { ticks.x.push(at * Math.sin(meet)); ticks.y.push(at * Math.cos(meet)); }
    ticks.x.push(null); ticks.y.push(null);
  }
  return [
    line(circles, { line: { color: colour("--border-color-primary"), width: 1 }, opacity: 0.6 }),
    line(ticks, { line: { color: colour("--body-text-color"), width: 3 } }),
  ];
}

/** @param {number} tokens */
const shade = (tokens) => (tokens < 2 ? 1 : tokens < 4 ? 2 : tokens < 8 ? 3 : 4);

/**
 * Cells and sparklines, one shape for each colour: as points of a trace they would take Plotly many times as long.
 * @param {Scene} scene
 */
function shapes(scene) {
  /** @type {Map<string, string>} */
  const paths = new Map();
  /**
   * @param {string} key
   * @param {Point[]} corners
   */
  const put = (key, corners) => paths.set(key, `${paths.get(key) ?? ""}M${corners.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`);
  for (const ring of scene.rings) {
    for (const node of ring.nodes.values()) {
      scene.cells(ring, node).forEach(([models, most], head) => {
        const key = models ? `${models} ${scene.comparing ? 4 : shade(most)}` : "none";
        for (const half of models === 3 ? [0, 1] : [null]) put(key, geometry.cellCorners(ring, node, head, half));
      });
      for (const [models, spikes] of geometry.sparklineWidth(ring) ? scene.spikes(ring, node) : []) {
        const sparkline = geometry.sparkline(ring, node, spikes);
        put("none", sparkline.line);
        for (const corners of sparkline.spikes) put(`${models} 4`, corners);
      }
    }
  }
  return [...paths].map(([key, path]) => {
    const [models, level] = key.split(" ").map(Number);
    return {
      type: "path", path, line: { width: 0 },
      fillcolor: colour(key === "none" ? "--border-color-primary" : `--af-${nameOf(models)}`),
      opacity: key === "none" ? 0.55 : [0, 0.35, 0.55, 0.78, 1][level],
    };
  });
}

/**
 * Traces and layout of the Plotly chart.
 * @param {Scene} scene
 */
export function figure(scene) {
  const { width, height } = scene, axis = { visible: false, zeroline: false, showgrid: false };
  const layout = chartLayout({
    showlegend: false, hovermode: false, dragmode: matchMedia("(pointer: coarse)").matches ? false : "pan",
    width, height, margin: { l: 0, r: 0, t: 0, b: 0 }, shapes: shapes(scene),
    xaxis: { ...axis, range: [-width / 2, width / 2] }, yaxis: { ...axis, range: [-height / 2, height / 2], scaleanchor: "x" },
  });
  return { data: traces(scene), layout };
}

/**
 * What the rings stand around, line by line: what the score reads, if it reads several tokens.
 * @param {Scene} scene
 * @returns {{ text: string, y: number, size: number }[]}
 */
export function centreLines(scene) {
  const lines = scene.rootNames.flatMap((name) => name.split(/ (?=\d|together$)/)), room = 2 * geometry.centreRadius(scene.rings);
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
  if (scene.around) {
    const lines = centreLines(scene);
    lines.forEach(({ text, y, size }) => {
      makeSvg("text", { class: `af-centre af-${nameOf(scene.pooling)}`, x: project.x(0), y: project.y(y), "font-size": size, dy: "0.32em" }, tokens).textContent = text;
    });
  }
  for (const ring of scene.rings) {
    if (ring.r) {
      const name = makeSvg("text", { class: "af-ring-name", x: project.x(0), y: project.y(ring.r - 0.42 * ring.band), "font-size": Math.max(7, 0.8 * ring.font) }, ringNames);
      name.textContent = scene.byLayer(ring.depth, (layer) => (layer ? `L${layer}` : "input"));
    }
    const room = (ring.r ? ring.arc : 4 * ring.band) * project.zoom - 4;
    const every = Math.ceil((3.2 * 0.56 * ring.font) / Math.max(room, 1)); // in a crowded ring only some are named
    [...ring.nodes.values()].forEach((node, index) => {
      node.name = named && index % every === 0 ? geometry.fit(scene.text[node.token], room * every, ring.font) : "";
      const shape = makeSvg(node.name ? "text" : "circle", {
        "data-at": `${ring.depth} ${node.token}`, class: `af-${nameOf(node.models ?? 0)}${scene.quiet(ring, node) ? " af-quiet" : ""}`,
        transform: `translate(${project.x(node.x).toFixed(1)} ${project.y(node.y).toFixed(1)}) rotate(${degrees(ring, node).toFixed(1)})`,
        ...(node.name ? { "font-size": ring.font, dy: "0.32em" } : { r: 1.6 }),
      }, tokens);
      if (node.name) shape.textContent = node.name;
    });
  }
}
