// @ts-check
// Making and finding elements.  Whatever a person or a tokenizer wrote goes into the page as textContent, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * A new element with a class and text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string} [text]
 * @param {Element} [parent]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className, text, parent) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number>} attributes
 * @param {Element} [parent]
 * @returns {SVGElementTagNameMap[K]}
 */
export function makeSvg(tag, attributes, parent) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  parent?.append(node);
  return node;
}

/**
 * The part of a panel that its template holds.
 * @template {HTMLElement} T
 * @param {Element} element
 * @param {string} selector
 * @returns {T}
 */
export function part(element, selector) {
  /** @type {T | null} */
  const found = element.querySelector(selector);
  if (!found) throw new Error(`The panel has no ${selector}; its template in panels.py must hold one.`);
  return found;
}

/**
 * The same for all that a selector finds.
 * @param {Element} element
 * @param {string} selector
 * @returns {HTMLElement[]}
 */
export const parts = (element, selector) => [...element.querySelectorAll(selector)].filter((found) => found instanceof HTMLElement);

/**
 * A colour or font of the page's theme, by the name of its CSS property.
 * @param {string} name
 */
export const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

/**
 * Red, green and blue of any colour that CSS knows, from 0 to 255.
 * @param {string} text
 */
export function rgb(text) {
  const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d", { willReadFrequently: true }));
  pen.fillStyle = text;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

/**
 * The head of a card: which model, in its colour, and its name.
 * @param {string} side
 * @param {string} name
 * @param {Element} card
 */
export function titled(side, name, card) {
  const head = make("header", "", undefined, card);
  make("span", "af-badge", { a: "A", b: "B", ab: "Δ" }[side] ?? "B−A", head);
  make("strong", "", name, head).title = name;
  return head;
}
