// @ts-check
// How the training went: accuracy and loss of all texts and of what is left, and one text's way through the epochs.
import { colour, make } from "../shared/dom.js";
import { escape } from "../shared/markup.js";
import { number, plural } from "../shared/numbers.js";
import { CONFIG, Plotly, chartLayout } from "../shared/plotly.js";
import { course, means, path } from "./datamap.js";
import { left } from "./filters.js";
import { later, numberOf } from "./room.js";
/** @import { TextTraining } from "../payloads.js" */
/** @import { Course } from "./datamap.js" */
/** @import { Room } from "./room.js" */

const HEIGHT = 190; // pixels; the style sheet has the same
const RESTING = 60; // ms on a point until its way is drawn
const EPOCHS = 20; // more are not all written below the axis
/** @param {number | null | undefined} value */
const said = (value) => (typeof value === "number" ? number(value) : "none");

/** @param {Element} box */
export function training(box) {
  const section = make("section", "af-tx-training", undefined, box), title = make("h3", "af-title", undefined, section), told = make("p", "af-note", undefined, section);
  section.setAttribute("aria-label", "How the training went");
  section.hidden = true;
  const row = make("div", "af-tx-courses", undefined, section);
  const charts = ["Accuracy", "Loss, in nats", "One text"].map((name) => {
    const figure = make("figure", "af-tx-course", undefined, row), head = make("figcaption", "", undefined, figure);
    make("strong", "", name, head);
    const says = make("span", "af-tx-quiet", "", head), chart = make("div", "af-tx-line", undefined, figure);
    chart.role = "img";
    return { name, says, chart };
  });
  const about = make("p", "af-tx-quiet", undefined, section);
  /** @type {Room | null} */
  let room = null;
  /** @type {TextTraining | null} */
  let known = null;
  /** @type {Course | null} */
  let all = null;
  let marked = -1, owed = false;

  /** @param {number} which @param {object[]} data @param {[number, number] | undefined} range @param {string} label */
  function line(which, data, range, label) {
    const { chart } = charts[which], width = chart.clientWidth, epochs = all?.epochs ?? [];
    const grid = { gridcolor: colour("--border-color-primary"), zeroline: false };
    chart.setAttribute("aria-label", label);
    const layout = chartLayout({
      width, height: HEIGHT, margin: { l: 38, r: 8, t: 8, b: 34 }, showlegend: false, hovermode: "x unified",
      xaxis: { ...grid, ...(epochs.length ? { range: [epochs[0] - 0.4, epochs[epochs.length - 1] + 0.4] } : {}), title: { text: "epoch", standoff: 4, font: { size: 12 } }, tickmode: epochs.length > EPOCHS ? "auto" : "array", tickvals: epochs, ticktext: epochs.map((epoch) => String(epoch + 1)) },
      yaxis: { ...grid, ...(range ? { range } : { rangemode: "tozero" }) },
    });
    return Plotly.react(chart, data, layout, { ...CONFIG, displayModeBar: false });
  }
  /** @param {string} name @param {(number | null)[]} y @param {string} hue @param {object} more */
  const trace = (name, y, hue, more) => ({
    type: "scatter", mode: "lines+markers", name: escape(name), x: all?.epochs, y, line: { color: hue, width: 2 }, marker: { color: hue, size: 6 },
    hovertemplate: "%{y:.3f}", ...more,
  });
  function drawCourses() {
    if (!room || !all) return;
    const { mask, selection, collection: { n } } = room, rows = left(mask, selection), some = rows.length < n;
    const whole = means(all, Array(n).keys()), slice = means(all, rows), quiet = colour("--body-text-color-subdued"), hue = colour("--color-accent");
    const names = [`all ${number(whole.n, 0)}`, `these ${number(slice.n, 0)}`];
    for (const [which, key, range] of /** @type {[number, "accuracy" | "loss", [number, number] | undefined][]} */ ([[0, "accuracy", [-0.03, 1.03]], [1, "loss", undefined]])) {
      const data = [trace(names[0], whole[key], some ? quiet : hue, some ? { line: { color: quiet, width: 2, dash: "dot" } } : {})];
      if (some) data.push(trace(names[1], slice[key], hue, {}));
      const last = [whole, slice].map((one) => said(one[key].at(-1)));
      charts[which].says.textContent = some ? `line: the ${number(slice.n, 0)} that are left; dotted: all ${number(whole.n, 0)}` : `of ${plural(whole.n, "text")}`;
      line(which, data, range, `${charts[which].name} by epoch; in the last one ${last[0]} of all texts${some ? `, ${last[1]} of those that are left` : ""}.`);
    }
  }
  function drawPath() {
    if (!room || !all) return;
    const there = marked >= 0 && marked < room.collection.n, hue = colour("--color-accent"), page = colour("--background-fill-primary");
    const { probability, right } = there ? path(all, marked) : { probability: [], right: [] };
    const recorded = probability.some((value) => value !== null), { says } = charts[2];
    if (!there) says.textContent = "point at one in a plot or in the table";
    else if (recorded) says.textContent = `no. ${numberOf(marked)}: probability of its label (full: right)`;
    else says.textContent = `no. ${numberOf(marked)} was not recorded`;
    const data = recorded ? [trace("probability of the label", probability, hue, { marker: { size: 9, color: right.map((on) => (on ? hue : page)), line: { color: hue, width: 2 } } })] : [];
    line(2, data, [-0.05, 1.05], recorded ? `Probability of the label of text ${numberOf(marked)} by epoch: ${probability.map(said).join(", ")}.` : says.textContent);
  }
  function draw() {
    owed = !row.clientWidth; // a hidden tab: drawn when it is shown
    if (owed || section.hidden) return;
    drawCourses();
    drawPath();
    section.dataset.drawn = String(Number(section.dataset.drawn ?? 0) + 1); // tells tests
  }
  const soon = later(0, draw), mark = later(RESTING, drawPath);
  let width = 0;
  const sizes = new ResizeObserver(() => {
    if (row.clientWidth === width) return;
    width = row.clientWidth;
    soon();
  });
  sizes.observe(row);
  return {
    /** @param {Room} now */
    show(now) {
      const { training } = now.collection;
      if (training !== known) { known = training; all = training && course(training); }
      if (room?.collection.texts !== now.collection.texts) marked = -1;
      room = now;
      section.hidden = !training;
      if (!training) return;
      const { recording, epochs, counted } = training;
      title.textContent = `How the training went: ${recording}`;
      told.textContent = `In the data map above each text lies by how surely (up) and how unsteadily (right) the model gave it its label over ${counted < epochs.length ? `the first ${counted} of ${epochs.length}` : number(epochs.length, 0)} epochs. Low on the left: look whether the label is right. Far right: what the model learns most from.`;
      about.textContent = training.about;
      about.hidden = !training.about;
      soon();
    },
    /** @param {number} row */
    mark(row) {
      if (row < 0 || row === marked || section.hidden) return; // the last one stays
      marked = row;
      mark();
    },
    leave() {
      sizes.disconnect();
      for (const { chart } of charts) Plotly.purge(chart);
    },
  };
}
