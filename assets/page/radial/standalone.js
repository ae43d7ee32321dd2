// @ts-check
// The radial view as a page of its own: saved, or in the frame of a notebook's cell, whose height and colours it follows.

import { luminance } from "../shared/contrast.js";
import { part, rgb } from "../shared/dom.js";
import { restore } from "../shared/link.js";
import { mount } from "./radial.js";

/**
 * Draw the page.
 * @param {HTMLElement} element
 * @param {string} value a `Radial` as JSON text
 * @param {Record<string, string>} state what is shown first, as the address of a page tells it
 * @param {"auto" | "light" | "dark"} theme
 */
export function start(element, value, state, theme) {
  for (const kind of ["html", "json", "csv"]) part(element, `[data-save="${kind}"]`).remove(); // they come from Python
  follow(theme);
  restore(state);
  mount(element, { props: { value }, trigger() {}, watch() {} });
  fit(element);
}

/**
 * Wear the colours that are asked for, or those of what the page stands in.
 * @param {"auto" | "light" | "dark"} theme
 */
function follow(theme) {
  const preferred = matchMedia("(prefers-color-scheme: dark)"), frame = window.frameElement;
  const wear = () => document.body.classList.toggle("dark", theme === "auto" ? (frame && isDark(frame)) ?? preferred.matches : theme === "dark");
  wear();
  if (theme !== "auto") return;
  preferred.addEventListener("change", wear);
  const themes = new MutationObserver(wear);
  for (const outer of frame ? [frame.ownerDocument.documentElement, frame.ownerDocument.body] : []) themes.observe(outer, { attributes: true });
}

/**
 * Whether an element stands on a dark ground; null if nothing around it has a colour.
 * @param {Element} element
 */
function isDark(element) {
  for (let around = element.parentElement; around; around = around.parentElement) {
    const { backgroundColor } = getComputedStyle(around);
    if (!/^rgba\(.*, 0\)$|^transparent$/.test(backgroundColor)) return luminance(rgb(backgroundColor)) < 0.179;
  }
  return null;
}

/**
 * Make the frame as high as what is in it.
 * @param {HTMLElement} element
 */
function fit(element) {
  const frame = window.frameElement;
  if (!(frame instanceof (frame?.ownerDocument.defaultView?.HTMLElement ?? HTMLElement))) return;
  document.documentElement.style.overflow = "hidden";
  new ResizeObserver(() => { frame.style.height = `${Math.ceil(element.getBoundingClientRect().height)}px`; }).observe(element);
}
