// @ts-check
// Says what a page waits for that gets no connection: over HTTP/1.1 a browser opens six to a server, for all its tabs together, and
// each tab keeps one for as long as the server works for it.

import { make } from "./dom.js";
import { plural } from "./numbers.js";

/** Connections that a browser opens to one server over HTTP/1.1. */
const SIX = 6;
const PATIENCE = 4000; // milliseconds without an answer
const APART = 1000; // milliseconds between two looks at who else keeps a connection
const CHANNEL = "attnflow-connections";

/**
 * What a page says that waits for an answer.
 * @param {number} tabs other tabs of this browser that keep a connection
 */
export function waiting(tabs) {
  if (tabs < SIX - 1) return "The server has not answered yet; this page goes on by itself once it does.";
  return `This page waits for a free connection: a browser opens ${SIX} to this server, and the server works for ${plural(tabs, "other tab")}. It goes on by itself once one of them is done; to go on sooner, close one of them.`;
}

/**
 * Watch all that the page asks of the server, and say so while it gets no answer.
 * @param {{ fetch: typeof fetch }} [browser] what has the function that asks
 */
export function watchConnections(browser = globalThis) {
  const ask = browser.fetch, channel = new BroadcastChannel(CHANNEL), own = Math.random();
  /** @type {Set<object>} */
  const late = new Set();
  /** @type {Set<number>} */
  let others = new Set();
  /** @type {HTMLElement | null} */
  let notice = null;
  let kept = 0; // connections that this page keeps
  let looks = 0;

  channel.onmessage = ({ data: [kind, tab] }) => {
    if (kind === "who" && kept) channel.postMessage(["here", own]);
    if (kind === "here") others.add(tab);
  };

  function tell() {
    if (!late.size) {
      clearInterval(looks);
      looks = 0;
      notice?.remove();
      notice = null;
      return;
    }
    notice ??= make("p", "af-waiting", undefined, document.body);
    notice.setAttribute("role", "status");
    const told = waiting(others.size);
    if (notice.textContent !== told) notice.textContent = told; // or it would be read aloud again
    look();
  }

  function look() {
    others = new Set();
    channel.postMessage(["who", own]);
  }

  /** @param {object} one */
  function wait(one) {
    late.add(one);
    if (looks) return;
    look();
    looks = Number(setInterval(tell, APART));
  }

  /** @type {typeof fetch} */
  async function asking(what, how) {
    const address = what instanceof Request ? what.url : String(what), one = {};
    if (!address.includes("/gradio_api/")) return ask.call(globalThis, what, how);
    const signal = what instanceof Request ? what.signal : how?.signal, stream = address.includes("/queue/data");
    const timer = setTimeout(wait, PATIENCE, one);
    try {
      const answer = await ask.call(globalThis, what, how);
      if (stream && signal && !signal.aborted) {
        kept += 1;
        signal.addEventListener("abort", () => { kept -= 1; }, { once: true });
      }
      return answer;
    } finally {
      clearTimeout(timer);
      if (late.delete(one)) tell();
    }
  }
  browser.fetch = asking;
}
