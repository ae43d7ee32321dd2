// The rings as a table of buttons, for keyboard and screen reader; filled only while it is open.
(() => {
  "use strict";
  const Attnflow = (globalThis.Attnflow ??= {});
  const { selection: select, nameOf, make } = Attnflow;

  /** `choose(depth, token, added)` is called when a token is pressed; `added` with Shift. */
  Attnflow.table = (element, choose) => {
    let scene = null, hit = null, frozen = null;

    function fill() {
      const body = element.querySelector("tbody");
      body.replaceChildren();
      for (const { depth, nodes } of scene.rings) {
        const row = make("tr", "", undefined, body);
        make("th", "", scene.ringName(depth), row).scope = "row";
        const cell = make("td", "", undefined, row);
        for (const { token, models } of [...nodes.values()].sort((p, q) => p.token - q.token)) {
          const button = make("button", `af-token-button af-${nameOf(models)}`, scene.text[token], cell);
          button.type = "button";
          button.dataset.row = `${depth} ${token}`;
          button.title = attention(depth, token, models);
          button.addEventListener("click", (event) => choose(depth, token, event.shiftKey));
        }
      }
      mark();
    }

    function attention(depth, token, models) {
      return scene.active.filter((i) => models & (1 << i)).map((i) => {
        const graph = scene.graphs[i], pairs = graph.attendersOf(depth, token).reduce((sum, e) => sum + graph.headsOf(e).length, 0);
        return `${scene.graphs.length > 1 ? `${"AB"[i]}: ` : ""}attended to by ${select.plural(pairs, "head")}`;
      }).join(", ");
    }

    function mark() {
      for (const button of element.querySelectorAll("[data-row]")) {
        const [depth, token] = button.dataset.row.split(" ").map(Number);
        button.classList.toggle("af-on", Boolean(hit?.nodes[depth]?.[token]));
        button.setAttribute("aria-pressed", String(Boolean(frozen?.ends.some((end) => end.depth === depth && end.tokens.includes(token)))));
      }
    }

    element.addEventListener("toggle", () => { if (element.open && scene) fill(); });
    return {
      draw(shown) { scene = shown; if (element.open) fill(); },
      light(found, held) { [hit, frozen] = [found, held]; if (element.open) mark(); },
    };
  };
})();
