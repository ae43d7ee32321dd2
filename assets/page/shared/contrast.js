// @ts-check
// Which of black and white is read on a colour.  No DOM here.

/**
 * Relative luminance of a colour, 0 to 1 (WCAG 2.2).
 * @param {number[]} colour red, green and blue, 0 to 255
 */
export function luminance(colour) {
  const [red, green, blue] = colour.map((value) => (value <= 10.31475 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/**
 * A colour laid over another with an opacity.
 * @param {number[]} colour
 * @param {number[]} ground
 * @param {number} opacity
 */
export const over = (colour, ground, opacity) => colour.map((value, i) => opacity * value + (1 - opacity) * ground[i]);

/**
 * Black or white, whichever has the higher contrast: 4.58 at least.
 * @param {number[]} ground
 */
export const ink = (ground) => (luminance(ground) > 0.179 ? "#000" : "#fff");
