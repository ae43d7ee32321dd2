// @ts-check
// What colours the points: the choice, and a legend whose kinds filter.
import { make } from "../shared/dom.js";
import { number } from "../shared/numbers.js";
import { laidOut, PRESERVED, SHARED } from "./choices.js";
import { counts, digits } from "./columns.js";
import { put, without } from "./filters.js";
import { painted, shades } from "./palette.js";
import { button, choice, fill } from "./room.js";
/** @import { Column } from "./columns.js" */
/** @import { Colouring } from "./palette.js" */
/** @import { Kinds } from "./filters.js" */
/** @import { Acts, Room } from "./room.js" */

/**
 * @param {Element} box
 * @param {Acts} acts
 * @param {0 | 1} [index] of the plot whose own colour it is; of both plots without
 */
export function legend(box, acts, index) {
  const around = make("div", "af-tx-legend", undefined, box), own = index !== undefined, which = index ? "right" : "left";
  const select = choice(own ? "" : "Colour", around, (column) => (own ? acts.own(index, column) : acts.colour(column)), own ? `Colour of the ${which} plot` : "Colour the points by");
  const keys = make("span", "af-tx-keys", undefined, around);
  keys.role = "group";

  /**
   * @param {Room} room
   * @param {Column} column
   * @param {Colouring} colouring
   */
  function kinds({ choices: { filters }, mask }, column, { entries }) {
    const found = counts(column, mask), filter = /** @type {Kinds | undefined} */ (filters.find((other) => "kinds" in other && other.column === column.name));
    const all = entries.flatMap((entry) => entry.kinds), shown = new Set(filter?.kinds ?? all);
    for (const entry of entries) {
      const on = entry.kinds.some((kind) => shown.has(kind));
      const count = entry.kinds.reduce((sum, kind) => sum + found[Math.min(kind, column.kinds.length)], 0);
      const made = button("", keys, () => {
        for (const kind of entry.kinds) if (on) shown.delete(kind); else shown.add(kind);
        const left = all.filter((kind) => shown.has(kind)).sort((one, other) => one - other), whole = { column: column.name, kinds: left };
        acts.filter(left.length === all.length ? without(filters, [whole]) : put(filters, whole));
      }, on ? "Leave these texts out" : "Show these texts again");
      make("span", "af-tx-swatch", undefined, made).style.background = entry.colour;
      make("span", "af-tx-name", entry.name, made);
      make("span", "af-tx-quiet", number(count, 0), made);
      made.setAttribute("aria-pressed", String(on));
    }
  }
  /**
   * @param {string} low
   * @param {string} high
   * @param {boolean} dark
   */
  function ramp(low, high, dark) {
    const scale = make("span", "af-tx-scale", undefined, keys);
    make("span", "", low, scale);
    make("span", "af-tx-ramp", undefined, scale).style.background = `linear-gradient(to right, ${shades(dark).join(", ")})`;
    make("span", "", high, scale);
  }
  return {
    /** @param {Room} room */
    show(room) {
      const { collection, columns, choices, dark } = room, colour = own ? choices.own[index] : choices.colour, column = columns.get(colour);
      const colouring = painted(room, colour), { scale } = colouring;
      /** @type {[string, string][]} */
      const options = [["", "nothing"], ...[...columns.values()].map(({ name, title }) => /** @type {[string, string]} */ ([name, title]))];
      if (own) options.unshift([SHARED, "coloured as both"]);
      if (laidOut(collection)) options.push([PRESERVED, "neighbours kept"]);
      fill(select, options, colour);
      select.title = column?.help ?? (colour === PRESERVED ? "How many of a text's nearest neighbours a layout keeps; each plot its own." : "");
      const held = document.activeElement instanceof HTMLElement ? [...keys.children].indexOf(document.activeElement) : -1;
      keys.replaceChildren();
      keys.setAttribute("aria-label", column ? `Kinds of ${column.title}: press to leave out or show` : "Legend");
      if (colour === PRESERVED) ramp("none kept", "all kept", dark);
      else if (column?.kind === "kind") kinds(room, column, colouring);
      else if (column && scale) {
        ramp(`${scale.cutLow ? "≤ " : ""}${digits(scale.low)}`, `${scale.cutHigh ? "≥ " : ""}${digits(scale.high)}`, dark);
        button("Filter", keys, () => acts.edit(column.name), `Choose a range of ${column.title}`).classList.add("af-tx-framed");
      }
      const again = keys.children[held];
      if (again instanceof HTMLElement) again.focus();
    },
  };
}

