// The radial view: rings of tokens around the decision, and what a selection lights.  This file brings the parts together:
// scene (what is shown), rings (at rest), highlight (lit), context, table, tour, pointer and keyboard.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { Graph, Scene, rings, highlight, geometry, nameOf, selection: select, link, panel, make, makeSvg, Plotly, CONFIG } = Attnflow;
  // No picture by Plotly, which would lack names and highlight, and no box to zoom into, which a brush would fight with.
  const BUTTONS = { ...CONFIG, modeBarButtonsToRemove: [...CONFIG.modeBarButtonsToRemove, "toImage", "zoom2d"], doubleClick: "reset" };
  const HELP = "Hover a word, or a square for one head; click to hold, drag along a ring for several, Shift-click a word of another ring for the paths between.";

  Attnflow.radial = (element, gradio) => {
    const { props, trigger, watch } = gradio;
    const find = (name) => element.querySelector(name);
    const chart = find(".af-chart"), status = find(".af-status"), legend = find(".af-legend"), note = find(".af-warning"), stage = find(".af-stage"), named = find(".af-names");
    // Names rest in one layer, what is lit is painted in another: the page then only fades the first, and paints the second.
    const resting = makeSvg("svg", { class: "af-overlay af-resting" }), canvas = make("canvas", "af-overlay");
    chart.after(resting, canvas);
    const layers = { rings: makeSvg("g", {}, resting), tokens: makeSvg("g", { class: "af-labels" }, resting) };
    const painter = highlight.painter(canvas);
    let data = null, graphs = [], view = "both", scene = null, project = null, hit = null;
    const selected = { brush: null, hover: null, cursor: null, frozen: null }; // the first that is set is shown
    const current = () => selected.brush ?? selected.hover ?? selected.cursor ?? selected.frozen;

    // ---- drawing

    /** Take a new figure: what is held stays if it still fits, with a first figure it comes from the link. */
    function receive(next) {
      const first = !data, sameText = data?.text.join("\n") === next.text.join("\n");
      data = next;
      graphs = data.models.map((model) => new Graph(model, data.text));
      if (graphs.length < 2) view = "a";
      else if (first && ["a", "b"].includes(link.get("view"))) view = link.get("view");
      const held = first ? select.decode(link.get("select")) : sameText ? selected.frozen : null;
      Object.assign(selected, { brush: null, hover: null, cursor: null, frozen: held });
      showViews();
      tour.draw(data.tour);
    }

    async function draw(next, box) {
      const fresh = next !== data;
      if (fresh) receive(next);
      const width = box.clientWidth, height = Math.min(width, 860);
      chart.style.height = `${height}px`;
      scene = new Scene(data, graphs, view, width, height);
      if (fresh) {
        if (selected.frozen && !scene.fits(selected.frozen)) selected.frozen = null; // it came with a link, or belongs to deeper models
        link.set({ select: select.encode(selected.frozen) });
      }
      explain();
      context.draw(scene);
      table.draw(scene);
      const { data: traces, layout } = rings.figure(scene);
      await Plotly.react(chart, traces, layout, BUTTONS);
      if (!chart.dataset.wired) { wire(); place(); } // from now on plotly_afterplot calls it
      chart.setAttribute("aria-label", `Attention flow of ${data.models.map((model) => model.name).join(" and ")}. Arrow keys move between words and rings, square brackets choose a head, Enter holds, Shift and Enter add, Escape clears. The table below holds the same.`);
    }

    /** Plotly has drawn or zoomed: put names and highlight where the points now are. */
    function place() {
      const plot = chart._fullLayout?._plots?.xy;
      if (!plot || !scene) return;
      const { xaxis, yaxis } = plot;
      project = { x: (v) => xaxis.l2p(v), y: (v) => yaxis.l2p(v), xBack: (p) => xaxis.p2l(p), yBack: (p) => yaxis.p2l(p), zoom: Math.abs(xaxis.l2p(1) - xaxis.l2p(0)) };
      rings.names(layers, scene, project, named.checked);
      painter.prepare(scene, project);
      show();
    }

    function explain() {
      legend.replaceChildren();
      const entry = (kind, text) => { const item = make("span", "af-key", undefined, legend); make("i", `af-swatch af-${kind}`, undefined, item); item.append(text); };
      if (scene.comparing) { entry("a", "only A"); entry("b", "only B"); entry("ab", "both (left half of a square A, right half B)"); }
      else entry(nameOf(1 << scene.active[0]), "a head that attends to something: the darker, the more tokens");
      entry("none", "a head that attends to nothing above tau");
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
      status.textContent = selection ? held + select.describe(selection, hit, scene) : HELP;
      context.light(hit);
      table.light(hit, selected.frozen);
    }

    /** Hold a selection; the same one again lets go. */
    function hold(selection) {
      selected.frozen = selection && select.encode(selection) !== select.encode(selected.frozen) ? selection : null;
      const { frozen } = selected;
      link.set({ select: select.encode(frozen) });
      if (frozen && frozen.head !== null) trigger("head_select", { depth: frozen.ends[0].depth, head: frozen.head });
      show();
    }

    /** Show one model or both, and hold a selection. */
    function present(which, selection) {
      view = which;
      Object.assign(selected, { hover: null, cursor: null, frozen: selection });
      link.set({ view: view === "both" ? "" : view, select: select.encode(selection) });
      showViews();
      if (data) draw(data, box);
    }

    const context = Attnflow.context(find(".af-context"));
    const table = Attnflow.table(find(".af-table"), (depth, token, added) => hold(added ? select.extended(selected.frozen, depth, token) : select.one(depth, token)));
    const tour = Attnflow.tour(find(".af-tour"), { view: () => view, show: present });
    let leave = () => {};

    function wire() {
      chart.dataset.wired = "yes";
      chart.on("plotly_afterplot", place);
      chart.on("plotly_relayouting", place);
      const tip = find(".af-tip"), shared = { selected, scene: () => scene, show, hold };
      leave = Attnflow.pointer(chart, tip, { ...shared, point });
      Attnflow.keyboard(chart, shared);
      element.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        Object.assign(selected, { brush: null, hover: null, cursor: null });
        tip.hidden = true;
        hold(null);
        tour.end();
        Plotly.relayout(chart, { "xaxis.range": [-chart.clientWidth / 2, chart.clientWidth / 2], "yaxis.range": [-chart.clientHeight / 2, chart.clientHeight / 2] });
      });
    }

    /** Where in the scene an event of the pointer is. */
    function point(event) {
      const area = chart.getBoundingClientRect();
      return project && [project.xBack(event.clientX - area.left), project.yBack(event.clientY - area.top)];
    }

    // ---- controls of the panel

    const views = element.querySelectorAll("[data-view]");
    function showViews() {
      for (const button of views) button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    for (const button of views) button.addEventListener("click", () => present(button.dataset.view, null));
    named.addEventListener("change", place);
    for (const button of element.querySelectorAll("[data-save]")) button.addEventListener("click", () => save(button.dataset.save));
    function save(kind) {
      if (!data) return;
      if (kind === "html") Attnflow.save.page(element, props.value, { view, select: select.encode(selected.frozen) });
      else if (kind === "json" || kind === "csv") trigger("export", { kind }); // exact numbers come from Python
      else Attnflow.save.image(kind, scene, hit, current());
    }
    watch("download", () => props.download && Attnflow.save.download(props.download.name, props.download.text));

    /** Where a token, or one head of it, lies in the window; null if it is not drawn. */
    element.locate = (depth, token, head = null) => {
      const node = scene?.node(depth, token);
      if (!node || !project) return null;
      const [x, y] = head === null ? [node.x, node.y] : geometry.cellCentre(scene.rings[depth], node, head), area = chart.getBoundingClientRect();
      return [area.left + project.x(x), area.top + project.y(y)];
    };

    /** What is painted as lit: tokens as [depth, token, models], and how many lines and cells. */
    element.lit = () => painter.painted;

    showViews();
    const box = panel(element, { props, watch }, ".af-radial", { draw, leave: () => { leave(); Plotly.purge(chart); } });
  };
})();
