// @ts-check
// What all panels share: a value comes, the theme or the size changes, and the panel is drawn; a bar tells what it waits for.
import { bar } from "./work.js";

/**
 * What Gradio gives a panel: `props.value` is JSON text, `trigger` tells Python of an event, `watch` of a change of a property.
 * @typedef {object} Gradio
 * @property {{ value?: string | null, [name: string]: any }} props
 * @property {(name: string, data: object) => void} trigger
 * @property {(property: string, told: () => void) => void} watch
 */

/**
 * Call `draw(data)` now and when Python sends a new value, `redraw(data)` when the theme changes or the panel is resized,
 * and `clear()` when there is nothing to show.  What comes while a tab is hidden is drawn when it is shown.
 * @template T
 * @param {Gradio} gradio
 * @param {HTMLElement} box
 * @param {object} does
 * @param {(data: T, box: HTMLElement) => void | Promise<void>} does.draw
 * @param {(data: T, box: HTMLElement) => void | Promise<void>} [does.redraw]
 * @param {(box: HTMLElement) => void} [does.clear]
 * @param {(box: HTMLElement) => void} [does.leave]
 */
export function panel({ props, trigger, watch }, box, { draw, redraw = draw, clear = () => {}, leave = () => {} }) {
  /** @type {T | null} */
  let data = null;
  let stale = true, width = 0, dark = document.body.classList.contains("dark");
  async function show() {
    if (!box.clientWidth) return; // a hidden tab
    width = box.clientWidth;
    const fresh = stale;
    stale = false;
    if (data) await (fresh ? draw : redraw)(data, box);
    else clear(box);
    if (fresh) box.dataset.drawn = String(Number(box.dataset.drawn ?? 0) + 1); // tells tests that a new value is drawn
  }
  /** @type {string | null | undefined} */
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
  const work = bar(box, () => trigger("cancel", {}));
  watch("work", () => work(props.work));
  work(props.work);
}
