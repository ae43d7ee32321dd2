// The radial view: rings of tokens around the decision.  Plotly draws rings and head cells and does zoom and export;
// labels and highlights are an overlay that is painted in a millisecond.  See graph.js and geometry.js.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { Graph, geometry, panel, make, makeSvg, chartLayout, colour, number, Plotly, CONFIG } = Attnflow;
  const CLASSES = ["a", "b", "ab"]; // only A, only B, shared
  const MOST_LINES = 500; // of one model; more are no longer told apart and take longer than a frame

  Attnflow.radial = (element, gradio) => {
    const { props, trigger, watch } = gradio;
    const chart = element.querySelector(".af-chart"), status = element.querySelector(".af-status"), tip = element.querySelector(".af-tip");
    const legend = element.querySelector(".af-legend"), note = element.querySelector(".af-note");
    const overlay = makeSvg("g", { class: "af-overlay" });
    const edgePaths = CLASSES.map((name) => makeSvg("path", { class: `af-edges af-${name}` }, overlay));
    const cellPaths = CLASSES.map((name) => makeSvg("path", { class: `af-lit-cells af-${name}` }, overlay));
    const labels = makeSvg("g", { class: "af-labels" }, overlay);
    let data, graphs = [], view = "both", rings = [], hover = null, frozen = null, cursor = null, project = null;
    let shapes = new Map(); // "depth token" -> { node, label, full, cells }, what is drawn of a token

    // ---- what is shown ---------------------------------------------------------------------------------------------

    const active = () => (view === "a" ? [0] : view === "b" ? [1] : graphs.map((_, i) => i)).filter((i) => graphs[i]);
    const comparing = () => active().length > 1;
    const maxHeads = () => Math.max(...active().map((i) => graphs[i].heads));

    /** Which models a mask over models stands for: 1 only A, 2 only B, 3 both; as an index of CLASSES. */
    const classOf = (mask) => mask - 1;
    const maskOf = (test) => active().reduce((mask, i) => mask | (test(graphs[i]) ? 1 << i : 0), 0);

    function ringTokens() {
      const depth = Math.max(...active().map((i) => graphs[i].layers));
      return Array.from({ length: depth + 1 }, (_, d) =>
        data.text.map((_, token) => token).filter((token) => maskOf((graph) => graph.inRing[d]?.[token])));
    }

    /** Tokens of the second sentence and the special tokens after it run counter-clockwise. */
    function secondHalf() {
      const start = data.sentence.indexOf(1);
      return data.text.map((_, token) => start >= 0 && token >= start);
    }

    function layerName(depth) {
      const names = active().map((i) => graphs[i].layers - depth).map((layer) => layer < 0 ? null : layer);
      const layers = [...new Set(active().map((i) => graphs[i].layers))];
      if (layers.length === 1) return depth === 0 ? "the output" : `L${names[0] + 1}`;
      return depth === 0 ? "the output" : names.map((layer, i) => layer === null ? null : `${"AB"[active()[i]]} L${layer + 1}`).filter(Boolean).join(" · ");
    }

    // ---- drawing ---------------------------------------------------------------------------------------------------

    function traces() {
      const muted = colour("--border-color-primary"), text = colour("--body-text-color");
      const line = (points, options) => ({ type: "scatter", mode: "lines", hoverinfo: "skip", ...points, ...options });
      const circles = { x: [], y: [] }, ticks = { x: [], y: [] };
      for (const { r, band, meet, depth } of rings) {
        if (!depth) continue;
        for (let i = 0; i <= 90; i++) { circles.x.push(r * Math.sin(i * Math.PI / 45)); circles.y.push(r * Math.cos(i * Math.PI / 45)); }
        circles.x.push(null); circles.y.push(null);
        if (meet === null) continue;
        for (const at of [r - 0.34 * band, r + 0.08 * band]) { ticks.x.push(at * Math.sin(meet)); ticks.y.push(at * Math.cos(meet)); }
        ticks.x.push(null); ticks.y.push(null);
      }
      return [line(circles, { line: { color: muted, width: 1 }, opacity: 0.6 }), line(ticks, { line: { color: text, width: 3 } })];
    }

    /** The cells of all heads, one shape for each colour: as points of a trace they would take Plotly ten times as long. */
    function cellShapes() {
      const paths = new Map();
      for (const ring of rings) {
        if (!ring.cell || ring.depth === rings.length - 1) continue; // what enters the first layer attends to nothing
        for (const node of ring.nodes.values()) {
          forHeads(ring.depth, node.token, (head, mask, most) => {
            const key = mask ? `${classOf(mask)} ${comparing() ? 4 : strength(most)}` : "none";
            const corners = geometry.cellCorners(ring, node, head).map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`);
            paths.set(key, `${paths.get(key) ?? ""}M${corners.join("L")}Z`);
          });
        }
      }
      return [...paths].map(([key, path]) => {
        const [which, level] = key.split(" ");
        return {
          type: "path", path, line: { width: 0 },
          fillcolor: colour(key === "none" ? "--border-color-primary" : `--af-${CLASSES[which]}`),
          opacity: key === "none" ? 0.55 : [0, 0.35, 0.55, 0.78, 1][level],
        };
      });
    }

    /** Call back with each head of a token: which models attend with it, and to how many tokens at most. */
    function forHeads(depth, token, callback) {
      const counts = active().map((i) => [i, graphs[i].inRing[depth]?.[token] ? graphs[i].attends(depth, token) : []]);
      for (let head = 0; head < maxHeads(); head++) {
        let mask = 0, most = 0;
        for (const [i, heads] of counts) if (heads[head]) { mask |= 1 << i; most = Math.max(most, heads[head]); }
        callback(head, mask, most);
      }
    }

    const strength = (tokens) => (tokens < 2 ? 1 : tokens < 4 ? 2 : tokens < 8 ? 3 : 4);

    async function draw(next, box) {
      if (next !== data) {
        data = next;
        graphs = data.models.map((model) => new Graph(model, data.text.length));
        if (graphs.length < 2) view = "a";
        hover = null;
        frozen = keepFrozen();
      }
      const width = box.clientWidth, height = Math.min(width, 860);
      chart.style.height = `${height}px`;
      const radius = Math.min(width, height) / 2 - 18;
      rings = geometry.layout(ringTokens(), secondHalf(), maxHeads(), radius);
      const axis = { visible: false, zeroline: false, showgrid: false };
      const touch = matchMedia("(pointer: coarse)").matches;
      await Plotly.react(chart, traces(), chartLayout({
        showlegend: false, hovermode: false, dragmode: touch ? false : "pan", width, height, margin: { l: 0, r: 0, t: 0, b: 0 },
        shapes: cellShapes(),
        xaxis: { ...axis, range: [-width / 2, width / 2] }, yaxis: { ...axis, range: [-height / 2, height / 2], scaleanchor: "x" },
      }), { ...CONFIG, doubleClick: "reset" });
      if (!chart.dataset.wired) wire();
      place();
      explain();
      chart.setAttribute("aria-label", `Attention flow of ${data.models.map((model) => model.name).join(" and ")}. Arrow keys move between words and rings, Enter holds, Escape clears.`);
    }

    /** A frozen token stays frozen when only tau has changed. */
    function keepFrozen() {
      return frozen && frozen.text === data.text.join("\n") ? frozen : null;
    }

    /** Plotly has drawn or zoomed: put the overlay where the points now are. */
    function place() {
      const plot = chart._fullLayout?._plots?.xy;
      if (!plot || !rings.length) return;
      const { xaxis, yaxis } = plot;
      const zoom = Math.abs(xaxis.l2p(1) - xaxis.l2p(0));
      project = { x: (v) => xaxis.l2p(v), y: (v) => yaxis.l2p(v), zoom, xBack: (p) => xaxis.p2l(p), yBack: (p) => yaxis.p2l(p) };
      chart.querySelector(".scatterlayer").parentNode.append(overlay);
      labels.replaceChildren();
      shapes = new Map();
      for (const ring of rings) {
        const room = (ring.depth ? ring.arc : 4 * ring.band) * zoom - 4;
        const every = Math.ceil((3.2 * 0.56 * ring.font) / Math.max(room, 1)); // in a crowded ring only some are named
        let index = 0;
        for (const node of ring.nodes.values()) {
          const text = index++ % every ? "" : geometry.fit(data.text[node.token], room * every, ring.font);
          const mask = maskOf((graph) => graph.inRing[ring.depth]?.[node.token]);
          shapes.set(`${ring.depth} ${node.token}`, { label: label(ring, node, text, mask), text, cells: null });
        }
      }
      paint();
    }

    /** A token's name on its ring, or a dot where there is no room for it. */
    function label(ring, node, text, mask) {
      const turn = ring.depth ? (node.angle * 180) / Math.PI + (node.flip < 0 ? 180 : 0) : 0;
      const quiet = data.sentence[node.token] < 0 && ring.depth ? " af-quiet" : "";
      const shape = makeSvg(text ? "text" : "circle", {
        "data-at": `${ring.depth} ${node.token}`, class: `af-${CLASSES[classOf(mask)]}${quiet}`,
        transform: `translate(${project.x(node.x).toFixed(1)} ${project.y(node.y).toFixed(1)}) rotate(${turn.toFixed(1)})`,
        ...(text ? { "font-size": ring.font, dy: "0.32em" } : { r: 1.6 }),
      }, labels);
      if (text) shape.textContent = text;
      return shape;
    }

    /** The cells of a token's heads as [which models, SVG path]; made when first needed. */
    function cellsOf(ring, node) {
      const shape = shapes.get(`${ring.depth} ${node.token}`);
      if (!shape.cells) {
        shape.cells = [];
        if (ring.cell && ring.depth < rings.length - 1) {
          forHeads(ring.depth, node.token, (head, mask) => {
            const corners = geometry.cellCorners(ring, node, head).map(([x, y]) => `${project.x(x).toFixed(1)} ${project.y(y).toFixed(1)}`);
            shape.cells.push([mask, `M${corners.join("L")}Z`]);
          });
        }
      }
      return shape.cells;
    }

    // ---- tracing ---------------------------------------------------------------------------------------------------

    /** What is lit for a selection: for each model its own reach, united by colour; of the edges only the strongest. */
    function lit({ depth, token, head }) {
      const nodes = rings.map(() => new Uint8Array(data.text.length)), edges = new Map();
      let count = 0;
      for (const i of active()) {
        const graph = graphs[i];
        if (head !== null && head >= graph.heads) continue;
        const reach = graph.reach(depth, token, head);
        reach.rings.forEach((ring, d) => ring.forEach((on, t) => { if (on) nodes[d][t] |= 1 << i; }));
        let drawn = 0;
        for (const e of graph.byStrength) {
          if (!reach.edges[e]) continue;
          count++;
          if (++drawn > MOST_LINES) continue;
          const key = `${graph.depth[e]} ${graph.query[e]} ${graph.key[e]}`;
          edges.set(key, (edges.get(key) ?? 0) | (1 << i));
        }
      }
      return { nodes, edges, count };
    }

    function paint() {
      if (!project) return;
      const selection = hover ?? cursor ?? frozen;
      chart.classList.toggle("af-lit", Boolean(selection));
      const lines = ["", "", ""], cells = ["", "", ""];
      const hit = selection && lit(selection);
      for (const [key, mask] of hit?.edges ?? []) {
        const [depth, from, to] = key.split(" ").map(Number);
        const inner = rings[depth - 1].nodes.get(from), outer = rings[depth].nodes.get(to);
        const [x, y] = rings[depth - 1].cell ? geometry.glyphCentre(rings[depth - 1], inner) : [inner.x, inner.y];
        lines[classOf(mask)] += `M${project.x(x).toFixed(1)} ${project.y(y).toFixed(1)}L${project.x(outer.x).toFixed(1)} ${project.y(outer.y).toFixed(1)}`;
      }
      for (const ring of rings) for (const node of ring.nodes.values()) light(ring, node, hit?.nodes[ring.depth][node.token] ?? 0, selection, cells);
      edgePaths.forEach((path, i) => path.setAttribute("d", lines[i]));
      cellPaths.forEach((path, i) => path.setAttribute("d", cells[i]));
      tell(selection, hit);
    }

    /** Light a token, in the colours of the models that reach it, or let it rest (mask 0). */
    function light(ring, node, mask, selection, cells) {
      const { label } = shapes.get(`${ring.depth} ${node.token}`);
      const on = label.dataset.lit ?? "";
      const now = mask ? CLASSES[classOf(mask)] : "";
      if (on !== now) { if (now) label.dataset.lit = now; else delete label.dataset.lit; }
      if (!mask) return;
      const only = selection.depth === ring.depth ? selection.head : null;
      cellsOf(ring, node).forEach(([models, path], head) => {
        if ((models & mask) && (only === null || only === head)) cells[classOf(models & mask)] += path;
      });
    }

    // ---- words -----------------------------------------------------------------------------------------------------

    function describe({ depth, token, head }) {
      const name = `“${data.text[token].replace(/^·(?=.)/, "")}”`;
      const where = depth === 0 ? "at the output" : `entering ${layerName(depth)}`;
      const facts = active().map((i) => {
        const graph = graphs[i], tag = graphs.length > 1 ? `${"AB"[i]}: ` : "";
        if (!graph.inRing[depth]?.[token]) return `${tag}not reached`;
        const reads = graph.attends(depth, token), by = (graph.byDepth[depth] ?? []).filter((e) => graph.key[e] === token);
        const heads = by.reduce((sum, e) => sum + graph.headsOf(e).length, 0);
        const words = [];
        if (head !== null && head < graph.heads) {
          const to = graph.byDepth[depth + 1].filter((e) => graph.query[e] === token && graph.has(e, head));
          const list = to.sort((p, q) => graph.weight(q, head) - graph.weight(p, head)).slice(0, 4).map((e) => `${data.text[graph.key[e]]} ${number(graph.weight(e, head))}`);
          words.push(to.length ? `H${head + 1} attends to ${list.join(", ")}${to.length > 4 ? ` and ${to.length - 4} more` : ""}` : `H${head + 1} attends to nothing above tau`);
        } else if (depth < graph.layers) words.push(`${reads.filter(Boolean).length} of its ${graph.heads} heads attend to ${plural(graph.byDepth[depth + 1].filter((e) => graph.query[e] === token).length, "token")}`);
        if (depth > 0 && head === null) words.push(`${plural(heads, "head")} of ${plural(by.length, "token")} attend to it`);
        return tag + words.join(", ");
      });
      const reader = head !== null && depth < rings.length - 1 ? `, head H${head + 1} of ${layerName(depth + 1)}` : "";
      return `${name} ${where}${reader} — ${facts.join("; ")}.`;
    }

    const plural = (count, name) => `${count} ${name}${count === 1 ? "" : "s"}`;

    function tell(selection, hit) {
      const held = frozen && selection === frozen ? "Held (Escape or a click beside it lets go): " : "";
      const cut = hit && hit.count > MOST_LINES * active().length ? ` Of ${number(hit.count)} lines only the strongest are drawn.` : "";
      status.textContent = selection ? held + describe(selection) + cut : "Hover a word, or a square for one head; click to hold.";
    }

    function explain() {
      legend.replaceChildren();
      const entry = (kind, text) => { const item = make("span", "af-key", undefined, legend); make("i", `af-swatch af-${kind}`, undefined, item); item.append(text); };
      if (comparing()) { entry("a", "only A"); entry("b", "only B"); entry("ab", "both"); }
      else entry(CLASSES[active()[0]], "a head that attends to something: the darker, the more tokens");
      entry("none", "a head that attends to nothing above tau");
      const ended = active().map((i) => [i, graphs[i].inRing.findIndex((ring) => !Attnflow.count(ring))]).filter(([, depth]) => depth > 0);
      note.textContent = ended.map(([i, depth]) => `${graphs.length > 1 ? `Model ${"AB"[i]}` : "The graph"} ends at L${graphs[i].layers - depth + 1}: no head there attends to anything above tau = ${data.tau}. Lower tau to see more.`).join(" ");
      note.hidden = !ended.length;
    }

    // ---- mouse and keyboard ----------------------------------------------------------------------------------------

    const same = (p, q) => p && q && p.depth === q.depth && p.token === q.token && p.head === q.head;

    function at(event) {
      if (!project) return null;
      const box = chart.getBoundingClientRect();
      const found = geometry.hit(rings, maxHeads(), project.xBack(event.clientX - box.left), project.yBack(event.clientY - box.top));
      if (found && found.depth === rings.length - 1) found.head = null; // no cells there
      return found;
    }

    function freeze(selection) {
      frozen = selection && !same(selection, frozen) ? { ...selection, text: data.text.join("\n") } : null;
      if (frozen && frozen.head !== null) trigger("head_select", { depth: frozen.depth, head: frozen.head });
      paint();
    }

    function wire() {
      chart.dataset.wired = "yes";
      chart.on("plotly_afterplot", place);
      let pressed = null;
      chart.addEventListener("pointermove", (event) => {
        if (event.buttons || event.pointerType === "touch") return;
        const found = at(event);
        cursor = null;
        if (!same(found, hover)) { hover = found; paint(); }
        showTip(found, event);
      });
      chart.addEventListener("pointerleave", () => { hover = null; tip.hidden = true; paint(); });
      chart.addEventListener("pointerdown", (event) => { pressed = [event.clientX, event.clientY]; }, true);
      window.addEventListener("pointerup", (event) => {
        if (!pressed) return;
        const moved = Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4;
        pressed = null;
        if (moved || !chart.contains(event.target) && !event.target.closest?.(".dragcover") || event.target.closest?.(".modebar")) return;
        hover = null;
        freeze(at(event));
      }, true);
      chart.addEventListener("keydown", key);
      chart.addEventListener("blur", () => { cursor = null; paint(); });
    }

    function showTip(found, event) {
      tip.hidden = !found;
      chart.style.cursor = found ? "pointer" : "";
      if (!found) return;
      const { depth, token, head } = found;
      tip.textContent = `${data.text[token]}${head === null ? "" : ` · H${head + 1}`}${data.piece[token] !== data.text[token] ? `  (${data.piece[token]})` : ""}`;
      const box = chart.getBoundingClientRect();
      tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 4)}px`;
      tip.style.top = `${event.clientY - box.top + 16 + chart.offsetTop}px`;
    }

    function key(event) {
      const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };
      if (event.key === "Escape") { frozen = cursor = hover = null; paint(); return; }
      if (event.key === "Enter" || event.key === " ") { const chosen = cursor; cursor = null; freeze(chosen); cursor = null; paint(); event.preventDefault(); return; }
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      const from = cursor ?? frozen ?? { depth: 0, token: [...rings[0].nodes.keys()][0] };
      const order = (ring) => [...ring.right, ...[...ring.left].reverse()]; // clockwise
      let depth = from.depth, list = order(rings[depth]), index = list.indexOf(from.token);
      if (move[1]) index = (index + move[1] + list.length) % list.length;
      else {
        depth = Math.max(0, Math.min(rings.length - 1, depth + move[0]));
        if (!rings[depth].nodes.size) return;
        const angle = rings[from.depth].nodes.get(from.token)?.angle ?? 0;
        list = order(rings[depth]);
        index = depth === from.depth ? index : list.reduce((best, token, i) => (Math.cos(rings[depth].nodes.get(token).angle - angle) > Math.cos(rings[depth].nodes.get(list[best]).angle - angle) ? i : best), 0);
      }
      cursor = { depth, token: list[index], head: null };
      hover = null;
      paint();
    }

    for (const button of element.querySelectorAll("[data-view]")) {
      button.addEventListener("click", () => {
        view = button.dataset.view;
        frozen = hover = cursor = null;
        showViews();
        if (data) draw(data, box);
      });
    }
    /** Where a token, or one head of it, lies in the window; null if it is not drawn. */
    element.locate = (depth, token, head = null) => {
      const ring = rings[depth], node = ring?.nodes.get(token);
      if (!node || !project) return null;
      const [x, y] = head === null ? [node.x, node.y] : geometry.cellCentre(ring, node, head), area = chart.getBoundingClientRect();
      return [area.left + project.x(x), area.top + project.y(y)];
    };

    function showViews() {
      for (const button of element.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    showViews();
    const box = panel(element, { props, watch }, ".af-radial", { draw, leave: () => Plotly.purge(chart) });
  };
})();
