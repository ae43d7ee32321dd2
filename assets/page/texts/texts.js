// @ts-check
// A collection of texts: two scatter plots, filters, confusion matrices and a table, all of the same selection.
import { bytes } from "../shared/bytes.js";
import { make, part } from "../shared/dom.js";
import * as link from "../shared/link.js";
import { panel } from "../shared/panel.js";
import { download } from "../radial/save.js";
import { cells as cellsOf } from "./cells.js";
import { chips } from "./chips.js";
import { compact, defaults, expand, laidOut } from "./choices.js";
import { packed, unpack } from "./columns.js";
import { confusion } from "./confusion.js";
import { fulfilled, left } from "./filters.js";
import { layouts as layoutsOf } from "./layouts.js";
import { legend } from "./legend.js";
import { plot } from "./plot.js";
import { button, choice, fill, later } from "./room.js";
import { table } from "./table.js";
import { training } from "./training.js";
import { slice } from "./words.js";
/** @import { Collection, CollectionFile, Found, ReadyOrder } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */
/** @import { Mode } from "./gestures.js" */
/** @import { Acts, Room } from "./room.js" */

const FOLLOW = 400; // ms after a change until other parts of the page follow it
const PATIENCE = 8000; // ms until words are searched again that nobody has answered
const MODES = /** @type {[Mode, string, string][]} */ ([
  ["lasso", "Lasso", "Draw around points to select them; Shift adds"], ["box", "Box", "Draw a box over points to select them; Shift adds"], ["move", "Move", "Drag the plot; Ctrl and the wheel make it larger"],
]);

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, gradio) {
  const stage = part(element, ".af-texts");
  /** @type {Room | null} */
  let room = null;
  /** @type {Mode} */
  let mode = matchMedia("(pointer: coarse)").matches ? "" : "lasso"; // a finger scrolls the page until it is to draw
  /** What is left is counted anew, shown, and told. @param {boolean} filters or only the selection has changed */
  function changed(filters) {
    if (!room) return;
    count(room, filters);
    show();
    remember();
    follow();
  }
  /** @param {Room} now @param {boolean} filters */
  function count(now, filters) {
    const { collection: { n }, choices, columns, found } = now;
    if (filters) now.mask = fulfilled(n, choices.filters, columns, found);
    now.count = now.mask.reduce((sum, on) => sum + on, 0);
    now.selected = now.selection ? left(now.mask, now.selection).length : 0;
    if (!now.selected) now.selection = null; // what no filter leaves is not selected
  }
  const follow = later(FOLLOW, () => {
    if (!room) return;
    const { collection: { key }, columns, choices: { filters }, mask, selection, selected } = room;
    gradio.trigger("slice", { key, rows: packed(left(mask, selection)), told: slice(filters, columns, selected) });
  });
  const remember = later(200, () => {
    if (room) link.set({ map: compact(room.choices, defaults(room.collection, room.columns), room.columns) });
  });
  let searched = { text: "", at: -PATIENCE };
  /** Ask for words that are not searched yet, one after another: answers in one frame would overwrite each other. @param {Room} now */
  function search({ collection: { key }, choices: { filters }, found }) {
    for (const filter of filters) {
      if (!("text" in filter) || found.has(filter.text)) continue;
      const text = `${key} ${filter.text}`;
      if (searched.text === text && performance.now() - searched.at < PATIENCE) return;
      searched = { text, at: performance.now() };
      gradio.trigger("search", { key, text: filter.text });
      return;
    }
  }
  /** @type {Acts} */
  const acts = {
    filter(filters) {
      if (!room) return;
      room.choices.filters = filters;
      search(room);
      changed(true);
    },
    select(selection, add) {
      if (!room) return;
      const before = room.selection;
      room.selection = selection && add && before ? selection.map((on, row) => on | before[row]) : selection;
      changed(false);
    },
    colour(column) {
      if (!room) return;
      room.choices.colour = column;
      colours.show(room);
      for (const one of plots) one.show(room);
      remember();
    },
    own(index, colour) {
      if (!room) return;
      room.choices.own[index] = colour;
      plots[index].show(room);
      remember();
    },
    order(order) {
      if (!room) return;
      room.choices.order = order;
      showOrder(room);
      list.show(room);
      remember();
    },
    only(only) {
      if (!room) return;
      room.choices.only = only;
      list.show(room);
      remember();
    },
    plot(index, chosen) {
      if (!room) return;
      room.choices.plots[index] = chosen;
      plots[index].show(room);
      remember();
    },
    open(row) { if (room) gradio.trigger("open", { key: room.collection.key, row }); },
    point(row) { if (!list.point(row)) said.textContent = "This text is not in the chosen order."; },
    mark(row) {
      for (const one of plots) one.mark(row);
      courses.mark(row);
    },
    keep(kind) {
      if (!room) return;
      const { collection: { key }, columns, choices: { filters, order }, selected } = room, by = columns.get(order.column);
      const sorted = by ? `; ordered by ${by.title}, ${order.descending ? "largest" : "smallest"} first` : "";
      gradio.trigger("keep", { key, rows: packed(list.rows()), kind, settings: slice(filters, columns, selected) + sorted });
      said.textContent = `${list.told()} rows are being saved …`;
    },
    edit: (column) => bar.edit(column),
  };

  const bar = chips(stage, acts, () => /** @type {Room} */ (room));
  const map = make("section", "af-tx-map", undefined, stage), tools = make("div", "af-tx-bar", undefined, map), colours = legend(tools, acts);
  map.setAttribute("aria-label", "Map of the texts");
  const modes = make("span", "af-views", undefined, tools);
  modes.role = "group";
  modes.setAttribute("aria-label", "What a drag on a plot does");
  for (const [name, text, title] of MODES) {
    const press = button(text, modes, () => {
      mode = mode === name ? "" : name;
      drag();
    }, title);
    press.dataset.mode = name;
  }
  const unselect = button("Clear", modes, () => acts.select(null, false), "Select nothing (Escape)");
  unselect.setAttribute("aria-label", "Clear the selection");
  function drag() {
    for (const press of modes.querySelectorAll("button")) if (press !== unselect) press.setAttribute("aria-pressed", String(press.dataset.mode === mode));
    stage.dataset.mode = mode;
  }
  drag();
  const cells = cellsOf(gradio, () => { list.filled(); for (const one of plots) one.tell(); });
  const layouts = layoutsOf(gradio, () => { if (room) for (const one of plots) one.show(room); });
  const pair = make("div", "af-tx-plots", undefined, map), sources = { layouts, cells, mode: () => mode };
  const plots = [plot(pair, 0, acts, sources), plot(pair, 1, acts, sources)];
  const few = make("p", "af-note", undefined, map);
  const courses = training(stage), matrices = confusion(stage, acts);

  const below = make("section", "af-tx-list", undefined, stage), controls = make("div", "af-tx-bar", undefined, below);
  below.setAttribute("aria-label", "Table of the texts");
  const ready = choice("Order", controls, (name) => {
    const found = room?.collection.orders.find((order) => order.name === name);
    acts.order({ column: found?.column ?? "", descending: true, ready: found?.name ?? "" });
  });
  const onlyLabel = make("label", "af-check", undefined, controls), only = make("input", "", undefined, onlyLabel);
  only.type = "checkbox";
  make("span", "", "only selected", onlyLabel);
  only.addEventListener("change", () => acts.only(only.checked));
  const saves = make("span", "af-tx-bar af-tx-saves", undefined, controls);
  button("Save as CSV", saves, () => acts.keep("csv"));
  button("Save as Parquet", saves, () => acts.keep("parquet"));
  button("Save names", saves, () => acts.keep("json"), "Names and rows of these texts as JSON, for datasets.Dataset.select");
  const said = make("p", "af-tx-quiet af-tx-told", undefined, below);
  said.role = "status";
  const list = table(below, acts, cells);

  /** @param {Room} now */
  function showOrder({ collection: { orders }, columns, choices: { order } }) {
    const found = orders.find(({ name }) => name === order.ready), by = columns.get(order.column);
    /** @type {[string, string][]} */
    const options = [["", by && !found ? `by ${by.title}` : "as they come"], ...orders.map(({ name, title }) => /** @type {[string, string]} */ ([name, title]))];
    fill(ready, options, order.ready);
    said.textContent = found?.sentence ?? "";
  }
  function show() {
    if (!room) return;
    list.show(room);
    bar.show(room);
    matrices.show(room);
    colours.show(room);
    unselect.disabled = !room.selection;
    only.checked = room.choices.only;
    onlyLabel.hidden = !room.selection;
    for (const one of plots) one.show(room);
    courses.show(room);
  }
  /** @param {Collection} collection */
  function draw(collection) {
    const columns = unpack(collection.columns), again = room?.collection.key === collection.key, same = room?.collection.texts === collection.texts;
    const told = room ? compact(room.choices, defaults(room.collection, room.columns), room.columns) : link.get("map");
    const choices = expand(told, collection, columns), dark = document.body.classList.contains("dark");
    if (again && collection.training && !room?.collection.training) ({ plots: [choices.plots[0]], own: [choices.own[0]] } = defaults(collection, columns)); // it was asked for
    if (!again) { layouts.reset(collection, same); cells.reset(collection.key, same); }
    room = {
      collection, columns, choices, dark, mask: new Uint8Array(), count: 0, selection: (same && room?.selection) || null, selected: 0,
      found: (same && room?.found) || new Map(), painted: new Map(), opened: opened(),
    };
    few.hidden = laidOut(collection);
    few.textContent = collection.n < 3 ? "Fewer than 3 texts cannot be laid out; two columns can be drawn." : "No projection is installed; two columns can be drawn.";
    showOrder(room);
    count(room, true);
    show();
    showReady();
    search(room);
    if (choices.filters.length) follow();
  }
  /** The theme or the width is another one. */
  function redraw() {
    if (!room) return;
    room.dark = document.body.classList.contains("dark");
    room.painted.clear();
    show();
  }
  /** @returns {number | null} */
  const opened = () => gradio.props.opened ?? null;

  stage.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && room?.selection) acts.select(null, false);
  });
  gradio.watch("found", () => {
    /** @type {Found | null | undefined} */
    const found = gradio.props.found;
    if (!room || !found || found.key !== room.collection.key) return;
    room.found.set(found.text, bytes(found.rows));
    search(room);
    changed(true);
  });
  let readied = 0; // when the order that was asked for last was made
  /** Show the order that was asked for, once the collection has it. */
  function showReady() {
    /** @type {ReadyOrder | null | undefined} */
    const ready = gradio.props.ready, order = room?.collection.orders.find(({ name }) => name === ready?.name);
    if (!ready || !order || ready.at === readied) return;
    readied = ready.at;
    acts.order({ column: order.column, descending: true, ready: order.name });
  }
  gradio.watch("ready", showReady);
  let saved = 0; // when the file that was saved last was made
  gradio.watch("download", () => {
    /** @type {CollectionFile | null | undefined} */
    const file = gradio.props.download;
    if (!file || file.at === saved) return;
    saved = file.at;
    download(file.name, file.base64 === undefined ? file.text ?? "" : `data:application/octet-stream;base64,${file.base64}`);
    said.textContent = `${file.name} is saved.`;
  });
  gradio.watch("opened", () => {
    if (!room) return;
    room.opened = opened();
    list.show(room);
  });
  panel(gradio, stage, { draw, redraw, leave: () => { for (const one of [...plots, courses]) one.leave(); } });
}
