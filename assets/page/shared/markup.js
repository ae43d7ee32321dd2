// @ts-check
// Texts that go into the markup of Plotly, which reads <s> and </s> as tags and shows nothing.  No DOM here.

/** @param {string} text */
export const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
