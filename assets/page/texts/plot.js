// @ts-check
// One of the two scatter plots: its points as Plotly draws them, and above them what the pointer does.
import { colour, make, makeSvg } from "../shared/dom.js";
import { escape } from "../shared/markup.js";
import { number, percent } from "../shared/numbers.js";
import { CONFIG, Plotly, chartLayout } from "../shared/plotly.js";
import { chooser, shown } from "./chosen.js";
import { ends, written } from "./columns.js";
import { PRESERVED, SHARED } from "./choices.js";
import { isDataMap, REGIONS, VIEW } from "./datamap.js";
import { gestures } from "./gestures.js";
import { legend } from "./legend.js";
import { colouring, painted, plainColouring } from "./palette.js";
import { between, eased, groups, inside, nearest, paired } from "./points.js";
import { button, later, numberOf } from "./room.js";
import { trust } from "./words.js";
/** @import { Place } from "./gestures.js" */
/** @import { Laid } from "./layouts.js" */
/** @import { Colouring } from "./palette.js" */
/** @import { Scale } from "./points.js" */
/** @import { Acts, Room } from "./room.js" */

/** @typedef {{ layouts: ReturnType<typeof import("./layouts.js").layouts>, cells: ReturnType<typeof import("./cells.js").cells>, mode: () => import("./gestures.js").Mode }} Sources */
/** @typedef {{ x: [number, number], y: [number, number] }} View what of the values is in sight */

const MOST = 20000; // points that are drawn
const SMOOTH = 5000; // points that are moved
const MOVING = 450; // ms
const REACH = 14; // pixels from the pointer to a point
const RESTING = 150; // ms on a point until its text is asked for
/** Out of sight: a point that is drawn while the others are awaited, since WebGL takes longest for the first one. */
const FAR = { x: Float32Array.of(99), y: Float32Array.of(99) };
const SPACE = 0.04; // of the width, around the points

/**
 * @param {Element} box
 * @param {0 | 1} index
 * @param {Acts} acts
 * @param {Sources} sources
 */
export function plot(box, index, acts, { layouts, cells, mode }) {
  const figure = make("figure", "af-tx-plot", undefined, box), choices = chooser(figure, index, acts), keys = legend(figure, acts, index);
  const stage = make("div", "af-tx-stage", undefined, figure), chart = make("div", "af-tx-chart", undefined, stage);
  chart.tabIndex = -1; // its alternative is the table
  chart.role = "img";
  const overlay = makeSvg("svg", { class: "af-overlay", "aria-hidden": "true" }, stage), ring = makeSvg("circle", { class: "af-tx-ring", r: 7, visibility: "hidden" }, overlay);
  const wait = make("p", "af-tx-wait", undefined, stage), tip = make("div", "af-tip", undefined, stage), zooms = make("span", "af-views af-zoom", undefined, stage);
  wait.role = "status";
  tip.hidden = true;
  zooms.role = "group";
  zooms.setAttribute("aria-label", "Zoom");
  const note = make("figcaption", "af-tx-quiet", undefined, figure);
  /** @type {Room | null} */
  let room = null;
  /** @type {Float32Array} */
  let points = new Float32Array(), target = points; // where they are, and where they go
  /** @type {Laid | null} what is drawn, unless it is two columns */
  let laid = null;
  /** @type {View | null} */
  let view = null;
  /** @type {{ view: View, share: number } | null} what was in sight before points moved, and how far they are */
  let from = null;
  let about = "", moving = 0, marked = -1, margin = { l: 8, r: 8, t: 8, b: 8 }, asked = false, owed = false;
  /** @type {{ of: Laid | null, dark: boolean, colouring: Colouring } | null} */
  let preserved = null;

  /** What is in sight: that to which somebody zoomed, or all points, of two columns on the way from where it was. @returns {View} */
  function sight() {
    const to = view ?? whole();
    if (view || !from) return to;
    const { view: before, share } = from;
    /** @param {"x" | "y"} axis @returns {[number, number]} */
    const on = (axis) => [eased(before[axis][0], to[axis][0], share), eased(before[axis][1], to[axis][1], share)];
    return { x: on("x"), y: on("y") };
  }
  /** What is in sight before anybody zooms: all points; layouts in the same proportion both ways. @returns {View} */
  function whole() {
    const choice = room?.choices.plots[index], width = chart.clientWidth - margin.l - margin.r, height = chart.clientHeight - margin.t - margin.b;
    if (laid || choice?.of !== "columns") {
      const half = 1 + 2 * SPACE, least = Math.min(width, height);
      return { x: [(-half * width) / least, (half * width) / least], y: [(-half * height) / least, (half * height) / least] };
    }
    if (room && isDataMap(choice, room.collection)) return VIEW;
    const [x, y] = [choice.x, choice.y].map((name) => {
      const column = room?.columns.get(name), [low, high] = column ? ends(column) : [0, 1], space = SPACE * (high - low || 1);
      return /** @type {[number, number]} */ ([low - space, high + space]);
    });
    return { x, y };
  }
  /** @returns {Scale & { back: (place: Place) => [number, number] }} */
  function scale() {
    const { x: [left, right], y: [bottom, top] } = sight();
    const width = chart.clientWidth - margin.l - margin.r, height = chart.clientHeight - margin.t - margin.b;
    return {
      x: (value) => margin.l + ((value - left) / (right - left)) * width, y: (value) => margin.t + ((top - value) / (top - bottom)) * height,
      back: ([x, y]) => [left + ((x - margin.l) / width) * (right - left), top - ((y - margin.t) / height) * (top - bottom)],
    };
  }
  /** The column that colours this plot. @param {Room} now */
  const colouredBy = ({ choices: { own, colour } }) => (own[index] === SHARED ? colour : own[index]);
  /** @param {Room} now */
  function colours(now) {
    const by = colouredBy(now);
    if (by !== PRESERVED) return painted(now, by);
    if (!laid) return plainColouring(now.collection.n, now.dark);
    if (preserved?.of !== laid || preserved.dark !== now.dark) {
      const column = { name: PRESERVED, title: "", help: "", kind: /** @type {const} */ ("number"), kinds: [], values: laid.preserved };
      preserved = { of: laid, dark: now.dark, colouring: colouring(column, now.dark, [0, 1]) };
    }
    return preserved.colouring;
  }
  async function paint() {
    asked = false;
    owed = !chart.clientWidth; // a hidden tab: drawn when it is shown
    if (!room || owed || !chart.isConnected) return;
    const { choices: { plots }, columns, mask, selection, collection: { n } } = room, choice = plots[index];
    const titles = !laid && choice.of === "columns";
    margin = titles ? { l: 54, r: 8, t: 8, b: 40 } : { l: 8, r: 8, t: 8, b: 8 };
    const { classes, colours: hues } = colours(room), { lit, faded, drawn, all } = groups(points, classes, hues.length, mask, selection, MOST);
    const size = drawn > 3000 ? 4 : drawn > 500 ? 6 : 8;
    /** @param {{ x: Float32Array, y: Float32Array }} group @param {string} hue @param {number} opacity */
    const trace = (group, hue, opacity) => ({ type: "scattergl", mode: "markers", ...group, marker: { color: hue, size, opacity }, hoverinfo: "skip" });
    const data = !points.length ? [trace(FAR, hues[0], 0.01)] : [trace(faded, colour("--body-text-color-subdued"), 0.22), ...lit.map((group, i) => trace(group, hues[i], 0.85))];
    data.splice(1, 0, ...data.splice(-1)); // grey lies below the hues
    const line = { gridcolor: colour("--border-color-primary"), zeroline: false, showline: true, mirror: true, linecolor: colour("--border-color-primary") };
    const { x, y } = sight();
    /** @param {string} name */
    const title = (name) => ({ text: escape(columns.get(name)?.title ?? name), standoff: 6, font: { size: 12 } });
    const bare = { ...line, showgrid: false, showticklabels: false, ticks: "" };
    const named = isDataMap(choice, room.collection) ? REGIONS.map((region) => ({ ...region, showarrow: false, font: { size: 12 }, bgcolor: colour("--block-background-fill"), opacity: 0.9 })) : [];
    const layout = chartLayout({
      annotations: named, width: chart.clientWidth, height: chart.clientHeight, margin, showlegend: false, hovermode: false, dragmode: false,
      xaxis: titles ? { ...line, range: x, title: title(choice.x) } : { ...bare, range: x }, yaxis: titles ? { ...line, range: y, title: title(choice.y) } : { ...bare, range: y },
    });
    await Plotly.react(chart, data, layout, { ...CONFIG, staticPlot: true });
    chart.setAttribute("aria-label", `Scatter plot of ${number(all, 0)} of ${number(n, 0)} texts: ${about}. The table below has the same texts.`);
    note.textContent = [laid ? trust(laid) : "", drawn < all && all > MOST ? `${number(drawn, 0)} of ${number(all, 0)} points are drawn; a lasso takes all.` : ""].filter(Boolean).join(" ");
    circle();
    chart.dataset.painted = String(Number(chart.dataset.painted ?? 0) + 1); // tells tests
  }
  /** After the next frame: what is cheap and close to the hand, such as the table, is seen before. */
  function soon() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => setTimeout(paint));
  }
  /** @param {Float32Array} to @param {View} [seen] before, of two columns */
  function go(to, seen) {
    const start = points, still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    cancelAnimationFrame(moving);
    target = to;
    from = null;
    if (still || start.length !== to.length || to.length > 2 * SMOOTH) { points = to; soon(); return; }
    const started = performance.now();
    async function step() {
      const share = Math.min(1, (performance.now() - started) / MOVING);
      points = share < 1 ? between(start, to, share) : to;
      from = seen && share < 1 ? { view: seen, share } : null;
      await paint();
      if (share < 1 && target === to) moving = requestAnimationFrame(step);
    }
    moving = requestAnimationFrame(step);
  }
  function circle() {
    const { x, y } = scale(), known = marked >= 0 && room?.mask[marked] && !Number.isNaN(points[2 * marked] + points[2 * marked + 1]);
    ring.setAttribute("visibility", known ? "visible" : "hidden");
    if (known) { ring.setAttribute("cx", String(x(points[2 * marked]))); ring.setAttribute("cy", String(y(points[2 * marked + 1]))); }
  }
  /** @param {View} to */
  function look(to) {
    view = to;
    soon();
  }
  /** @param {number} factor less than 1 shows less, larger @param {Place} [place] that stays where it is */
  function zoom(factor, place = [chart.clientWidth / 2, chart.clientHeight / 2]) {
    const { x, y } = view ?? whole(), [cx, cy] = scale().back(place);
    look({ x: [cx + (x[0] - cx) * factor, cx + (x[1] - cx) * factor], y: [cy + (y[0] - cy) * factor, cy + (y[1] - cy) * factor] });
  }
  for (const [text, name, pressed] of /** @type {[string, string, () => void][]} */ ([
    ["+", "Larger", () => zoom(1 / 1.5)], ["−", "Smaller", () => zoom(1.5)], ["○", "Whole", () => { view = null; soon(); }],
  ])) button(text, zooms, pressed, name).setAttribute("aria-label", `${name}, ${index ? "right" : "left"} plot`);

  /** @param {Place} place */
  const at = (place) => (room ? nearest(points, room.mask, scale(), place, REACH) : -1);
  const read = later(RESTING, (/** @type {number} */ row) => cells.want([row]));
  function tell() {
    if (!room || marked < 0 || tip.hidden) return;
    const { collection, columns } = room, known = cells.get(marked), texts = known?.slice(0, 2).filter(Boolean);
    tip.replaceChildren();
    for (const text of texts ?? ["reading the text …"]) make("div", "af-tx-first", text, tip);
    const facts = new Map(collection.decided.flatMap(({ gold, decision }) => [gold, decision]).map((name) => [name, columns.get(name)]));
    for (const column of facts.values()) if (column) make("div", "", `${column.title}: ${written(column, marked)}`, tip);
    const coloured = columns.get(colouredBy(room));
    if (coloured && !facts.has(coloured.name)) make("div", "", `${coloured.title}: ${written(coloured, marked)}`, tip);
    if (laid) make("div", "", `neighbours kept: ${percent(laid.preserved[marked])}`, tip);
    make("div", "af-tx-quiet", `text ${numberOf(marked)}; a click shows it in the table, a double click opens it`, tip);
  }
  gestures(chart, overlay, {
    mode, zoom,
    enclose(corners, add) {
      if (!room) return;
      const { back } = scale();
      acts.select(inside(points, room.mask, corners.map(back)), add);
    },
    move(dx, dy) {
      const { back } = scale(), [x0, y0] = back([0, 0]), [x1, y1] = back([dx, dy]), { x, y } = view ?? whole();
      look({ x: [x[0] - x1 + x0, x[1] - x1 + x0], y: [y[0] - y1 + y0, y[1] - y1 + y0] });
    },
    hover(place) {
      const row = place ? at(place) : -1;
      if (row !== marked) acts.mark(row);
      tip.hidden = row < 0;
      if (row < 0 || !place) return;
      tell();
      read(row);
      const right = place[0] > stage.clientWidth / 2, below = place[1] > stage.clientHeight / 2;
      tip.style.cssText = `${right ? `right: ${stage.clientWidth - place[0] + 12}px` : `left: ${place[0] + 12}px`}; ${below ? `bottom: ${stage.clientHeight - place[1] + 12}px` : `top: ${place[1] + 12}px`}`;
    },
    click(place) { const row = at(place); if (row >= 0) acts.point(row); },
    twice(place) { const row = at(place); if (row >= 0) acts.open(row); },
  });
  const sizes = new ResizeObserver(() => { if (owed && chart.clientWidth) soon(); });
  sizes.observe(chart);
  return {
    /** @param {Room} now */
    show(now) {
      const another = room?.collection.key !== now.collection.key, same = room?.collection.texts === now.collection.texts;
      const seen = another && same && chart.clientWidth ? sight() : undefined; // of which the columns may have other ends now
      room = now;
      choices.show(now);
      keys.show(now);
      const choice = now.choices.plots[index], wasLaid = laid;
      if (!same) { laid = null; points = target = new Float32Array(); view = null; }
      about = shown(choice, now);
      wait.textContent = "";
      if (choice.of === "columns") {
        const [x, y] = [choice.x, choice.y].map((name) => now.columns.get(name)?.values), key = `${choice.x}\n${choice.y}`;
        const others = wasLaid || figure.dataset.columns !== key;
        if (x && y && seen && !others) { go(paired(x, y), seen); return; } // the same texts at another moment: points move
        if (x && y && (another || others)) {
          cancelAnimationFrame(moving);
          from = null;
          laid = view = null;
          figure.dataset.columns = key;
          points = target = paired(x, y);
        }
        if (!x || !y) wait.textContent = now.collection.n < 3 ? "Fewer than 3 texts cannot be laid out." : "The texts have no numbers to draw by.";
        soon();
        return;
      }
      const found = layouts.want(index, choice);
      if (!found) wait.textContent = layouts.why(index) || `laying out ${about} …`;
      if (found && found !== laid) {
        if (!laid) { view = null; points = new Float32Array(); } // from two columns nothing can move
        laid = found;
        go(found.points);
      } else soon();
    },
    soon,
    tell,
    /** @param {number} row */
    mark(row) {
      marked = row;
      circle();
    },
    leave() {
      sizes.disconnect();
      Plotly.purge(chart);
    },
  };
}
