// @ts-check
// Attention as pixels: one colour, as strong as the attention.
import { bytes } from "./bytes.js";
import { colour, rgb } from "./dom.js";

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 * @param {string} pixels `[height, width]` bytes as base64 text
 * @param {string} side whose colour it is
 */
export function paint(canvas, width, height, pixels, side) {
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), [red, green, blue] = rgb(colour(`--af-${side}`));
  const image = context.createImageData(width, height);
  bytes(pixels).forEach((value, index) => image.data.set([red, green, blue, value], 4 * index));
  context.putImageData(image, 0, 0);
}
