// Saving what the radial view shows: as a picture with the held selection, or as a page of its own that works offline.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { colour, escape, make, Plotly } = Attnflow;
  const THEME = [
    "--body-text-color", "--body-text-color-subdued", "--background-fill-primary", "--background-fill-secondary",
    "--border-color-primary", "--color-accent", "--color-accent-soft", "--block-background-fill", "--font",
  ];

  /** Let the browser save a text or an address under a name. */
  function download(name, content) {
    const anchor = make("a", "", undefined, document.body);
    anchor.href = content.startsWith("data:") ? content : URL.createObjectURL(new Blob([content]));
    anchor.download = name;
    anchor.click();
    anchor.remove();
    if (!content.startsWith("data:")) setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
  }

  /** PNG or SVG.  `view` is what is drawn: labels and highlights, an overlay on the page, become part of the figure. */
  async function saveImage(format, { data, traces, layout, rings, shapes, hit, degrees, lineOf, cellsOf, nameOf }) {
    const rest = hit ? 0.2 : 1, drawn = layout.shapes.map((shape) => ({ ...shape, opacity: shape.opacity * rest })), annotations = [];
    for (const line of hit?.lines ?? []) {
      const { ends: [[x0, y0], [x1, y1]], opacity } = lineOf(line);
      drawn.push({ type: "line", x0, y0, x1, y1, line: { color: colour(`--af-${nameOf(line[3])}`), width: 1.2 }, opacity });
    }
    for (const ring of rings) {
      for (const node of ring.nodes.values()) {
        const { text, models } = shapes.get(`${ring.depth} ${node.token}`), on = hit?.nodes[ring.depth][node.token];
        if (on) {
          for (const [carried, corners] of cellsOf(ring, node)) {
            drawn.push({ type: "path", path: `M${corners.map((point) => point.join(",")).join("L")}Z`, fillcolor: colour(`--af-${nameOf(carried)}`), line: { width: 0 } });
          }
        }
        annotations.push({
          x: node.x, y: node.y, text: escape(text) || "·", textangle: degrees(ring, node), showarrow: false, opacity: !hit || on ? 1 : 0.2,
          font: { size: ring.font, color: colour(`--af-${nameOf(on || models)}`) },
        });
      }
    }
    const names = data.models.map((model, i) => (data.models.length > 1 ? `${"AB"[i]}: ` : "") + model.name).join("<br>").split("<br>").map(escape).join("<br>");
    const key = ["a", "b", "ab"].map((name, i) => `<span style="color:${colour(`--af-${name}`)}">■ ${["only A", "only B", "both"][i]}</span>`).join("  ");
    const corner = { xref: "paper", yref: "paper", x: 0.01, y: 0.995, xanchor: "left", yanchor: "top", align: "left", showarrow: false };
    annotations.push({ ...corner, text: `${names}<br>tau = ${data.tau}${data.models.length > 1 ? `<br>${key}` : ""}`, font: { size: 12 } });
    const figure = {
      data: traces.map((trace) => ({ ...trace, opacity: (trace.opacity ?? 1) * (hit ? 0.4 : 1) })),
      layout: { ...layout, paper_bgcolor: colour("--block-background-fill"), shapes: drawn, annotations },
    };
    download(`attention-flow.${format}`, await Plotly.toImage(figure, { format, width: layout.width, height: layout.height, scale: format === "png" ? 2 : 1 }));
  }

  /** A page of its own with the same data, scripts and interaction. */
  async function savePage(element, value, state) {
    const read = async (address) => (await fetch(address)).text();
    const scripts = await Promise.all([...document.querySelectorAll('script[src*="/gradio_api/file="]')].map((script) => read(script.src)));
    const styles = await Promise.all([...document.querySelectorAll('link[href*="panels.css"]')].map((sheet) => read(sheet.href)));
    const body = element.querySelector(".af-radial").cloneNode(true), data = JSON.parse(value);
    body.removeAttribute("data-drawn");
    body.querySelectorAll(".af-overlay").forEach((layer) => layer.remove());
    body.querySelector(".af-table tbody").replaceChildren();
    body.querySelector(".af-chart").replaceWith(Object.assign(document.createElement("div"), { className: "af-chart", tabIndex: 0 }));
    body.querySelectorAll("[data-save]:not([data-save=png]):not([data-save=svg])").forEach((button) => button.remove());
    const theme = THEME.map((name) => `${name}: ${colour(name)};`).join(" "), models = data.models.map((model) => model.name).join(" and ");
    const sentences = [0, 1].map((part) => data.text.filter((_, i) => data.sentence[i] === part).join(" ").replace(/ ·/g, "")).filter(Boolean);
    const inline = (source) => `<script>${source.replace(/<\/script/gi, "<\\/script")}</scr` + "ipt>";
    const json = (content) => JSON.stringify(content).replace(/</g, "\\u003c");
    download("attention-flow.html", `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Attention flow of ${escape(models)}</title><style>:root { ${theme} } body { max-width: 960px; margin: 1rem auto; padding: 0 1rem; font-family: var(--font); color: var(--body-text-color); background: var(--block-background-fill); } ${styles.join("\n")}</style></head>
<body class="${document.body.classList.contains("dark") ? "dark" : ""}"><main class="gradio-container"><p>${escape(models)}, tau = ${data.tau}</p>${sentences.map((text) => `<p>${escape(text)}</p>`).join("")}${body.outerHTML}</main>
${scripts.map(inline).join("\n")}
${inline(`Attnflow.saved = ${json(state)}; Attnflow.radial(document.querySelector("main"), { props: { value: ${json(value)} }, trigger() {}, watch() {} });`)}</body></html>`);
  }

  Object.assign(Attnflow, { save: { download, image: saveImage, page: savePage } });
})();
