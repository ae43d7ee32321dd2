// The sentence-context ring beside the radial view: the angle is the place in the sentence, the same in every ring.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { geometry, nameOf, makeSvg } = Attnflow;

  Attnflow.context = (element) => {
    let dots = []; // [depth, token, circle]

    function draw({ rings, text, second }) {
      element.replaceChildren();
      const svg = makeSvg("svg", { viewBox: "-60 -60 120 120", role: "img", "aria-label": "Where the words of each ring stand in the sentences" }, element);
      const everything = text.map((_, token) => token);
      const full = geometry.layout(rings.map(() => everything), second, 1, 56);
      dots = [];
      for (const { depth, nodes } of rings.slice(1)) {
        makeSvg("circle", { r: full[depth].r, class: "af-orbit" }, svg);
        for (const { token, models } of nodes.values()) {
          const { x, y } = full[depth].nodes.get(token);
          dots.push([depth, token, makeSvg("circle", { cx: x.toFixed(1), cy: (-y).toFixed(1), r: 1.7, class: `af-${nameOf(models)}`, "data-place": `${depth} ${token}` }, svg)]);
        }
      }
    }

    function light(hit) {
      element.classList.toggle("af-lit", Boolean(hit));
      for (const [depth, token, dot] of dots) dot.classList.toggle("af-on", Boolean(hit?.nodes[depth][token]));
    }

    return { draw, light };
  };
})();
