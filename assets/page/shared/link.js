// @ts-check
// The query string of the page, which restores what is shown; a saved page has it inside.

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
  if (location.protocol === "file:") return; // a saved page
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null) query.delete(name);
    else query.set(name, String(value));
  }
  history.replaceState(history.state, "", `${location.pathname}?${query}${location.hash}`);
}
