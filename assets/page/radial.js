// The radial view: rings of tokens around the decision.  Plotly draws rings and head cells and does zoom; labels and
// highlights are an overlay that is painted in a few milliseconds.  See graph.js, geometry.js and selection.js.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { Graph, geometry, selection: select, link, panel, make, makeSvg, chartLayout, colour, Plotly, CONFIG } = Attnflow;
  const CLASSES = ["a", "b", "ab"]; // only A, only B, shared
  const FAINT = [0.16, 0.42, 0.85]; // opacity of a line by its strongest attention
  const faint = (strength) => (strength < 51 ? 0 : strength < 128 ? 1 : 2); // below 0.2, below 0.5, above

  Attnflow.radial = (element, gradio) => {
    const { props, trigger, watch } = gradio;
    const find = (name) => element.querySelector(name);
    const chart = find(".af-chart"), status = find(".af-status"), tip = find(".af-tip"), legend = find(".af-legend");
    const note = find(".af-warning"), stage = find(".af-stage"), names = find(".af-names"), table = find(".af-table"), context = find(".af-context"), tour = find(".af-tour");
    // Names rest in one layer, what is lit is painted in another: the page then only fades the first, and draws the second.
    const resting = makeSvg("svg", { class: "af-overlay af-resting" }), overlay = makeSvg("svg", { class: "af-overlay" });
    chart.after(resting, overlay);
    const linePaths = CLASSES.map((name) => FAINT.map((opacity) => makeSvg("path", { class: `af-edges af-${name}`, "stroke-opacity": opacity }, overlay)));
    const cellPaths = CLASSES.map((name) => makeSvg("path", { class: `af-lit-cells af-${name}` }, overlay));
    const ringNames = makeSvg("g", {}, resting), labels = makeSvg("g", { class: "af-labels" }, resting), litLabels = makeSvg("g", { class: "af-lit-labels" }, overlay);
    let data, graphs = [], view = "both", rings = [], second = [], project = null;
    let hover = null, cursor = null, frozen = null, brush = null; // selections; the first that is set is shown
    let shapes = new Map(); // "depth token" -> { label, text, models, cells }, what is drawn of a token
    let hit = null; // what is lit

    // ---- what is shown

    const active = () => (view === "a" ? [0] : view === "b" ? [1] : graphs.map((_, i) => i)).filter((i) => graphs[i]);
    const comparing = () => active().length > 1;
    const maxHeads = () => Math.max(...active().map((i) => graphs[i].heads));
    const last = () => rings.length - 1;
    const current = () => brush?.selection ?? hover ?? cursor ?? frozen;

    /** Sets of models are bits: 1 only A, 2 only B, 3 both. */
    const nameOf = (models) => CLASSES[models - 1];
    const modelsWith = (test) => active().reduce((models, i) => models | (test(graphs[i]) ? 1 << i : 0), 0);
    const modelsAt = (depth, token) => modelsWith((graph) => graph.inRing[depth]?.[token]);

    function ringTokens() {
      const depth = Math.max(...active().map((i) => graphs[i].layers));
      return Array.from({ length: depth + 1 }, (_, d) => data.text.map((_, token) => token).filter((token) => modelsAt(d, token)));
    }

    /** Tokens of the second sentence and the special tokens after it run counter-clockwise. */
    function secondHalf() {
      const start = data.sentence.indexOf(1);
      return data.text.map((_, token) => start >= 0 && token >= start);
    }

    /** Say something of each model's layer in front of a ring (0 is the input), once where all models agree. */
    function byLayer(depth, say) {
      const layers = active().map((i) => [i, graphs[i].layers - depth]).filter(([, layer]) => layer >= 0);
      const same = new Set(active().map((i) => graphs[i].layers)).size === 1;
      return same ? say(layers[0][1]) : layers.map(([i, layer]) => `${"AB"[i]} ${say(layer)}`).join(" · ");
    }

    const layerName = (depth) => byLayer(depth, (layer) => `L${layer}`);
    const ringName = (depth) => (depth ? byLayer(depth, (layer) => (layer ? `after L${layer}` : "input")) : "output");

    // ---- drawing

    /** Rings, and the ticks where the sentences meet. */
    function traces() {
      const line = (points, options) => ({ type: "scatter", mode: "lines", hoverinfo: "skip", ...points, ...options });
      const circles = { x: [], y: [] }, ticks = { x: [], y: [] };
      for (const { r, band, meet, depth } of rings) {
        if (!depth) continue;
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

    /** Cells and sparklines, one shape for each colour: as points of a trace they would take Plotly many times as long. */
    function cellShapes() {
      const paths = new Map();
      const put = (key, corners) => paths.set(key, `${paths.get(key) ?? ""}M${corners.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`);
      for (const ring of rings) {
        for (const node of ring.nodes.values()) {
          forHeads(ring, node, (head, models, most) => {
            const key = models ? `${models} ${comparing() ? 4 : strength(most)}` : "none";
            for (const half of models === 3 ? [0, 1] : [null]) put(key, geometry.cellCorners(ring, node, head, half));
          });
          for (const [models, spikes] of geometry.sparklineWidth(ring) ? sparks(ring, node) : []) {
            const sparkline = geometry.sparkline(ring, node, spikes);
            put("none", sparkline.line);
            for (const corners of sparkline.spikes) put(`${models} 4`, corners);
          }
        }
      }
      return [...paths].map(([key, path]) => {
        const [models, level] = key.split(" ");
        return {
          type: "path", path, line: { width: 0 },
          fillcolor: colour(key === "none" ? "--border-color-primary" : `--af-${nameOf(models)}`),
          opacity: key === "none" ? 0.55 : [0, 0.35, 0.55, 0.78, 1][level],
        };
      });
    }

    const strength = (tokens) => (tokens < 2 ? 1 : tokens < 4 ? 2 : tokens < 8 ? 3 : 4);

    /** Call back with each head of a token that has cells: which models attend with it, and to how many tokens at most. */
    function forHeads(ring, { token }, callback) {
      if (!ring.cell || ring.depth === last()) return; // what enters the first layer attends to nothing
      const counts = active().filter((i) => graphs[i].inRing[ring.depth]?.[token]).map((i) => [i, graphs[i].attends(ring.depth, token)]);
      for (let head = 0; head < maxHeads(); head++) {
        let models = 0, most = 0;
        for (const [i, heads] of counts) if (heads[head]) { models |= 1 << i; most = Math.max(most, heads[head]); }
        callback(head, models, most);
      }
    }

    /** From where a token is attended to, and by how many heads: by models, lists of [offset, heads]. */
    function sparks(ring, node) {
      const at = new Map(); // attending token -> [models, heads]
      for (const i of active()) {
        const graph = graphs[i];
        for (const e of graph.attendersOf(ring.depth, node.token)) {
          const [models, heads] = at.get(graph.query[e]) ?? [0, 0];
          at.set(graph.query[e], [models | (1 << i), Math.max(heads, graph.headsOf(e).length)]);
        }
      }
      const groups = new Map();
      for (const [query, [models, heads]] of at) {
        if (!groups.has(models)) groups.set(models, []);
        groups.get(models).push([(query - node.token) / Math.max(1, data.text.length - 1), heads]);
      }
      return groups;
    }

    function fits({ ends, head }) {
      const depths = Math.max(...active().map((i) => graphs[i].layers));
      return ends.every(({ depth, tokens }) => depth <= depths && tokens.every((token) => token < data.text.length)) && (head === null || head < maxHeads());
    }

    const textKey = () => data.text.join("\n");

    async function draw(next, box) {
      if (next !== data) {
        const first = !data, before = data && textKey();
        data = next;
        graphs = data.models.map((model) => new Graph(model, data.text));
        if (graphs.length < 2) view = "a";
        hover = cursor = brush = null;
        if (first) [view, frozen] = [graphs.length > 1 && ["a", "b"].includes(link.get("view")) ? link.get("view") : view, select.decode(link.get("select"))];
        else if (before !== textKey()) frozen = null; // a held token stays when only tau has changed
        if (frozen && !fits(frozen)) frozen = null; // it came with a link, or belongs to deeper models
        link.set({ select: code(frozen) });
        showViews();
        beforeTour = null;
        drawTour();
      }
      const width = box.clientWidth, height = Math.min(width, 860);
      chart.style.height = `${height}px`;
      second = secondHalf();
      rings = geometry.layout(ringTokens(), second, maxHeads(), Math.min(width, height) / 2 - 18);
      await Plotly.react(chart, traces(), figureLayout(width, height), { ...CONFIG, doubleClick: "reset" });
      if (!chart.dataset.wired) wire();
      place();
      explain();
      drawContext();
      chart.setAttribute("aria-label", `Attention flow of ${data.models.map((model) => model.name).join(" and ")}. Arrow keys move between words and rings, square brackets choose a head, Enter holds, Shift and Enter add, Escape clears. The table below holds the same.`);
    }

    function figureLayout(width, height) {
      const axis = { visible: false, zeroline: false, showgrid: false };
      return chartLayout({
        showlegend: false, hovermode: false, dragmode: matchMedia("(pointer: coarse)").matches ? false : "pan",
        width, height, margin: { l: 0, r: 0, t: 0, b: 0 }, shapes: cellShapes(),
        xaxis: { ...axis, range: [-width / 2, width / 2] }, yaxis: { ...axis, range: [-height / 2, height / 2], scaleanchor: "x" },
      });
    }

    /** Plotly has drawn or zoomed: put the overlay where the points now are. */
    function place() {
      const plot = chart._fullLayout?._plots?.xy;
      if (!plot || !rings.length) return;
      const { xaxis, yaxis } = plot, zoom = Math.abs(xaxis.l2p(1) - xaxis.l2p(0));
      project = { x: (v) => xaxis.l2p(v), y: (v) => yaxis.l2p(v), xBack: (p) => xaxis.p2l(p), yBack: (p) => yaxis.p2l(p) };
      labels.replaceChildren();
      ringNames.replaceChildren();
      shapes = new Map();
      for (const ring of rings) {
        if (ring.depth) {
          const name = makeSvg("text", { class: "af-ring-name", x: project.x(0), y: project.y(ring.r - 0.42 * ring.band), "font-size": Math.max(7, 0.8 * ring.font) }, ringNames);
          name.textContent = byLayer(ring.depth, (layer) => (layer ? `L${layer}` : "input"));
        }
        const room = (ring.depth ? ring.arc : 4 * ring.band) * zoom - 4;
        const every = Math.ceil((3.2 * 0.56 * ring.font) / Math.max(room, 1)); // in a crowded ring only some are named
        let index = 0;
        for (const node of ring.nodes.values()) {
          const named = names.checked && index++ % every === 0, models = modelsAt(ring.depth, node.token);
          const text = named ? geometry.fit(data.text[node.token], room * every, ring.font) : "";
          shapes.set(`${ring.depth} ${node.token}`, { label: label(ring, node, text, models), text, models, cells: null });
        }
      }
      paint();
    }

    const degrees = (ring, node) => (ring.depth ? (node.angle * 180) / Math.PI + (node.flip < 0 ? 180 : 0) : 0);

    /** A token's name on its ring, or a dot where there is no room for it. */
    function label(ring, node, text, models) {
      const quiet = data.sentence[node.token] < 0 && ring.depth ? " af-quiet" : "";
      const shape = makeSvg(text ? "text" : "circle", {
        "data-at": `${ring.depth} ${node.token}`, class: `af-${nameOf(models)}${quiet}`,
        transform: `translate(${project.x(node.x).toFixed(1)} ${project.y(node.y).toFixed(1)}) rotate(${degrees(ring, node).toFixed(1)})`,
        ...(text ? { "font-size": ring.font, dy: "0.32em" } : { r: 1.6 }),
      }, labels);
      if (text) shape.textContent = text;
      return shape;
    }

    const svgPath = (corners) => `M${corners.map(([x, y]) => `${project.x(x).toFixed(1)} ${project.y(y).toFixed(1)}`).join("L")}Z`;

    /** SVG paths of a token's head cells; made when first needed. */
    function cellsOf(ring, node) {
      const shape = shapes.get(`${ring.depth} ${node.token}`);
      if (!shape.cells) {
        shape.cells = [];
        forHeads(ring, node, (head) => shape.cells.push(svgPath(geometry.cellCorners(ring, node, head))));
      }
      return shape.cells;
    }

    function lineEnds([depth, from, to]) {
      const inner = rings[depth - 1].nodes.get(from), outer = rings[depth].nodes.get(to);
      return [rings[depth - 1].cell ? geometry.glyphCentre(rings[depth - 1], inner) : [inner.x, inner.y], [outer.x, outer.y]];
    }

    // ---- highlighting

    /** Lines that end at the selection are strong, those further away only hint. */
    function levelOf([depth, , , , strength], { ends }) {
      const near = ends.length > 1 || ends.some((end) => depth === end.depth || depth === end.depth + 1);
      return near ? Math.max(1, faint(strength)) : 0;
    }

    function paint() {
      if (!project) return;
      const selection = current();
      hit = selection && select.lit(selection, graphs, active(), rings.length, data.text.length, maxHeads());
      stage.classList.toggle("af-lit", Boolean(hit));
      litLabels.replaceChildren();
      const lines = CLASSES.map(() => FAINT.map(() => "")), cells = ["", "", ""];
      for (const line of hit?.lines ?? []) {
        const [[x1, y1], [x2, y2]] = lineEnds(line);
        lines[line[3] - 1][levelOf(line, selection)] += `M${project.x(x1).toFixed(1)} ${project.y(y1).toFixed(1)}L${project.x(x2).toFixed(1)} ${project.y(y2).toFixed(1)}`;
      }
      if (hit) for (const ring of rings) for (const node of ring.nodes.values()) light(ring, node, cells);
      litLabels.classList.toggle("af-crowded", litLabels.childElementCount > 200); // bold text takes longer to draw
      linePaths.forEach((group, i) => group.forEach((path, level) => path.setAttribute("d", lines[i][level])));
      cellPaths.forEach((path, i) => path.setAttribute("d", cells[i]));
      tell(selection);
      lightContext();
      lightTable();
    }

    /** Light a token in the colours of the models that reach it, with the heads that carry lit edges. */
    function light(ring, node, cells) {
      const models = hit.nodes[ring.depth][node.token];
      if (!models) return;
      const label = shapes.get(`${ring.depth} ${node.token}`).label.cloneNode(true);
      label.dataset.lit = nameOf(models);
      litLabels.append(label);
      const at = node.token * maxHeads();
      cellsOf(ring, node).forEach((path, head) => {
        const carried = hit.cells[ring.depth][at + head];
        if (carried) cells[carried - 1] += path;
      });
    }

    function tell(selection) {
      if (!selection) { status.textContent = "Hover a word, or a square for one head; click to hold, drag along a ring for several, Shift-click a word of another ring for the paths between."; return; }
      const held = frozen && selection === frozen ? "Held (Escape lets go): " : "";
      status.textContent = held + select.describe(selection, hit, { graphs, active: active(), text: data.text, layerName, ringName, last: last() });
    }

    function explain() {
      legend.replaceChildren();
      const entry = (kind, text) => { const item = make("span", "af-key", undefined, legend); make("i", `af-swatch af-${kind}`, undefined, item); item.append(text); };
      if (comparing()) { entry("a", "only A"); entry("b", "only B"); entry("ab", "both (left half of a square A, right half B)"); }
      else entry(CLASSES[active()[0]], "a head that attends to something: the darker, the more tokens");
      entry("none", "a head that attends to nothing above tau");
      const ended = active().map((i) => [i, graphs[i].inRing.findIndex((ring) => !Attnflow.count(ring))]).filter(([, depth]) => depth > 0);
      note.textContent = ended.map(([i, depth]) => `${graphs.length > 1 ? `Model ${"AB"[i]}` : "The graph"} ends at L${graphs[i].layers - depth + 1}: no head there attends to anything above tau = ${data.tau}. Lower tau to see more.`).join(" ");
      note.hidden = !ended.length;
    }

    // ---- the sentence-context ring: the angle is the place in the sentence, in every ring

    function drawContext() {
      context.replaceChildren();
      const svg = makeSvg("svg", { viewBox: "-60 -60 120 120", role: "img", "aria-label": "Where the words of each ring stand in the sentences" }, context);
      const everything = data.text.map((_, token) => token);
      const full = geometry.layout(rings.map(() => everything), second, 1, 56);
      rings.forEach((ring, d) => {
        if (!d) return;
        makeSvg("circle", { r: full[d].r, class: "af-orbit" }, svg);
        for (const token of ring.nodes.keys()) {
          const { x, y } = full[d].nodes.get(token);
          makeSvg("circle", { cx: x.toFixed(1), cy: (-y).toFixed(1), r: 1.7, class: `af-${nameOf(modelsAt(d, token))}`, "data-place": `${d} ${token}` }, svg);
        }
      });
      lightContext();
    }

    function lightContext() {
      context.classList.toggle("af-lit", Boolean(hit));
      for (const dot of context.querySelectorAll("[data-place]")) {
        const [depth, token] = dot.dataset.place.split(" ");
        dot.classList.toggle("af-on", Boolean(hit?.nodes[depth][token]));
      }
    }

    // ---- the same as a table, for keyboard and screen reader

    function fillTable() {
      const body = table.querySelector("tbody");
      body.replaceChildren();
      for (const ring of rings) {
        const row = make("tr", "", undefined, body);
        make("th", "", ringName(ring.depth), row).scope = "row";
        const cell = make("td", "", undefined, row);
        for (const token of [...ring.nodes.keys()].sort((p, q) => p - q)) {
          const models = modelsAt(ring.depth, token), button = make("button", `af-token-button af-${nameOf(models)}`, data.text[token], cell);
          button.type = "button";
          button.dataset.row = `${ring.depth} ${token}`;
          const attention = active().filter((i) => models & (1 << i)).map((i) => {
            const pairs = graphs[i].attendersOf(ring.depth, token).reduce((sum, e) => sum + graphs[i].headsOf(e).length, 0);
            return `${graphs.length > 1 ? `${"AB"[i]}: ` : ""}attended to by ${select.plural(pairs, "head")}`;
          });
          button.title = attention.join(", ");
          button.addEventListener("click", (event) => hold(event.shiftKey ? select.extended(frozen, ring.depth, token) : select.one(ring.depth, token)));
        }
      }
      lightTable();
    }

    function lightTable() {
      if (!table.open) return;
      for (const button of table.querySelectorAll("[data-row]")) {
        const [depth, token] = button.dataset.row.split(" ").map(Number);
        button.classList.toggle("af-on", Boolean(hit?.nodes[depth]?.[token]));
        button.setAttribute("aria-pressed", String(Boolean(frozen?.ends.some((end) => end.depth === depth && end.tokens.includes(token)))));
      }
    }

    // ---- mouse and keyboard

    const code = select.encode;

    /** The selection at a point: a token, or one of its heads. A half of a split cell stands for one model; with Shift for both. */
    function at(event) {
      if (!project) return null;
      const box = chart.getBoundingClientRect();
      const found = geometry.hit(rings, maxHeads(), project.xBack(event.clientX - box.left), project.yBack(event.clientY - box.top));
      if (!found) return null;
      if (found.head === null || found.depth === last()) return select.one(found.depth, found.token);
      let models = 0;
      forHeads(rings[found.depth], { token: found.token }, (head, with_) => { if (head === found.head) models = with_; });
      const model = !comparing() || !models || (models === 3 && event.shiftKey) ? null : models === 3 ? found.half : models - 1;
      return select.one(found.depth, found.token, found.head, model);
    }

    /** Hold a selection; the same one again lets go. */
    function hold(selection) {
      frozen = selection && code(selection) !== code(frozen) ? selection : null;
      link.set({ select: code(frozen) });
      if (frozen && frozen.head !== null) trigger("head_select", { depth: frozen.ends[0].depth, head: frozen.head });
      paint();
    }

    function startBrush(event, found) {
      const { depth, tokens: [token] } = found.ends[0];
      brush = { depth, start: token, base: event.shiftKey ? frozen : null, selection: null, x: event.clientX, y: event.clientY };
    }

    /** Tokens from where the brush started to where it is, along the shorter way round the ring. */
    function moveBrush(event) {
      const ring = rings[brush.depth], box = chart.getBoundingClientRect();
      if (!brush.selection && Math.hypot(event.clientX - brush.x, event.clientY - brush.y) < 5) return;
      const angle = Math.atan2(project.xBack(event.clientX - box.left), project.yBack(event.clientY - box.top));
      const order = clockwise(ring), size = order.length, from = order.indexOf(brush.start);
      const to = nearest(ring, order, angle), way = (to - from + size) % size;
      const tokens = way <= size / 2 ? Array.from({ length: way + 1 }, (_, i) => order[(from + i) % size]) : Array.from({ length: size - way + 1 }, (_, i) => order[(from - i + size) % size]);
      const end = { depth: brush.depth, tokens: tokens.sort((p, q) => p - q) };
      const other = brush.base?.ends.find(({ depth }) => depth !== brush.depth);
      brush.selection = { ends: other ? [other, end] : [end], head: null, model: null };
      tip.hidden = true;
      paint();
    }

    const clockwise = (ring) => [...ring.right, ...[...ring.left].reverse()];
    const nearest = (ring, order, angle) => order.reduce((best, token, i) => (Math.cos(ring.nodes.get(token).angle - angle) > Math.cos(ring.nodes.get(order[best]).angle - angle) ? i : best), 0);

    function wire() {
      chart.dataset.wired = "yes";
      chart.on("plotly_afterplot", place);
      chart.on("plotly_relayouting", place);
      let pressed = null;
      const show = (event) => {
        const found = at(event);
        cursor = null;
        showTip(found, event); // before painting: it asks for sizes
        if (code(found) !== code(hover)) { hover = found; paint(); }
      };
      chart.addEventListener("pointermove", (event) => {
        if (event.pointerType === "touch" || brush || event.buttons) return;
        show(event);
      });
      chart.addEventListener("pointerleave", () => { if (brush) return; hover = null; tip.hidden = true; paint(); });
      const shift = (event) => { if (event.key === "Shift" && hover?.head !== null && hover && lastMove) show({ ...lastMove, shiftKey: event.type === "keydown" }); };
      let lastMove = null;
      chart.addEventListener("pointermove", ({ clientX, clientY }) => { lastMove = { clientX, clientY }; });
      chart.addEventListener("pointerdown", (event) => {
        pressed = [event.clientX, event.clientY];
        const found = at(event);
        if (found && found.head === null && event.pointerType === "mouse" && event.button === 0) startBrush(event, found);
      }, true);
      // A press on a word starts a brush; elsewhere Plotly pans.
      chart.addEventListener("mousedown", (event) => { if (brush) event.stopPropagation(); }, true);
      const move = (event) => { if (brush) moveBrush(event); };
      const up = (event) => {
        if (!pressed) return;
        const moved = Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4, brushed = brush?.selection;
        pressed = brush = null;
        if (brushed) { hover = null; frozen = null; hold(brushed); return; }
        if (moved || event.target.closest?.(".modebar") || !(chart.contains(event.target) || event.target.closest?.(".dragcover"))) return;
        hover = null;
        chart.focus({ preventScroll: true });
        const found = at(event);
        hold(found && event.shiftKey && found.head === null ? select.extended(frozen, found.ends[0].depth, found.ends[0].tokens[0]) : found);
      };
      const page = { pointermove: move, keydown: shift, keyup: shift };
      for (const [name, listener] of Object.entries(page)) window.addEventListener(name, listener);
      window.addEventListener("pointerup", up, true);
      leave = () => { for (const [name, listener] of Object.entries(page)) window.removeEventListener(name, listener); window.removeEventListener("pointerup", up, true); };
      chart.addEventListener("keydown", key);
      element.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        cursor = hover = brush = null;
        tip.hidden = true;
        hold(null);
        endTour();
        Plotly.relayout(chart, { "xaxis.range": [-chart.clientWidth / 2, chart.clientWidth / 2], "yaxis.range": [-chart.clientHeight / 2, chart.clientHeight / 2] });
      });
      chart.addEventListener("blur", () => { cursor = null; paint(); });
    }
    let leave = () => {};

    function showTip(found, event) {
      tip.hidden = !found;
      chart.style.cursor = found ? "pointer" : "";
      if (!found) return;
      const { head, model, ends: [{ tokens: [token] }] } = found;
      const piece = data.piece[token] !== data.text[token] ? `  (${data.piece[token]})` : "";
      tip.textContent = `${data.text[token]}${head === null ? "" : ` · H${head + 1}${model === null ? "" : ` of ${"AB"[model]}`}`}${piece}`;
      const box = chart.getBoundingClientRect();
      tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 4)}px`;
      tip.style.top = `${event.clientY - box.top + 16 + chart.offsetTop}px`;
    }

    function key(event) {
      const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };
      if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        const chosen = cursor;
        cursor = null;
        if (chosen) hold(event.shiftKey ? select.extended(frozen, chosen.ends[0].depth, chosen.ends[0].tokens[0]) : chosen);
        return;
      }
      const from = cursor ?? (frozen && frozen.ends.length === 1 ? frozen : select.one(0, [...rings[0].nodes.keys()][0]));
      if (event.key === "[" || event.key === "]") cursor = nextHead(from, event.key === "]" ? 1 : -1);
      else if (moves[event.key]) cursor = step(from, ...moves[event.key]);
      else return;
      event.preventDefault();
      hover = null;
      paint();
    }

    function nextHead({ ends: [{ depth, tokens: [token] }], head }, way) {
      if (depth === last()) return select.one(depth, token);
      const heads = maxHeads() + 1, next = ((head === null ? -1 : head) + 1 + way + heads) % heads - 1;
      return select.one(depth, token, next < 0 ? null : next);
    }

    function step({ ends: [{ depth, tokens: [token] }] }, outwards, along) {
      const target = Math.max(0, Math.min(last(), depth + outwards)), ring = rings[target], order = clockwise(ring);
      if (!order.length) return select.one(depth, token);
      if (target !== depth) return select.one(target, order[nearest(ring, order, rings[depth].nodes.get(token)?.angle ?? 0)]);
      return select.one(depth, order[(order.indexOf(token) + along + order.length) % order.length]);
    }

    // ---- controls of the panel

    /** Where a token, or one head of it, lies in the window; null if it is not drawn. */
    element.locate = (depth, token, head = null) => {
      const ring = rings[depth], node = ring?.nodes.get(token);
      if (!node || !project) return null;
      const [x, y] = head === null ? [node.x, node.y] : geometry.cellCentre(ring, node, head), area = chart.getBoundingClientRect();
      return [area.left + project.x(x), area.top + project.y(y)];
    };

    /** Show one model or both, and hold a selection. */
    element.show = (which, selection) => {
      view = which;
      hover = cursor = null;
      frozen = selection;
      link.set({ view: view === "both" ? "" : view, select: code(frozen) });
      showViews();
      if (data) draw(data, box);
    };

    let beforeTour = null; // the view to go back to

    function endTour() {
      const back = beforeTour;
      beforeTour = null;
      drawTour();
      if (back && back !== view) element.show(back, null);
    }

    /** The steps of the guided tour; each shows a model and holds a selection. */
    function drawTour() {
      const steps = tour.querySelector("span"), text = tour.querySelector("p");
      steps.replaceChildren();
      text.textContent = "";
      (data.tour ?? []).forEach((step, index) => {
        const button = make("button", "", `${index + 1}. ${step.title}`, steps);
        button.type = "button";
        button.addEventListener("click", () => {
          for (const other of steps.children) other.setAttribute("aria-pressed", String(other === button));
          text.textContent = step.text;
          beforeTour ??= view;
          element.show(step.view, select.decode(step.select));
          tour.scrollIntoView({ block: "start", behavior: "smooth" });
        });
      });
    }

    for (const button of element.querySelectorAll("[data-view]")) button.addEventListener("click", () => element.show(button.dataset.view, null));
    function showViews() {
      for (const button of element.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    names.addEventListener("change", place);
    table.addEventListener("toggle", () => { if (table.open) fillTable(); });
    for (const button of element.querySelectorAll("[data-save]")) button.addEventListener("click", () => save(button.dataset.save));
    function save(kind) {
      if (!data) return;
      if (kind === "html") Attnflow.save.page(element, props.value, { view, select: code(frozen) });
      else if (kind === "json" || kind === "csv") trigger("export", { kind }); // exact numbers come from Python
      else {
        const lineOf = (line) => ({ ends: lineEnds(line), opacity: FAINT[levelOf(line, current())] });
        Attnflow.save.image(kind, { data, traces: traces(), layout: figureLayout(chart.clientWidth, chart.clientHeight), rings, shapes, hit, degrees, lineOf, cellsOf: litCells, nameOf });
      }
    }
    watch("download", () => props.download && Attnflow.save.download(props.download.name, props.download.text));

    /** Corners of a token's lit cells, with the models that carry them. */
    function litCells(ring, node) {
      const found = [];
      forHeads(ring, node, (head) => {
        const models = hit?.cells[ring.depth][node.token * maxHeads() + head];
        if (models) found.push([models, geometry.cellCorners(ring, node, head)]);
      });
      return found;
    }

    showViews();
    const redraw = async (next, where) => { await draw(next, where); if (table.open) fillTable(); };
    const box = panel(element, { props, watch }, ".af-radial", { draw: redraw, leave: () => { leave(); Plotly.purge(chart); } });
  };
})();
