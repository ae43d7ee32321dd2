// @ts-check
// The query string of the page, which restores what is shown; a saved page has it inside.
/** @import { LinkedSetting } from "../payloads.js" */

/** @type {Record<string, string>} */
let saved = {};

/**
 * What a saved page shows first.
 * @param {Record<string, string>} values
 */
export function restore(values) {
  saved = values;
}

/** @param {string} name */
export const get = (name) => new URLSearchParams(location.search).get(name) ?? saved[name] ?? "";

/**
 * Change the address; what is empty is left out.
 * @param {Record<string, string | number | null>} values
 */
export function set(values) {
  if (!location.protocol.startsWith("http")) return; // a saved page, or a frame of a notebook
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null) query.delete(name);
    else query.set(name, String(value));
  }
  history.replaceState(history.state, "", `${location.pathname}?${query}${location.hash}`);
}

/**
 * Keep what is set on the page in its address.
 * @param {LinkedSetting[]} settings
 * @param {unknown[]} values one for each
 */
export function remember(settings, values) {
  const now = new Map(settings.map(({ name }, index) => [name, values[index]]));
  const told = settings.filter(({ link }) => link).map(({ name, link, unless, plain }) => {
    const value = now.get(name), left = unless ? now.get(unless) : JSON.stringify(value) === JSON.stringify(plain);
    return [link, left ? "" : written(value)];
  });
  set(Object.fromEntries(told));
}

/**
 * A value as a text of the address: a switch is "1" or "0", a list has commas.
 * @param {unknown} value
 */
function written(value) {
  if (typeof value === "boolean") return value ? "1" : "0";
  return Array.isArray(value) ? value.join(",") : String(value ?? "");
}
