// @ts-check
// The filters: chips of those that are on, ready ones, and the form of another one.
import { make } from "../shared/dom.js";
import { editor } from "./editor.js";
import { holds, ready, toggled, without } from "./filters.js";
import { button, choice, fill } from "./room.js";
import { counted, told } from "./words.js";
/** @import { Acts, Room } from "./room.js" */

const WORDS = "~words";

/**
 * @param {Element} box
 * @param {Acts} acts
 * @param {() => Room} room
 */
export function chips(box, acts, room) {
  const around = make("section", "af-tx-filters", undefined, box);
  around.setAttribute("aria-label", "Filters");
  const top = make("p", "af-tx-bar", undefined, around), count = make("strong", "af-tx-count", undefined, top), about = make("span", "af-tx-quiet", undefined, top);
  count.role = "status";
  const bar = make("div", "af-tx-bar", undefined, around);
  const select = choice("", bar, (name) => edit(name), "Add a filter");
  const offered = make("span", "af-tx-bar", undefined, bar);
  const list = make("div", "af-tx-bar af-tx-chips", undefined, around), form = make("div", "af-tx-editor", undefined, around);
  form.hidden = true;

  let edited = "";
  const fillForm = () => editor(form, edited === WORDS ? "" : edited, room, acts, close);
  function close() {
    form.hidden = true;
    select.value = "";
    select.focus();
  }
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation(); // the selection stays
    close();
  });
  /** @param {string} name of a column, or of what is no column */
  function edit(name) {
    if (!name) return;
    form.hidden = false;
    edited = name;
    fillForm();
    form.querySelector("input")?.focus();
    form.scrollIntoView({ block: "nearest" });
    select.value = "";
  }
  /** @param {Room} room */
  function show({ collection, columns, choices: { filters }, count: some, selected, selection, found }) {
    about.textContent = collection.about;
    count.textContent = counted(some, collection.n) + (selection ? `, ${selected.toLocaleString("en")} selected` : "");
    /** @type {[string, string][]} */
    const options = [["", "Add a filter …"], [WORDS, "words in the text"]];
    for (const { name, title } of columns.values()) options.push([name, title]);
    fill(select, options, "");
    const former = [...offered.children].indexOf(/** @type {Element} */ (document.activeElement));
    offered.replaceChildren();
    for (const { title, conditions } of ready(columns)) {
      button(title, offered, () => acts.filter(toggled(filters, conditions))).setAttribute("aria-pressed", String(holds(filters, conditions)));
    }
    const again = offered.children[former];
    if (again instanceof HTMLElement) again.focus();
    const inside = list.contains(document.activeElement);
    list.replaceChildren();
    for (const condition of filters) {
      const chip = make("span", "af-tx-chip", undefined, list), said = told(condition, columns);
      if ("text" in condition) make("span", "af-tx-said", found.has(condition.text) ? said : `${said} (searching …)`, chip);
      else button(said, chip, () => edit(condition.column), "Change this filter").className = "af-tx-said";
      const gone = button("×", chip, () => acts.filter(without(filters, [condition])));
      gone.setAttribute("aria-label", `Take out the filter: ${said}`);
    }
    if (filters.length) button("Clear all", list, () => { form.hidden = true; acts.select(null, false); acts.filter([]); });
    if (!form.hidden && edited !== WORDS && !form.contains(document.activeElement)) fillForm(); // the filter was changed elsewhere
    if (inside) (list.querySelector("button") ?? select).focus();
  }
  return { show, edit };
}
