/** People who are small in a photo, as `sdnet_pl.inference.closer` in Python finds them: see there. */

import { round, stretch } from "./resize.js";

const LITTLE = 0.16;
const ENOUGH = 0.05;
const SCALES = [1, 2, 3];
const CANDIDATES = 6;
const SMALLEST = 0.0005;
const MARGINS = [0.35, 0.15];
const AGREEMENT = 0.85;
const STEPS = 3;
const [SOLID, FAINT, KNOWN] = [0.5, 0.1, 0.2].map((opacity) => 255 * opacity);

/**
 * The alpha of a photo that shows little of its people.
 *
 * @param {{data: Float32Array, width: number, height: number}} whole what `look` gives for the whole photo at `size`
 * @param {(box: Box, size: number) => Promise<typeof whole>} look the network on a part of the photo
 * @returns {Promise<Uint8ClampedArray | null>} levels in [0, 255] of the people who are confirmed; null where the photo
 *   shows more, or nobody is confirmed
 */
export async function findSmall(width, height, whole, size, look) {
  if (solid(whole) >= LITTLE) return null;
  let [found, covered] = [null, 0];
  for (const scale of SCALES) {
    if (covered >= ENOUGH || (found && scale === SCALES.at(-1))) break;
    if ((scale - 1) * size >= Math.max(width, height)) break; // every pixel of the photo has been seen
    const alpha = scale === 1 ? whole : await look({ top: 0, left: 0, bottom: height, right: width }, scale * size);
    for (const candidate of candidates(alpha, width, height)) {
      if (found && mean(found, width, candidate) > KNOWN) continue;
      const person = await confirm(width, height, candidate, size, look);
      if (!person) continue;
      found ??= new Uint8ClampedArray(width * height);
      covered += paste(found, width, person);
    }
  }
  return found;
}

function solid({ data }) {
  return data.reduce((count, value) => count + (value >= 0.5), 0) / data.length;
}

function mean(levels, width, { top, left, bottom, right }) {
  let sum = 0;
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += levels[y * width + x];
  return sum / ((bottom - top) * (right - left));
}

/** The part of the photo that the pasted person covers. */
function paste(found, width, { box, alpha }) {
  let count = 0;
  for (let y = box.top, from = 0; y < box.bottom; y++) {
    for (let x = box.left, to = y * width + x; x < box.right; x++, from++, to++) {
      found[to] = Math.max(found[to], alpha[from]);
      count += alpha[from] >= SOLID;
    }
  }
  return count / found.length;
}

/** In the photo, boxes around the largest connected parts of its alpha. */
function candidates({ data, width, height }, photoWidth, photoHeight) {
  const [x, y] = [photoWidth / width, photoHeight / height];
  const { parts } = label(data.map((value) => value >= 0.5), width, height);
  return parts
    .filter(({ count }) => count >= SMALLEST * data.length)
    .sort((a, b) => b.count - a.count)
    .slice(0, CANDIDATES)
    .map(({ box: { top, left, bottom, right } }) => ({
      top: Math.floor(top * y),
      left: Math.floor(left * x),
      bottom: round(bottom * y),
      right: round(right * x),
    }));
}

/** A crop and the levels of the person in it, if two looks agree that there is one. */
async function confirm(width, height, candidate, size, look) {
  let [seen, wide, first] = [candidate];
  for (let step = 0; step < STEPS; step++) {
    wide = grow(seen, MARGINS[0], width, height);
    first = part(await stretched(wide, size, look), wide, seen);
    if (!first.box) return null;
    seen = first.box;
    if (!endsAt(seen, wide, width, height)) break;
  }
  const narrow = grow(seen, MARGINS[1], width, height);
  const alpha = await stretched(narrow, size, look);
  const second = part(alpha, narrow, seen);
  let [both, either] = [0, 0];
  for (let y = Math.max(wide.top, narrow.top); y < Math.min(wide.bottom, narrow.bottom); y++) {
    for (let x = Math.max(wide.left, narrow.left); x < Math.min(wide.right, narrow.right); x++) {
      const a = first.mask[(y - wide.top) * (wide.right - wide.left) + x - wide.left];
      const b = second.mask[(y - narrow.top) * (narrow.right - narrow.left) + x - narrow.left];
      both += a & b;
      either += a | b;
    }
  }
  if (both < AGREEMENT * Math.max(1, either)) return null;
  // What is near and faint belongs to the person, what lies apart does not.
  const { labels } = label(alpha.map((level) => level >= FAINT), narrow.right - narrow.left, narrow.bottom - narrow.top);
  const own = new Set(labels.filter((_, i) => second.mask[i]));
  return { box: narrow, alpha: alpha.map((level, i) => (own.has(labels[i]) ? level : 0)) };
}

async function stretched(box, size, look) {
  return stretch(await look(box, size), box.right - box.left, box.bottom - box.top);
}

function grow({ top, left, bottom, right }, margin, width, height) {
  const by = round(margin * Math.max(bottom - top, right - left));
  return {
    top: Math.max(0, top - by),
    left: Math.max(0, left - by),
    bottom: Math.min(height, bottom + by),
    right: Math.min(width, right + by),
  };
}

/** Whether a box ends where a crop does, inside the photo. */
function endsAt(box, crop, width, height) {
  const limits = { top: 0, left: 0, bottom: height, right: width };
  return Object.keys(limits).some((side) => box[side] === crop[side] && box[side] !== limits[side]);
}

/** The connected part of a crop's levels that has most of a box: its mask, and its bounds in the photo if there is one. */
function part(levels, crop, box) {
  const [width, height] = [crop.right - crop.left, crop.bottom - crop.top];
  const { labels, parts } = label(levels.map((level) => level >= SOLID), width, height);
  const counts = new Int32Array(parts.length + 1);
  for (let y = Math.max(box.top, crop.top); y < Math.min(box.bottom, crop.bottom); y++) {
    for (let x = Math.max(box.left, crop.left); x < Math.min(box.right, crop.right); x++) {
      counts[labels[(y - crop.top) * width + x - crop.left]]++;
    }
  }
  counts[0] = 0;
  const most = counts.reduce((best, count, i) => (count > counts[best] ? i : best), 0);
  const mask = Uint8Array.from(labels, (value) => most > 0 && value === most);
  if (!most) return { mask };
  const { top, left, bottom, right } = parts[most - 1].box;
  const moved = { top: top + crop.top, left: left + crop.left, bottom: bottom + crop.top, right: right + crop.left };
  return { mask, box: moved };
}

/** Numbers from 1 for the parts of a mask that hang together, corners included; 0 elsewhere. */
function label(mask, width, height) {
  const labels = new Int32Array(mask.length);
  const stack = new Int32Array(mask.length);
  const parts = [];
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || labels[start]) continue;
    const box = { top: height, left: width, bottom: 0, right: 0 };
    let [count, filled] = [0, 1];
    stack[0] = start;
    labels[start] = parts.length + 1;
    while (filled) {
      const at = stack[--filled];
      const [x, y] = [at % width, Math.floor(at / width)];
      count++;
      box.top = Math.min(box.top, y);
      box.left = Math.min(box.left, x);
      box.bottom = Math.max(box.bottom, y + 1);
      box.right = Math.max(box.right, x + 1);
      for (let row = Math.max(0, y - 1); row < Math.min(height, y + 2); row++) {
        for (let column = Math.max(0, x - 1); column < Math.min(width, x + 2); column++) {
          const next = row * width + column;
          if (!mask[next] || labels[next]) continue;
          labels[next] = parts.length + 1;
          stack[filled++] = next;
        }
      }
    }
    parts.push({ box, count });
  }
  return { labels, parts };
}
