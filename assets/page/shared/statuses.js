// @ts-check
// Keeps Gradio from telling all that an event reads of each step of every later event, and copying what it shows to do so.

/**
 * Gradio's list of what is shown to be at work, in the module that has it.
 * @typedef {{ prototype: { resolve_args: (message: object) => { type: string }[] } }} Statuses
 */

/**
 * When an event ends, Gradio takes what it reads for streams that closed, and keeps that in its list.  Here nothing is a stream.
 * @param {Record<string, any>} module of Gradio; one without such a list is left as it is
 */
export function outputsAlone(module) {
  /** @type {Statuses | undefined} */
  const statuses = Object.values(module).find((one) => one?.prototype?.resolve_args);
  if (!statuses) return;
  const all = statuses.prototype.resolve_args;
  statuses.prototype.resolve_args = function (message) {
    return all.call(this, message).filter(({ type }) => type !== "input");
  };
}
