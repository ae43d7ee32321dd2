// The panels of the tab Heads: the matrix of heads, and what switching heads off changes.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  if (Attnflow.headMatrix) return;
  const { panel, make, titled, number, colour } = Attnflow;
  const PATIENCE = 8000; // milliseconds that an answer may take before it is given up
  const named = (layer, head) => `L${layer + 1} H${head + 1}`;

  /** The pictures of all heads, drawn as one image in the colour of the model. */
  function paint(canvas, side) {
    const bytes = Uint8Array.from(atob(side.pixels), (letter) => letter.charCodeAt(0));
    canvas.width = side.heads * side.size;
    canvas.height = side.layers * side.size;
    const context = canvas.getContext("2d");
    context.fillStyle = colour(`--af-${side.side}`);
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    const image = context.createImageData(canvas.width, canvas.height);
    bytes.forEach((value, index) => image.data.set([red, green, blue, value], 4 * index));
    context.putImageData(image, 0, 0);
  }

  /** The matrix.  Events: `head_select` carries `side`, `layer`, `head`; `prune` all heads that are to be off, `a` and `b`. */
  Attnflow.headMatrix = (element, gradio) => {
    const find = (name) => element.querySelector(name), stage = find(".af-matrices");
    const off = { a: new Set(), b: new Set() };
    let sent = null; // what was asked for and is not answered yet; what is clicked meanwhile is sent after the answer
    const isOff = (side, at) => (side === "difference" ? off.a.has(at) && off.b.has(at) : off[side].has(at));

    const state = (sets = off) => ["a", "b"].map((one) => [...sets[one]].sort().join(" ")).join("|");

    function toggle(side, at) {
      const now = !isOff(side, at);
      for (const one of side === "difference" ? ["a", "b"] : [side]) off[one][now ? "add" : "delete"](at);
      for (const cell of stage.querySelectorAll(`[data-at="${at}"]`)) mark(cell); // at once; Python's answer follows
      submit();
    }

    function submit() {
      if (sent && Date.now() - sent.at < PATIENCE) return;
      const heads = (one) => [...off[one]].map((key) => key.split(".").map(Number));
      sent = { text: state(), at: Date.now() };
      gradio.trigger("prune", { a: heads("a"), b: heads("b") });
    }

    /** Python tells what is off, sooner than it can tell what then matters. */
    function confirmed() {
      if (!gradio.props.confirmed) return;
      const told = JSON.parse(gradio.props.confirmed), now = {};
      for (const one of ["a", "b"]) now[one] = new Set(told[one].map((at) => at.join(".")));
      if (sent && sent.text !== state(now) && Date.now() - sent.at < PATIENCE) return; // an older answer
      const more = sent && state() !== sent.text;
      sent = null;
      if (more) { submit(); return; }
      Object.assign(off, now);
      for (const cell of stage.querySelectorAll(".af-cell")) mark(cell);
    }
    gradio.watch("confirmed", confirmed);

    function mark(cell) {
      const { side, at } = cell.dataset, gone = isOff(side, at);
      const control = cell.querySelector(".af-off"), [layer, head] = at.split(".").map(Number);
      cell.classList.toggle("af-gone", gone);
      control.textContent = gone ? "↺" : "×";
      control.title = `Switch ${named(layer, head)} ${gone ? "on" : "off"}`;
      control.setAttribute("aria-label", control.title);
      const pick = cell.querySelector(".af-pick");
      pick.textContent = gone && pick.dataset.value ? "off" : pick.dataset.value;
      pick.setAttribute("aria-label", pick.dataset.name + (gone ? ", switched off" : ""));
    }

    function grid(side, data, parent) {
      const card = make("section", `af-card af-matrix af-model-${side.side}`, undefined, parent);
      titled(side.side, side.name, card);
      const frame = make("div", "af-grid", undefined, make("div", "af-scroll", undefined, card));
      frame.style.setProperty("--heads", side.heads);
      frame.setAttribute("role", "grid");
      frame.setAttribute("aria-label", `${data.title}, ${side.name}`);
      const top = make("div", "af-row", undefined, frame);
      top.setAttribute("role", "row");
      make("span", "", "", top);
      for (let head = 0; head < side.heads; head++) make("span", "af-axis", `H${head + 1}`, top).setAttribute("role", "columnheader");
      const rows = make("div", "af-rows", undefined, frame);
      rows.setAttribute("role", "rowgroup");
      if (side.pixels) {
        frame.classList.add("af-pictured");
        const canvas = make("canvas", "af-pictures", undefined, rows);
        canvas.setAttribute("aria-hidden", "true");
        paint(canvas, side);
      }
      for (let layer = 0; layer < side.layers; layer++) {
        const row = make("div", "af-row", undefined, rows);
        row.setAttribute("role", "row");
        make("span", "af-axis", `L${layer + 1}`, row).setAttribute("role", "rowheader");
        for (let head = 0; head < side.heads; head++) cell(side, data, layer, head, row);
      }
      if (side.note) make("p", "af-note", side.note, card);
    }

    function cell(side, data, layer, head, row) {
      const value = side.values[layer][head], raw = side.raw[layer][head];
      const chosen = side.selected?.[0] === layer && side.selected?.[1] === head;
      const box = make("div", "af-cell", undefined, row), pick = make("button", "af-pick", undefined, box);
      box.setAttribute("role", "gridcell");
      Object.assign(box.dataset, { side: side.side, at: `${layer}.${head}` });
      pick.type = "button";
      pick.tabIndex = chosen || (!side.selected && layer + head === 0) ? 0 : -1;
      pick.setAttribute("aria-pressed", String(chosen));
      pick.dataset.value = "";
      if (!side.pixels) {
        const sign = value < 0 ? "low" : "high";
        pick.dataset.value = value.toFixed(2).replace(/^(-?)0\./, "$1.").replace("-", "−");
        box.style.setProperty("--share", `${Math.round(88 * Math.min(1, Math.abs(value)))}%`);
        box.classList.add(`af-${sign}`);
        box.classList.toggle("af-strong", Math.abs(value) > 0.55);
      }
      pick.dataset.name = `${named(layer, head)}: ${data.measured} ${raw}`;
      pick.title = pick.dataset.name;
      pick.addEventListener("click", () => gradio.trigger("head_select", { side: side.side, layer, head }));
      const control = make("button", "af-off", undefined, box);
      control.type = "button";
      control.tabIndex = -1; // with the keyboard: Delete on the cell
      control.addEventListener("click", (event) => { event.stopPropagation(); toggle(side.side, box.dataset.at); });
      mark(box);
    }

    stage.addEventListener("keydown", (event) => {
      const box = event.target.closest(".af-cell");
      if (!box) return;
      const [layer, head] = box.dataset.at.split(".").map(Number);
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (step) {
        event.preventDefault();
        const next = stage.querySelector(`[data-side="${box.dataset.side}"][data-at="${layer + step[0]}.${head + step[1]}"] .af-pick`);
        if (!next) return;
        for (const pick of box.closest(".af-grid").querySelectorAll(".af-pick")) pick.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      } else if (event.key === "Delete" || event.key === "Backspace" || event.key === "x") {
        event.preventDefault();
        toggle(box.dataset.side, box.dataset.at);
      }
    });

    function draw(data) {
      const focused = stage.contains(document.activeElement) ? document.activeElement.closest(".af-cell")?.dataset : null;
      const scrolled = [...stage.querySelectorAll(".af-scroll")].map((frame) => frame.scrollLeft);
      const place = focused ? `[data-side="${focused.side}"][data-at="${focused.at}"] .af-pick` : null;
      find(".af-title").textContent = data.title;
      find(".af-matrix-note").textContent = data.note;
      stage.replaceChildren();
      stage.classList.toggle("af-signed", data.signed);
      for (const side of data.sides) grid(side, data, stage);
      stage.querySelectorAll(".af-scroll").forEach((frame, index) => { frame.scrollLeft = scrolled[index] ?? 0; });
      if (place) stage.querySelector(place)?.focus({ preventScroll: true });
    }
    confirmed();
    panel(element, gradio, ".af-head-matrix", { draw });
  };

  /** What switching heads off changed: each class before and after, and the words whose influence is another. */
  Attnflow.pruneEffect = (element, gradio) => {
    const stage = element.querySelector(".af-effects");
    const percent = (value, unit) => (unit === "probability" ? `${number(100 * value, 1)} %` : number(value, 3));
    function draw(models) {
      stage.replaceChildren();
      for (const model of models) {
        const card = make("section", `af-card af-model-${model.side}`, undefined, stage);
        titled(model.side, model.name, card);
        if (!model.removed) { make("p", "af-note", "All heads are on. Press × on a head to see what changes without it.", card); continue; }
        const heads = model.removed === 1 ? "1 head" : `${model.removed} heads`;
        make("p", "af-facts", `Without ${heads}: the embedding of the token that is read moves by ${number(100 * model.shift, 1)} % of its length.`, card);
        for (const { label, before, after } of model.classes) {
          const row = make("div", "af-change", undefined, card);
          make("span", "af-class-name", label, row).title = label;
          const change = after - before;
          make("span", "af-value", `${percent(before, model.unit)} → ${percent(after, model.unit)}`, row);
          const points = model.unit === "probability" ? number(Math.abs(100 * change), 1) : number(Math.abs(change), 3);
          const told = points === "0" ? "no change" : `${change < 0 ? "▼ −" : "▲ +"}${points}${model.unit === "probability" ? " points" : ""}`;
          make("span", `af-delta af-${change < 0 || points === "0" ? "down" : "up"}`, told, row);
        }
        if (model.note) make("p", "af-note", model.note, card);
        const strip = make("p", "af-words", undefined, card), most = Math.max(...model.text.map((_, i) => Math.abs(model.after[i] - model.before[i])));
        model.text.forEach((text, index) => {
          const change = model.after[index] - model.before[index];
          const word = make("bdi", `af-chip af-${change < 0 ? "down" : "up"}`, text, strip);
          word.style.setProperty("--share", `${most ? Math.round((60 * Math.abs(change)) / most) : 0}%`);
          word.title = `${text}: influence ${number(model.before[index])} → ${number(model.after[index])} heads`;
        });
        const changed = model.text.filter((_, index) => model.after[index] !== model.before[index]).length;
        make("p", "af-note", changed ? "Colour: words with more (▲) or less (▼) influence on the decision than before." : "No word's influence changed.", card);
      }
    }
    panel(element, gradio, ".af-prune-effect", { draw });
  };
})();
