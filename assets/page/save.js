// Saving what the radial view shows: as a picture with the held selection, or as a page of its own that works offline.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { colour, escape, make, nameOf, geometry, highlight, rings, Plotly } = Attnflow;
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

  /** The sentences, put together from their tokens. */
  const sentences = ({ text, sentence }) => [0, 1].map((part) => text.filter((_, i) => sentence[i] === part).join(" ").replace(/ ·(?=\S)| (?=[.,;:!?)])/g, "")).filter(Boolean);

  /** A text in lines of at most so many characters, broken at a space where there is one. */
  function lines(text, most) {
    const characters = [...text];
    if (characters.length <= most) return [text];
    const at = characters.lastIndexOf(" ", most), end = at > 0 ? at : most;
    return [characters.slice(0, end).join(""), ...lines(characters.slice(end).join("").trimStart(), most)];
  }

  /** What a picture is of, in lines of Plotly text: models and threshold, the sentences, the colours. */
  function heading({ data, width, comparing, active }) {
    const names = active.map((i) => (data.models.length > 1 ? `${"AB"[i]}: ` : "") + data.models[i].name);
    const fit = (text) => lines(text, Math.floor(width / 7.5)).map(escape);
    const key = ["a", "b", "ab"].map((name, i) => `<span style="color:${colour(`--af-${name}`)}">■ ${["only A", "only B", "both"][i]}</span>`).join("  ");
    return [...fit(`${names.join(", ")}, tau\u00a0=\u00a0${data.tau}`).map((line) => `<b>${line}</b>`), ...sentences(data).flatMap(fit), ...(comparing ? [key] : [])];
  }

  /** PNG or SVG of a scene; `hit` is what `selection` lights.  What the page paints above the chart becomes part of it. */
  async function saveImage(format, scene, hit, selection) {
    const { data: traces, layout } = rings.figure(scene);
    const rest = hit ? 0.2 : 1, drawn = layout.shapes.map((shape) => ({ ...shape, opacity: shape.opacity * rest })), annotations = [];
    for (const line of hit?.lines ?? []) {
      const [[x0, y0], [x1, y1]] = scene.lineEnds(line);
      drawn.push({ type: "line", x0, y0, x1, y1, line: { color: colour(`--af-${nameOf(line[3])}`), width: 1.2 }, opacity: highlight.opacityOf(line, selection) });
    }
    for (const ring of scene.rings) {
      for (const node of ring.nodes.values()) {
        const on = hit?.nodes[ring.depth][node.token];
        if (on) {
          highlight.carried(scene, hit, ring, node).forEach((models, head) => {
            const path = `M${geometry.cellCorners(ring, node, head).map((point) => point.join(",")).join("L")}Z`;
            if (models) drawn.push({ type: "path", path, fillcolor: colour(`--af-${nameOf(models)}`), line: { width: 0 } });
          });
        }
        annotations.push({
          x: node.x, y: node.y, text: escape(node.name) || "·", textangle: rings.degrees(ring, node), showarrow: false, opacity: !hit || on ? 1 : 0.2,
          font: { size: ring.font, color: colour(`--af-${nameOf(on || node.models)}`) },
        });
      }
    }
    const above = heading(scene), top = 17 * above.length + 14, height = layout.height + top;
    annotations.push({ xref: "paper", yref: "paper", x: 0, y: 1, xshift: 8, xanchor: "left", yanchor: "bottom", align: "left", showarrow: false, text: above.join("<br>"), font: { size: 13 } });
    const figure = {
      data: traces.map((trace) => ({ ...trace, opacity: (trace.opacity ?? 1) * (hit ? 0.4 : 1) })),
      layout: { ...layout, height, margin: { ...layout.margin, t: top }, paper_bgcolor: colour("--block-background-fill"), shapes: drawn, annotations },
    };
    download(`attention-flow.${format}`, await Plotly.toImage(figure, { format, width: layout.width, height, scale: format === "png" ? 2 : 1 }));
  }

  /** A page of its own with the same data, scripts and interaction. */
  async function savePage(element, value, state) {
    const read = async (address) => (await fetch(address)).text();
    const scripts = await Promise.all([...document.querySelectorAll('script[src*="/attnflow/assets/"]')].map((script) => read(script.src)));
    const styles = await Promise.all([...document.querySelectorAll('link[href*="panels.css"]')].map((sheet) => read(sheet.href)));
    const body = element.querySelector(".af-radial").cloneNode(true), data = JSON.parse(value);
    body.removeAttribute("data-drawn");
    body.querySelectorAll(".af-overlay").forEach((layer) => layer.remove());
    body.querySelector(".af-table tbody").replaceChildren();
    body.querySelector(".af-chart").replaceWith(Object.assign(document.createElement("div"), { className: "af-chart", tabIndex: 0 }));
    body.querySelectorAll("[data-save]:not([data-save=png]):not([data-save=svg])").forEach((button) => button.remove());
    const theme = THEME.map((name) => `${name}: ${colour(name)};`).join(" "), models = data.models.map((model) => model.name).join(" and ");
    const inline = (source) => `<script>${source.replace(/<\/script/gi, "<\\/script")}</scr` + "ipt>";
    const json = (content) => JSON.stringify(content).replace(/</g, "\\u003c");
    download("attention-flow.html", `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Attention flow of ${escape(models)}</title><style>:root { ${theme} } body { max-width: 960px; margin: 1rem auto; padding: 0 1rem; font-family: var(--font); color: var(--body-text-color); background: var(--block-background-fill); } ${styles.join("\n")}</style></head>
<body class="${document.body.classList.contains("dark") ? "dark" : ""}"><main class="gradio-container"><p>${escape(models)}, tau = ${data.tau}</p>${sentences(data).map((text) => `<p>${escape(text)}</p>`).join("")}${body.outerHTML}</main>
${scripts.map(inline).join("\n")}
${inline(`Attnflow.saved = ${json(state)}; Attnflow.radial(document.querySelector("main"), { props: { value: ${json(value)} }, trigger() {}, watch() {} });`)}</body></html>`);
  }

  Object.assign(Attnflow, { save: { download, image: saveImage, page: savePage } });
})();
