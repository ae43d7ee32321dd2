// @ts-check
// What is lit in the radial view: lines, cells and names on one canvas above the faded rings, painted within a frame.

import { colour } from "../shared/dom.js";
import * as geometry from "./geometry.js";
import { centreLines } from "./rings.js";
import { nameOf } from "./scene.js";
/** @import { Selection } from "../payloads.js" */
/** @import { Point, Ring, RingNode } from "./geometry.js" */
/** @import { Projection } from "./zoom.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Hit, Line } from "./selection.js" */
/** @typedef {{ tokens: [depth: number, token: number, models: string][], lines: number, cells: number }} Painted */

const TURN = 2 * Math.PI;
/**
 * Opacity of a line by its strongest attention: lines that end at the selection are strong, those further away only hint.
 * @param {Line} line
 * @param {Selection} selection
 */
export function opacityOf([depth, , , , strength], { ends }) {
  const near = ends.length > 1 || ends.some((end) => depth === end.depth || depth === end.depth + 1), weight = strength / 255;
  return near ? 0.4 + 0.55 * weight : 0.14 + 0.4 * weight;
}

/**
 * Width of a line by its strongest attention, in pixels.  Thin ones all have one pixel, which is many times as fast.
 * @param {Line} line
 */
export const widthOf = ([, , , , strength]) => (strength < 77 ? 1 : 0.5 + (4 * strength) / 255);

/**
 * The models that carry lit edges with each cell of a token, by head; 0 where none does.
 * @param {Scene} scene
 * @param {Hit} hit
 * @param {Ring} ring
 * @param {RingNode} node
 */
export const carried = (scene, hit, ring, node) => hit.cells[ring.depth].subarray(node.token * scene.heads, node.token * scene.heads + scene.cellCount(ring));

/**
 * A painter on a canvas; `painted` tells what is on it.
 * @param {HTMLCanvasElement} canvas
 */
export function painter(canvas) {
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  let scale = 1, width = 0, height = 0, family = "", behind = "";
  /** @type {Scene} */
  let scene;
  /** @type {Projection} */
  let project;
  /** @type {Point[][]} */
  let grids;
  /** @type {string[]} */
  let colours;
  /** @type {Painted} */
  const painted = { tokens: [], lines: 0, cells: 0 };

  /**
   * Take the scene that is shown, where its points are, and the colours of the theme.
   * @param {Scene} shown
   * @param {Projection} where
   */
  function prepare(shown, where) {
    [scene, project, scale] = [shown, where, devicePixelRatio];
    [width, height] = [scene.width, scene.height];
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    pen.textAlign = "center"; // a canvas forgets it with its size
    grids = scene.rings.map((ring) => Array.from({ length: scene.cellCount(ring) }, (_, head) => geometry.cellPlace(ring, head)));
    colours = [1, 2, 3].map((models) => colour(`--af-${nameOf(models)}`));
    family = colour("--font");
    behind = colour("--block-background-fill");
  }

  /**
   * Draw at a token's place, along its direction of reading.
   * @param {Point} place
   * @param {RingNode} node
   * @param {number} zoom
   */
  function turn([x, y], { right, up }, zoom) {
    const s = scale * zoom;
    pen.setTransform(s * right[0], -s * right[1], -s * up[0], s * up[1], scale * project.x(x), scale * project.y(y));
  }

  /**
   * Lines, stroked one by one: one path of many takes a browser that draws in software many times as long.
   * @param {Hit} hit
   * @param {Selection} selection
   */
  function lines(hit, selection) {
    for (const line of hit.lines) {
      const [[x0, y0], [x1, y1]] = scene.lineEnds(line);
      pen.strokeStyle = colours[line[3] - 1];
      pen.globalAlpha = opacityOf(line, selection);
      pen.lineWidth = widthOf(line);
      pen.beginPath();
      pen.moveTo(project.x(x0), project.y(y0));
      pen.lineTo(project.x(x1), project.y(y1));
      pen.stroke();
    }
    pen.globalAlpha = 1;
    painted.lines = hit.lines.length;
  }

  /**
   * @param {Hit} hit
   * @param {Ring} ring
   * @param {RingNode} node
   */
  function cells(hit, ring, node) {
    const heads = carried(scene, hit, ring, node), places = grids[ring.depth], { cell } = ring;
    turn(geometry.glyphCentre(ring, node), node, project.zoom);
    for (const models of [1, 2, 3]) { // one path for each colour: faster than a rectangle for each head
      pen.beginPath();
      let found = 0;
      for (let head = 0; head < heads.length; head++) {
        if (heads[head] !== models) continue;
        pen.rect(places[head][0] - cell / 2, places[head][1] - cell / 2, cell, cell);
        found++;
      }
      if (!found) continue;
      pen.fillStyle = colours[models - 1];
      pen.fill();
      painted.cells += found;
    }
  }

  /**
   * @param {number} models
   * @param {Ring} ring
   * @param {RingNode} node
   */
  function name(models, ring, node) {
    turn([node.x, node.y], node, 1);
    pen.fillStyle = colours[models - 1];
    if (node.name) pen.fillText(node.name, 0, 0.32 * ring.font);
    else {
      pen.beginPath();
      pen.arc(0, 0, 1.6, 0, TURN);
      pen.fill();
    }
    painted.tokens.push([ring.depth, node.token, nameOf(models)]);
  }

  /**
   * What the rings stand around: lit in the models of which a token of the first ring is.
   * @param {Hit} hit
   */
  function centre(hit) {
    const models = scene.litCentre(hit);
    if (!scene.around || !models) return;
    pen.setTransform(scale, 0, 0, scale, scale * project.x(0), 0);
    Object.assign(pen, { fillStyle: colours[models - 1], strokeStyle: behind, lineWidth: 3, lineJoin: "round" });
    for (const { text, y, size } of centreLines(scene)) {
      pen.font = `700 ${size}px ${family}`;
      pen.strokeText(text, 0, project.y(y) + 0.32 * size); // lines run through the centre
      pen.fillText(text, 0, project.y(y) + 0.32 * size);
    }
  }

  /**
   * Paint what a selection lights; nothing if there is none.
   * @param {Hit | null} hit
   * @param {Selection | null} selection
   */
  function paint(hit, selection) {
    Object.assign(painted, { tokens: [], lines: 0, cells: 0 });
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!hit || !selection) return;
    lines(hit, selection);
    const lit = scene.rings.map((ring) => [...ring.nodes.values()].filter(({ token }) => hit.nodes[ring.depth][token]));
    const bold = lit.flat().length <= 200; // more bold names would run into each other
    scene.rings.forEach((ring, depth) => { for (const node of lit[depth]) cells(hit, ring, node); });
    scene.rings.forEach((ring, depth) => {
      for (const node of lit[depth]) {
        pen.font = `${scene.quiet(ring, node) ? "italic " : ""}${bold ? 700 : 500} ${ring.font}px ${family}`;
        name(hit.nodes[depth][node.token], ring, node);
      }
    });
    pen.globalAlpha = 1;
    centre(hit);
  }

  return { prepare, paint, painted };
}
