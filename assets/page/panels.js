// What all panels share, and the simple ones: predictions, sentence view, heat map.
// A panel gets its element, `props` (props.value is JSON text), `trigger` (an event for Python) and `watch`.
// Whatever a person or a tokenizer wrote goes into the page as textContent or as escaped Plotly text, never as markup.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  if (Attnflow.predictions) return;

  const Plotly = window.Plotly; // ours: a gr.Plot on the page would later replace window.Plotly by its own build
  const CONFIG = {
    responsive: false, displaylogo: false, // resizing is ours: panels may be drawn while their tab is hidden
    modeBarButtonsToRemove: ["sendChartToCloud", "autoScale2d", "select2d", "lasso2d"],
    toImageButtonOptions: { format: "png", scale: 2, filename: "attnflow" },
  };
  const SVG = "http://www.w3.org/2000/svg";

  /** The query string of the page, which restores what is shown. */
  const link = {
    get: (name) => new URLSearchParams(location.search).get(name) ?? Attnflow.saved?.[name] ?? "",
    set(values) {
      if (location.protocol === "file:") return; // a saved page
      const query = new URLSearchParams(location.search);
      for (const [name, value] of Object.entries(values)) { if (value === "" || value === null) query.delete(name); else query.set(name, value); }
      history.replaceState(history.state, "", `${location.pathname}?${query}${location.hash}`);
    },
  };

  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const number = (value, digits = 2) => value.toLocaleString("en", { maximumFractionDigits: digits });

  /** A new element with a class and text. */
  function make(tag, className, text, parent) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    parent?.append(node);
    return node;
  }

  function makeSvg(tag, attributes, parent) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    parent?.append(node);
    return node;
  }

  /** The letters of a piece without the mark that it continues a word. */
  const plain = (text) => (text.startsWith("·") && text.length > 1 ? text.slice(1) : text);

  /** Put the pieces of a pair into a box: those of one word stay together, and the second sentence begins a line.
   *  `unit(text, index, word)` adds the piece to its word. */
  function spread({ text, sentence }, box, unit) {
    let word = null, second = false;
    text.forEach((piece, index) => {
      if (sentence[index] === 1 && !second) { second = true; make("span", "af-break", undefined, box); }
      const continues = sentence[index] >= 0 && plain(piece) !== piece;
      if (!continues || !word) word = make("bdi", "af-word", undefined, box);
      unit(continues ? plain(piece) : piece, index, word);
    });
  }

  /** The head of a card: which model, in its colour, and its name. */
  function titled(side, name, card) {
    const head = make("header", "", undefined, card);
    make("span", "af-badge", { a: "A", b: "B", ab: "Δ" }[side] ?? "B−A", head);
    make("strong", "", name, head).title = name;
    return head;
  }

  /** Call `draw(data)` now and when Python sends a new value, `redraw(data)` when the theme changes or the panel is resized,
   *  and `clear()` when there is nothing to show.  What comes while a tab is hidden is drawn when it is shown. */
  function panel(element, { props, watch }, selector, { draw, redraw = draw, clear = () => {}, leave = () => {} }) {
    const box = element.querySelector(selector);
    let data = null, stale = true, width = 0, dark = document.body.classList.contains("dark");
    async function show() {
      if (!box.clientWidth) return; // a hidden tab
      width = box.clientWidth;
      const fresh = stale;
      stale = false;
      if (data) await (fresh ? draw : redraw)(data, box);
      else clear(box);
      if (fresh) box.dataset.drawn = Number(box.dataset.drawn ?? 0) + 1; // tells tests that a new value is drawn
    }
    let text; // what was received last: a value that is there when the panel is made may be told of again
    function receive() {
      if (props.value === text) return;
      text = props.value;
      data = text ? JSON.parse(text) : null;
      stale = true;
      box.classList.toggle("af-empty", !data);
      show();
    }
    const sizes = new ResizeObserver(() => {
      if (!box.isConnected) { sizes.disconnect(); themes.disconnect(); leave(box); return; }
      if (box.clientWidth && (stale || Math.abs(box.clientWidth - width) > 2)) show();
    });
    sizes.observe(box);
    const themes = new MutationObserver(() => {
      const now = document.body.classList.contains("dark");
      if (now !== dark) { dark = now; show(); }
    });
    themes.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    watch("value", receive);
    receive();
    return box;
  }

  /** Layout that every chart shares: the page shows through, and text has the page's colour and font. */
  const chartLayout = (layout) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--body-text-color-subdued"), activecolor: colour("--body-text-color") },
    font: { color: colour("--body-text-color"), family: colour("--font"), size: 12 },
    hoverlabel: { bgcolor: colour("--background-fill-primary"), bordercolor: colour("--border-color-primary"), font: { color: colour("--body-text-color") } },
    ...layout,
  });

  /** Both models' predictions as bars. */
  function predictions(element, gradio) {
    function draw(models, box) {
      box.replaceChildren();
      models.forEach((model, index) => {
        const card = make("section", `af-card af-model-${"ab"[index]}`, undefined, box);
        titled("ab"[index], model.name, card);
        make("p", "af-facts", model.facts, card);
        for (const { label, probability, score } of model.classes ?? []) {
          const row = make("div", "af-class", undefined, card);
          make("span", "af-class-name", label, row).title = label;
          if (probability !== null) {
            const bar = make("span", "af-bar", undefined, row);
            make("span", "af-bar-fill", undefined, bar).style.width = `${100 * probability}%`;
            make("span", "af-value", `${number(100 * probability, 1)} %`, row).title = `score ${number(score, 3)}`;
          } else make("span", "af-value", number(score, 3), row);
        }
        if (model.note) make("p", "af-note", model.note, card);
      });
    }
    panel(element, gradio, ".af-predictions", { draw });
  }

  /** The sentences with influence circles over their words, for a layer that the reader chooses. */
  function sentence(element, gradio) {
    const slider = element.querySelector("input"), layerName = element.querySelector("output");
    const text = element.querySelector(".af-text"), note = element.querySelector(".af-note");
    let shown = null, side = "both";

    /** Layers are chosen by their distance from the root, so that models of different depth are aligned there. */
    const layerOf = (model) => model.layers - 1 - (Number(slider.max) - Number(slider.value));

    function words(data) {
      text.replaceChildren();
      spread(data, text, (name, index, word) => {
        const unit = make("span", data.sentence[index] < 0 ? "af-unit af-special" : "af-unit", undefined, word);
        const values = data.models.map((model) => model.influence[layerOf(model)]?.[index] ?? null);
        const circles = make("span", "af-circles", undefined, unit);
        circles.setAttribute("aria-hidden", "true");
        const [a, b] = values.map((value) => Math.min(5, Math.ceil(value ?? 0)));
        const shared = side === "both" ? Math.min(a, b ?? 0) : 0;
        const own = side === "a" || (side === "both" && !(b > a)) ? "a" : "b";
        const most = side === "a" ? a : side === "b" ? b : Math.max(a, b ?? 0);
        for (let i = 0; i < most; i++) make("i", `af-dot af-${i < shared ? "ab" : own}`, undefined, circles);
        make("span", "af-token", name, unit);
        const told = values.map((value, i) => value === null ? null : `${"AB"[i]} ${number(value)}`).filter(Boolean).join(", ");
        unit.title = `${name}: influence ${told} heads`;
        unit.setAttribute("role", "img");
        unit.setAttribute("aria-label", unit.title);
      });
      const layers = data.models.map((model, i) => [i, layerOf(model)]).filter(([, layer]) => layer >= 0);
      const same = new Set(data.models.map((model) => model.layers)).size === 1;
      layerName.textContent = same ? `L${layers[0][1] + 1}` : layers.map(([i, layer]) => `${"AB"[i]} L${layer + 1}`).join(" · ");
      const last = slider.value === slider.max;
      note.textContent = last
        ? "Circles: how many heads of the last layer attend from the decision to this word (one circle a head, at most five)."
        : `Circles: influence on the decision from ${layerName.textContent} on, in heads, later layers counting more (rounded up, at most five circles).`;
    }

    function draw(data) {
      const layers = Math.max(...data.models.map((model) => model.layers));
      const back = shown ? Number(slider.max) - Number(slider.value) : 0; // keep the distance from the root
      slider.max = layers;
      slider.value = Math.max(1, layers - back);
      shown = data;
      words(data);
    }
    slider.addEventListener("input", () => shown && words(shown));
    const sides = [...element.querySelectorAll("[data-side]")];
    for (const button of sides) {
      button.addEventListener("click", () => {
        side = button.dataset.side;
        for (const other of sides) other.setAttribute("aria-pressed", String(other === button));
        if (shown) words(shown);
      });
    }
    panel(element, gradio, ".af-sentence", { draw, redraw: words });
  }

  /** Plotly reads <s> and </s> as tags and shows nothing. */
  const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shorten = (text, limit) => ([...text].length > limit ? [...text].slice(0, limit - 1).join("") + "…" : text);

  /** A Plotly heat map of tokens against tokens, and under it the sentence coloured by what one token attends to. */
  function heatmap(element, gradio) {
    const title = element.querySelector(".af-title"), chart = element.querySelector(".af-chart");
    const strip = element.querySelector(".af-token-row"), told = element.querySelector(".af-note");
    let query = null, current = null;

    /** The row of one token over the text; a click on a word chooses its row. */
    function words() {
      const { data: [trace], names, model } = current, row = trace.z[query], most = Math.max(...row);
      strip.replaceChildren();
      strip.className = `af-token-row af-model-${model}`;
      told.textContent = `${current.row.replace("{}", () => names[query])}, out of 100 %. Click a word, or a row of the map, for another row.`;
      names.forEach((name, key) => {
        const word = make("button", "", name, strip);
        word.type = "button";
        word.style.setProperty("--share", `${most ? Math.round((80 * row[key]) / most) : 0}%`);
        word.setAttribute("aria-pressed", String(key === query));
        word.title = `${names[query]} → ${name}: ${number(100 * row[key], 1)} %`;
        word.setAttribute("aria-label", word.title);
        word.addEventListener("click", () => { choose(key); strip.children[key].focus({ preventScroll: true }); });
      });
    }
    function choose(row) { query = row; words(); }

    function clear() {
      Plotly.purge(chart);
      strip.replaceChildren();
      told.textContent = "";
      query = current = null;
      title.textContent = "This model has no such head";
      chart.style.height = "";
    }
    async function draw(figure) {
      const { data: [trace], layout, names } = figure, own = colour(`--af-${figure.model}`);
      const width = chart.clientWidth, narrow = width < 420;
      title.textContent = figure.title;
      chart.style.height = `${Math.min(720, width + 30)}px`;
      const step = Math.ceil((11.5 * names.length) / (width - 130)); // as many names as can be read
      const places = names.map((_, index) => index).filter((index) => index % step === 0);
      const axis = { tickvals: places, ticktext: places.map((index) => escape(shorten(names[index], 12))), tickfont: { size: 10 } };
      const shown = {
        // Weight 0 is the page itself, in light and in dark mode.
        ...trace, colorscale: [[0, `${own}00`], [1, own]], showscale: !narrow, xgap: names.length > 32 ? 0 : 1, ygap: names.length > 32 ? 0 : 1,
        text: names.map((query) => names.map((key) => `${escape(query)} → ${escape(key)}`)),
      };
      await Plotly.react(chart, [shown], chartLayout({
        ...layout, width, height: chart.clientHeight, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
        xaxis: { ...layout.xaxis, ...axis }, yaxis: { ...layout.yaxis, ...axis },
      }), { ...CONFIG, displayModeBar: narrow ? false : "hover" });
      if (query === null || current?.names.join("\n") !== names.join("\n")) query = figure.start ?? 0;
      current = figure;
      words();
      chart.removeAllListeners?.("plotly_click");
      chart.on("plotly_click", ({ points: [point] }) => choose(point.pointIndex[0]));
    }
    panel(element, gradio, ".af-heatmap", { draw, clear, leave: () => Plotly.purge(chart) });
  }

  Object.assign(Attnflow, { Plotly, CONFIG, link, escape, panel, make, makeSvg, plain, spread, titled, chartLayout, colour, number, predictions, sentence, heatmap });
})();
