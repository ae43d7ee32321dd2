// @ts-check
// Keeps Gradio from telling all that an event reads of each step of every later event, and from counting on once it has started.

const WITHIN = 2000; // milliseconds

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

/**
 * The loader that Gradio shows until the page is there counts on in each frame after it was taken away.  Each time it looks at the
 * clock and asks for its next frame; frames are numbered, so the one that it asks for then is known, and is cancelled.
 * @param {string} address of the script that has the loader; where none of it counts, nothing is changed
 */
export function endCount(address) {
  const own = performance.now;
  const restore = () => { performance.now = own; };
  performance.now = () => {
    if (new Error().stack?.includes(address)) {
      restore();
      const before = requestAnimationFrame(() => {});
      cancelAnimationFrame(before);
      queueMicrotask(() => cancelAnimationFrame(before + 1));
    }
    return own.call(performance);
  };
  setTimeout(restore, WITHIN);
}
