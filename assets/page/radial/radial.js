// @ts-check
// The radial view: rings of tokens around the decision, and what a selection lights.  This file brings the parts together:
// scene (what is shown), rings (at rest), highlight (lit), context, table, tour, pointer and keyboard.

import { make, makeSvg, part, parts } from "../shared/dom.js";
import * as link from "../shared/link.js";
import { panel } from "../shared/panel.js";
import { context as contextRing } from "./context.js";
import { cellCentre } from "./geometry.js";
import { ALL, Graph } from "./graph.js";
import { painter as painterOn } from "./highlight.js";
import { keyboard } from "./keyboard.js";
import { pointer } from "./pointer.js";
import * as rings from "./rings.js";
import { download, saveImage } from "./save.js";
import { Scene, nameOf } from "./scene.js";
import * as select from "./selection.js";
import { table as ringTable } from "./table.js";
import { tour as guidedTour } from "./tour.js";
import { zoom as zoomOf } from "./zoom.js";
/** @import { Download, Export, Lit, Radial, Selected, Selection } from "../payloads.js" */
/** @import { Gradio } from "../shared/panel.js" */
/** @import { Point } from "./geometry.js" */
/** @import { Selected as Candidates } from "./keyboard.js" */
/** @import { View } from "./scene.js" */
/** @import { Hit } from "./selection.js" */
/** @import { Projection } from "./zoom.js" */

/** @type {View[]} */
const VIEWS = ["a", "b", "both"];
const HELP = "Hover a word, or a square for one head; click to hold, drag along a ring for several, Shift-click a word of another ring for the paths between.";

const ABOVE = 470; // pixels of what stands above the rings and is to be seen with them
/**
 * How high the rings may be: all of them in sight at once, but never too small to be read, and never huge.
 * @param {Radial} data
 */
const heightFor = ({ models }) => Math.min(860, Math.max(window.innerHeight - ABOVE, 430 + 12 * Math.max(0, ...models.map(({ layers }) => layers - 6))));

/**
 * @param {HTMLElement} element
 * @param {Gradio} gradio
 */
export function mount(element, { props, trigger, watch }) {
  const chart = part(element, ".af-chart");
  /** @type {HTMLInputElement} */
  const named = part(element, ".af-names");
  /** @type {HTMLInputElement} */
  const differing = part(element, ".af-differing");
  /** @type {HTMLSelectElement} */
  const most = part(element, ".af-most");
  const box = part(element, ".af-radial"), stage = part(element, ".af-stage");
  const status = part(element, ".af-status"), legend = part(element, ".af-legend"), squares = part(element, ".af-squares"), note = part(element, ".af-warning");
  // What rests is in one layer, what is lit is painted in another: the page then only fades the first, and paints the second.
  const resting = makeSvg("svg", { class: "af-overlay af-resting" }), canvas = make("canvas", "af-overlay");
  chart.after(resting, canvas);
  const layers = { drawing: makeSvg("g", {}, resting), rings: makeSvg("g", {}, resting), tokens: makeSvg("g", { class: "af-labels" }, resting) };
  const painter = painterOn(canvas);
  /** @type {Radial | null} */
  let data = null;
  /** @type {Graph[]} */
  let graphs = [];
  /** @type {View} */
  let view = "both";
  /** @type {Scene} */
  let scene; // from the first drawing on
  /** @type {Projection | null} */
  let project = null;
  /** @type {Hit | null} */
  let hit = null;
  /** @type {Candidates} */
  const selected = { brush: null, hover: null, cursor: null, frozen: null }; // the first that is set is shown
  const current = () => selected.brush ?? selected.hover ?? selected.cursor ?? selected.frozen;

  // ---- drawing

  /**
   * Take a new figure: what is held stays if it still fits, with a first figure it comes from the link.
   * @param {Radial} next
   */
  function receive(next) {
    const first = !data, sameText = data?.text.join("\n") === next.text.join("\n");
    data = next;
    graphs = next.models.map((model) => new Graph(model, next.text));
    part(element, "[data-view]").parentElement?.toggleAttribute("hidden", graphs.length < 2);
    if (graphs.length < 2) view = "a";
    else if (first) view = VIEWS.find((name) => name === link.get("view")) ?? view;
    const held = first ? select.decode(link.get("select")) : sameText ? selected.frozen : null;
    Object.assign(selected, { brush: null, hover: null, cursor: null, frozen: held });
    showViews();
    tour.draw(next.tour);
  }

  /** @param {Radial} next */
  function draw(next) {
    const fresh = next !== data;
    if (fresh) receive(next);
    const width = box.clientWidth, height = Math.min(width, heightFor(next));
    chart.style.height = `${height}px`;
    scene = new Scene(next, graphs, view, width, height, lighting());
    for (const control of [differing, most]) control.closest("label")?.toggleAttribute("hidden", control === differing && !scene.comparing);
    if (fresh) {
      if (selected.frozen && !scene.fits(selected.frozen)) selected.frozen = null; // it came with a link, or belongs to deeper models
      link.set({ select: select.encode(selected.frozen) });
    }
    explain();
    context.draw(scene);
    table.draw(scene);
    rings.draw(layers.drawing, scene);
    place();
    chart.setAttribute("aria-label", `Attention flow of ${next.models.map((model) => model.name).join(" and ")}. Arrow keys move between words and rings, square brackets choose a head, Enter holds, Shift and Enter add, Escape clears. The table below holds the same.`);
  }

  /** Put drawing, names and highlight where the points now are: after drawing, and when the view is zoomed or moved. */
  function place() {
    if (!scene) return;
    project = zoom.now();
    layers.drawing.setAttribute("transform", project.transform);
    rings.names(layers, scene, project, named.checked);
    painter.prepare(scene, project);
    show();
  }

  /** What a selection lights, as the controls say. */
  const lighting = () => ({ most: most.value === "all" ? ALL : Number(most.value), differing: differing.checked });

  function explain() {
    legend.replaceChildren();
    squares.replaceChildren("A square is a head:");
    /**
     * @param {string} kind
     * @param {string} text
     * @param {Element} box
     */
    const entry = (kind, text, box) => { const item = make("span", "af-key", undefined, box); make("i", `af-swatch af-${kind}`, undefined, item); item.append(text); };
    if (scene.comparing) {
      entry("a", "only A", legend); entry("b", "only B", legend); entry("ab", "both", legend);
      entry("ab", "of both, left half A, right half B", squares);
      entry("shades", "the darker, the more words it attends to", squares);
    } else entry(nameOf(1 << scene.active[0]), "the darker, the more words it attends to", squares);
    entry("none", "attends to nothing above tau", squares);
    note.textContent = scene.endings();
    note.hidden = !note.textContent;
  }

  // ---- selecting

  /** Light what is selected, everywhere. */
  function show() {
    if (!project) return;
    const selection = current();
    hit = selection && scene.light(selection);
    stage.classList.toggle("af-lit", Boolean(hit));
    painter.paint(hit, selection);
    const held = selection && selection === selected.frozen ? "Held (Escape or a second click lets go): " : "";
    status.textContent = selection && hit ? held + select.describe(selection, hit, scene) + kept(selection) : HELP;
    context.light(hit);
    table.light(hit, selected.frozen);
  }

  /**
   * What of a selection is lit, in words; nothing if all of it is.
   * @param {Selection} selection
   */
  function kept(selection) {
    const { most: count, differing: only } = scene.lighting, few = count < ALL && select.isOne(selection, scene.graphs, scene.active);
    const lines = few ? (count === 1 ? "the strongest line of each word and model" : `the ${count} strongest lines of each word and model`) : "";
    const what = [lines, only ? "what differs" : ""].filter(Boolean).join(", and of these ");
    return what && ` Lit: ${what}.`;
  }

  /**
   * Hold a selection; the same one again lets go.
   * @param {Selection | null} selection
   */
  function hold(selection) {
    keep(selection && select.encode(selection) !== select.encode(selected.frozen) ? selection : null);
    const { frozen } = selected;
    if (!frozen) return;
    /** @type {Selected} */
    const told = {};
    if (frozen.head !== null) told.head = [scene.layerOf(frozen.ends[0].depth), frozen.head];
    if (frozen.ends.length === 1 && frozen.ends[0].tokens.length === 1) told.word = frozen.ends[0].tokens[0];
    if (Object.keys(told).length) tell("select", told);
  }

  /**
   * Hold a selection, whatever was held before.
   * @param {Selection | null} selection
   */
  function keep(selection) {
    selected.frozen = selection;
    link.set({ select: select.encode(selection) });
    show();
  }

  /**
   * Tell Python.
   * @type {((name: "select", data: Selected) => void) & ((name: "export", data: Export) => void)}
   */
  const tell = trigger;

  /**
   * Show one model or both, and hold a selection.
   * @param {View} which
   * @param {Selection | null} selection
   */
  function present(which, selection) {
    view = which;
    Object.assign(selected, { hover: null, cursor: null, frozen: selection });
    link.set({ view: view === "both" ? "" : view, select: select.encode(selection) });
    showViews();
    if (data) draw(data);
    const drawn = selection?.ends.every(({ depth, tokens }) => tokens.every((token) => scene.node(depth, token)));
    if (selection && !drawn) keep(null); // the models that are shown now do not have it
  }

  const context = contextRing(part(element, ".af-context"));
  const table = ringTable(part(element, ".af-table"), (depth, token, added) => hold(added ? select.extended(selected.frozen, depth, token) : select.one(depth, token)), (root) => hold(root));
  const tour = guidedTour(element, { view: () => view, show: present });
  const zoom = zoomOf(chart, parts(element, "[data-zoom]"), place);
  const tip = part(element, ".af-tip"), shared = { selected, scene: () => scene, show, hold };
  const leave = pointer(chart, tip, shared, point, zoom.move);
  keyboard(chart, shared);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    Object.assign(selected, { brush: null, hover: null, cursor: null });
    tip.hidden = true;
    hold(null);
    tour.end();
    zoom.reset();
  });

  /**
   * Where in the scene an event of the pointer is.
   * @param {{ clientX: number, clientY: number }} event
   * @returns {Point | null}
   */
  function point(event) {
    const area = chart.getBoundingClientRect();
    return project && [project.xBack(event.clientX - area.left), project.yBack(event.clientY - area.top)];
  }

  // ---- controls of the panel

  const views = parts(element, "[data-view]");
  function showViews() {
    for (const button of views) button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  for (const button of views) {
    button.addEventListener("click", () => present(VIEWS.find((name) => name === button.dataset.view) ?? "both", selected.frozen && { ...selected.frozen, model: null }));
  }
  named.checked = link.get("names") !== "0";
  named.addEventListener("change", () => {
    link.set({ names: named.checked ? "" : "0" });
    place();
  });
  most.value = [...most.options].find(({ value }) => value === link.get("strongest"))?.value ?? String(select.FEW);
  differing.checked = link.get("differing") === "1";
  for (const control of [most, differing]) {
    control.addEventListener("change", () => {
      link.set({ strongest: most.value === String(select.FEW) ? "" : most.value, differing: differing.checked ? "1" : "" });
      if (data) draw(data);
    });
  }
  for (const button of parts(element, "[data-save]")) button.addEventListener("click", () => save(button.dataset.save));
  /** @param {string} [kind] */
  function save(kind) {
    if (!data) return;
    if (kind === "html") tell("export", { kind, view, select: select.encode(selected.frozen), strongest: most.value, differing: differing.checked ? "1" : "", dark: document.body.classList.contains("dark") });
    else if (kind === "json" || kind === "csv") tell("export", { kind }); // exact numbers come from Python
    else if (kind === "png" || kind === "svg") {
      const selection = current();
      saveImage(kind, scene, selection && hit ? { selection, hit, told: select.describe(selection, hit, scene) + kept(selection) } : null).then(place);
    }
  }
  watch("selected", () => {
    /** @type {Lit | null} */
    const wanted = props.selected;
    if (wanted && scene) keep(scene.ofWord(wanted.word, wanted.head));
  });
  watch("download", () => {
    /** @type {Download | null} */
    const file = props.download;
    if (file) download(file.name, file.text);
  });

  /**
   * Where a token, or one head of it, lies in the window; null if it is not drawn.
   * @param {number} depth
   * @param {number} token
   * @param {number | null} head
   * @returns {Point | null}
   */
  const locate = (depth, token, head = null) => {
    const node = scene?.node(depth, token);
    if (!node || !project) return null;
    const [x, y] = head === null ? [node.x, node.y] : cellCentre(scene.rings[depth], node, head), area = chart.getBoundingClientRect();
    return [area.left + project.x(x), area.top + project.y(y)];
  };

  Object.assign(element, { locate, lit: () => painter.painted }); // what is painted as lit; both for tests

  showViews();
  panel({ props, trigger, watch }, box, { draw, leave });
}
