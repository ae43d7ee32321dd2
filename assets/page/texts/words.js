// @ts-check
// Filters, selection and order in words.  No DOM here.
import { number, plural } from "../shared/numbers.js";
import { digits, MISSING } from "./columns.js";
/** @import { Column, Columns } from "./columns.js" */
/** @import { Condition } from "./filters.js" */

/**
 * @param {string[]} names
 * @param {string} last
 */
const listed = (names, last) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${last} ${names.at(-1)}`);

/**
 * @param {Column} column
 * @param {number} kind
 */
export const kindName = ({ kinds }, kind) => (kind === MISSING ? "none" : kinds[kind] ?? "?");

/**
 * A condition as it stands on its chip: "loss of A from 0.5 to 2", "label is no or maybe", "text has “bank”".
 * @param {Condition} condition
 * @param {Columns} columns
 */
export function told(condition, columns) {
  if ("text" in condition) return `text has “${condition.text}”`;
  const column = columns.get(condition.column), title = column?.title ?? condition.column;
  if ("kinds" in condition) {
    if (!column) return title;
    const all = column.kinds.length, names = condition.kinds.map((kind) => kindName(column, kind));
    const gone = [...column.kinds.keys()].filter((kind) => !condition.kinds.includes(kind)).map((kind) => column.kinds[kind]);
    if (String(column.kinds) === "no,yes") return `${title}: ${listed(names, "or")}`;
    if (!names.length) return `no kind of ${title}`;
    return gone.length && gone.length < all / 2 && names.length > 2 ? `${title} is not ${listed(gone, "or")}` : `${title} is ${listed(names, "or")}`;
  }
  const { low, high } = condition;
  if (low === null && high === null) return `${title}: any`;
  if (low === null) return `${title} at most ${digits(high)}`;
  return high === null ? `${title} at least ${digits(low)}` : `${title} from ${digits(low)} to ${digits(high)}`;
}

/**
 * Filters and selection in a sentence, without a point at its end.
 * @param {Condition[]} filters
 * @param {Columns} columns
 * @param {number} selected how many are selected; 0 if nothing is
 */
export function slice(filters, columns, selected) {
  const said = filters.map((condition) => told(condition, columns));
  if (selected) said.push(`${plural(selected, "text")} selected in the map`);
  return said.length ? said.join("; ") : "all texts";
}

/**
 * @param {number} some
 * @param {number} all
 */
export const counted = (some, all) => (some === all ? plural(all, "text") : `${number(some, 0)} of ${plural(all, "text")}`);

/**
 * How well a layout keeps neighbours.
 * @param {{ trustworthiness: number | null, continuity: number | null, neighbours: number, note: string }} layout
 */
export function trust({ trustworthiness, continuity, neighbours, note }) {
  const measured = trustworthiness === null || continuity === null ? ""
    : `Trustworthiness ${number(trustworthiness)}, continuity ${number(continuity)} (of ${neighbours} neighbours). `;
  return `${measured}Only who is near whom means something; axes have no unit.${note && ` ${note}`}`;
}
