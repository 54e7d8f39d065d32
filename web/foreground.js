/** Colours of cut-outs, as `sdnet_pl.data.foreground_colors` in Python computes them. */

import { area, fit, places } from "./resize.js";

const REACH = 8; // pixels beyond the alpha in which colours go on: a program that resizes mixes them into edges
const SIDE = 1024; // longer side in pixels at which colours are blurred
const WINDOWS = [90, 6]; // of these blurs, in pixels at that side
const BLUR_SIDE = 512;
const BLUR_PART = 0.02; // standard deviation of a blurred background, of its longer side

/**
 * Turn a photo into its cut-out, in place.
 *
 * Half-transparent pixels of a photo mix person and background. Their own colours are estimated by blur fusion in two
 * stages (M. Forte, Approximate Fast Foreground Colour Estimation, ICIP 2021), with squared weights.
 *
 * @param {Uint8ClampedArray} pixels RGBA of the photo; becomes the cut-out's, with straight alpha
 * @param {Uint8ClampedArray} alpha a level in [0, 255] for each pixel
 * @param {number} side longer side in pixels at which colours are blurred; less is faster
 * @returns {Uint8ClampedArray} `pixels`
 */
export function cutOut(pixels, alpha, width, height, side = SIDE) {
  const near = reached(alpha, width, height);
  const { foreground, background, ...small } = blurs(pixels, alpha, width, height, side);
  const [columns, rows] = [places(small.width, width), places(small.height, height)];
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, alpha.length);
  for (let y = 0, i = 0; y < height; y++) {
    const [upper, lower, down] = [4 * rows.low[y] * small.width, 4 * rows.high[y] * small.width, rows.part[y]];
    for (let x = 0; x < width; x++, i++) {
      if (!near[i]) {
        words[i] = 0;
        continue;
      }
      if (alpha[i] < 255) {
        const [left, right, along] = [4 * columns.low[x], 4 * columns.high[x], columns.part[x]];
        const between = (data, channel) => {
          const above = data[upper + left + channel] * (1 - along) + data[upper + right + channel] * along;
          const below = data[lower + left + channel] * (1 - along) + data[lower + right + channel] * along;
          return Math.round(above + down * (below - above));
        };
        for (let channel = 0; channel < 3; channel++) {
          const own = between(foreground, channel);
          pixels[4 * i + channel] = fuse(alpha[i] / 255, pixels[4 * i + channel], own, between(background, channel));
        }
      }
    }
  }
  return pixels;
}

/**
 * The background of a photo, blurred without the people, who would shine around themselves.
 *
 * @param {Uint8ClampedArray} pixels RGBA of the photo; its alpha is replaced
 * @param {Uint8ClampedArray} alpha a level in [0, 255] for each pixel
 * @returns {ImageData} of 512 pixels on the longer side at most; a blur needs no more
 */
export function blurredBackground(pixels, alpha, width, height) {
  const small = shrink(pixels, alpha, width, height, BLUR_SIDE);
  // Three means over this window are as wide as a Gaussian: each has the variance (window² - 1) / 12.
  const window = Math.round(Math.sqrt(4 * (BLUR_PART * Math.max(small.width, small.height)) ** 2 + 1));
  const sums = weighted(small.colors, small.alpha, (opacity) => (1 - opacity) ** 2 + 1e-4);
  for (let times = 0; times < 3; times++) boxBlur(sums, small.width, small.height, window);
  const result = new ImageData(small.width, small.height);
  for (let i = 0; i < sums.length; i += 4) {
    for (let channel = 0; channel < 3; channel++) result.data[i + channel] = sums[i + channel] / sums[i + 3];
    result.data[i + 3] = 255;
  }
  return result;
}

/** Whether alpha is seen within 8 pixels above, below, left or right of each pixel, corners included. */
function reached(alpha, width, height) {
  const seen = new Uint8Array(alpha.length);
  const counts = new Uint8Array(width); // of the rows near this one that show something in each column
  const add = (y, sign) => {
    if (y < 0 || y >= height) return;
    for (let x = 0, i = y * width; x < width; x++, i++) if (alpha[i]) counts[x] += sign;
  };
  for (let y = -REACH; y < height; y++) {
    add(y + REACH, 1);
    add(y - REACH - 1, -1);
    if (y < 0) continue;
    for (let x = 0, until = 0, row = y * width; x < width; x++) {
      if (!counts[x]) continue;
      const end = Math.min(width, x + REACH + 1);
      for (let column = Math.max(until, x - REACH); column < end; column++) seen[row + column] = 1;
      until = end;
    }
  }
  return seen;
}

/** The photo scaled down: its colours in [0, 255], four numbers a pixel of which three count, and alpha in [0, 1]. */
function shrink(pixels, alpha, width, height, side) {
  for (let i = 0; i < alpha.length; i++) pixels[4 * i + 3] = alpha[i];
  const [small, rows] = fit(width, height, side);
  const colors = new Float32Array(area(pixels, width, { top: 0, left: 0, bottom: height, right: width }, small, rows));
  const opacity = new Float32Array(colors.length / 4);
  for (let i = 0; i < opacity.length; i++) opacity[i] = colors[4 * i + 3] / 255;
  return { colors, alpha: opacity, width: small, height: rows };
}

/** Blurred colours of person and background in [0, 255], four numbers a pixel of which three count. */
function blurs(pixels, alpha, width, height, side) {
  const small = shrink(pixels, alpha, width, height, side);
  const [wide, narrow] = WINDOWS.map((window) => Math.floor((window * side) / SIDE));
  // Out of reach of any weight the plain blur is as good as another colour.
  const own = (opacity) => opacity * opacity + 1e-5;
  const others = (opacity) => own(1 - opacity);
  const blur = (colors, weight, window) => {
    const sums = weighted(colors, small.alpha, weight);
    boxBlur(sums, small.width, small.height, window);
    for (let i = 0; i < sums.length; i += 4) {
      const part = 1 / sums[i + 3];
      sums[i] *= part;
      sums[i + 1] *= part;
      sums[i + 2] *= part;
    }
    return sums;
  };
  const background = blur(small.colors, others, wide);
  const foreground = blur(small.colors, own, wide);
  for (let i = 0; i < small.alpha.length; i++) {
    for (let at = 4 * i; at < 4 * i + 3; at++) {
      foreground[at] = fuse(small.alpha[i], small.colors[at], foreground[at], background[at]);
    }
  }
  return {
    foreground: new Uint8ClampedArray(blur(foreground, own, narrow)),
    background: new Uint8ClampedArray(blur(background, others, narrow)),
    width: small.width,
    height: small.height,
  };
}

/** F + α(I − αF − (1−α)B) within [0, 255]. */
function fuse(alpha, photo, foreground, background) {
  const value = foreground + alpha * (photo - background + alpha * (background - foreground));
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Colours times a weight that follows from alpha, and the weight as fourth number of each pixel. */
function weighted(colors, alpha, weigh) {
  const result = new Float32Array(colors.length);
  for (let i = 0, to = 0; i < alpha.length; i++, to += 4) {
    const weight = weigh(alpha[i]);
    result[to] = colors[to] * weight;
    result[to + 1] = colors[to + 1] * weight;
    result[to + 2] = colors[to + 2] * weight;
    result[to + 3] = weight;
  }
  return result;
}

/** Replace pixels of four numbers by sums over windows; beyond the border the picture is mirrored (as cv2.blur). */
function boxBlur(data, width, height, window) {
  const back = window >> 1;
  const rows = new Float32Array(data.length);
  const start = mirrored(-back, width, 4, window);
  const [first, last] = [0, window].map((end) => mirrored(end - back, width, 4));
  for (let y = 0; y < height; y++) {
    const row = 4 * y * width;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < window; i++) {
      const from = row + start[i];
      a += data[from];
      b += data[from + 1];
      c += data[from + 2];
      d += data[from + 3];
    }
    for (let x = 0, to = row; x < width; x++, to += 4) {
      rows[to] = a;
      rows[to + 1] = b;
      rows[to + 2] = c;
      rows[to + 3] = d;
      const leaving = row + first[x];
      const entering = row + last[x];
      a += data[entering] - data[leaving];
      b += data[entering + 1] - data[leaving + 1];
      c += data[entering + 2] - data[leaving + 2];
      d += data[entering + 3] - data[leaving + 3];
    }
  }
  const sums = new Float64Array(4 * width);
  const [above, below] = [0, window].map((end) => mirrored(end - back, height, sums.length));
  for (const from of mirrored(-back, height, sums.length, window)) {
    for (let x = 0; x < sums.length; x++) sums[x] += rows[from + x];
  }
  for (let y = 0; y < height; y++) {
    const row = y * sums.length;
    const leaving = above[y];
    const entering = below[y];
    for (let x = 0; x < sums.length; x++) {
      data[row + x] = sums[x];
      sums[x] += rows[entering + x] - rows[leaving + x];
    }
  }
}

/** Where the pixels (or rows) from `start` on lie, mirrored at both ends, in an array of `step` numbers each. */
function mirrored(start, count, step, length = count) {
  const period = Math.max(1, 2 * (count - 1));
  return Int32Array.from({ length }, (_, i) => {
    const place = (((start + i) % period) + period) % period;
    return step * (place < count ? place : period - place);
  });
}
