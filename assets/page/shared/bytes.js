// @ts-check
// Arrays as Python sends them: base64 text of their bytes.  No DOM here.

/**
 * @param {string} text base64
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function bytes(text) {
  const letters = atob(text), read = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) read[i] = letters.charCodeAt(i);
  return read;
}
