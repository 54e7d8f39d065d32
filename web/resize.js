/**
 * Resizing as OpenCV does it, so that the network sees here what it sees in Python. A canvas resizes otherwise, and
 * each browser in its own way.
 */

/** A number rounded as Python's `round` does: halves go to the even neighbour. */
export function round(value) {
  const nearest = Math.round(value);
  return nearest - value === 0.5 && nearest % 2 ? nearest - 1 : nearest;
}

/** Width and height of a picture whose longer side is scaled down to `side` pixels; a smaller picture stays. */
export function fit(width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return [Math.max(1, round(scale * width)), Math.max(1, round(scale * height))];
}

/**
 * For each new pixel along one side, the first old pixel that it covers, and from `starts[i]` up to `starts[i + 1]` in
 * `weights` how much of it each one is.
 */
function shares(from, to) {
  const scale = from / to;
  const [first, starts, weights] = [new Int32Array(to), new Int32Array(to + 1), []];
  for (let i = 0; i < to; i++) {
    const [start, end] = [i * scale, (i + 1) * scale];
    const cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const whole = Math.min(Math.ceil(start), last);
    const before = whole - start > 1e-3;
    first[i] = before ? whole - 1 : whole;
    if (before) weights.push((whole - start) / cell);
    for (let covered = whole; covered < last; covered++) weights.push(1 / cell);
    if (end - last > 1e-3) weights.push(Math.min(end - last, 1, cell) / cell);
    starts[i + 1] = weights.length;
  }
  return { first, starts, weights: Float32Array.from(weights) };
}

/**
 * Scale a part of a picture down by the mean of what each pixel covers (cv2.INTER_AREA).
 *
 * @param {Uint8ClampedArray} pixels RGBA
 * @param {number} stride width of the picture
 * @param {{top: number, left: number, bottom: number, right: number}} box the part; `bottom` and `right` are exclusive
 * @returns {Uint8ClampedArray} RGBA of `width` times `height` pixels; the alpha is scaled like a colour
 */
export function area(pixels, stride, box, width, height) {
  const [columns, rows] = [shares(box.right - box.left, width), shares(box.bottom - box.top, height)];
  const result = new Uint8ClampedArray(4 * width * height); // rounds halves to even, as OpenCV does
  const [narrow, sum] = [new Float32Array(4 * width), new Float32Array(4 * width)];
  let done = -1; // the row that `narrow` holds: neighbours share one
  for (let y = 0; y < height; y++) {
    sum.fill(0);
    for (let i = rows.starts[y]; i < rows.starts[y + 1]; i++) {
      const row = box.top + rows.first[y] + i - rows.starts[y];
      if (row !== done) narrowRow(pixels, 4 * (row * stride + box.left), columns, narrow);
      done = row;
      const part = rows.weights[i];
      for (let x = 0; x < sum.length; x++) sum[x] += part * narrow[x];
    }
    result.set(sum, y * sum.length);
  }
  return result;
}

function narrowRow(pixels, start, { first, starts, weights }, narrow) {
  for (let x = 0; x < first.length; x++) {
    let from = start + 4 * first[x];
    let red = 0;
    let green = 0;
    let blue = 0;
    let alpha = 0;
    for (let i = starts[x]; i < starts[x + 1]; i++, from += 4) {
      const weight = weights[i];
      red += weight * pixels[from];
      green += weight * pixels[from + 1];
      blue += weight * pixels[from + 2];
      alpha += weight * pixels[from + 3];
    }
    narrow[4 * x] = red;
    narrow[4 * x + 1] = green;
    narrow[4 * x + 2] = blue;
    narrow[4 * x + 3] = alpha;
  }
}

/** For each new pixel along one side: the two old ones that it lies between, and how far along it is, in [0, 1). */
export function places(from, to) {
  const [low, high, part] = [new Int32Array(to), new Int32Array(to), new Float32Array(to)];
  for (let i = 0; i < to; i++) {
    const place = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    low[i] = Math.floor(place);
    high[i] = Math.min(low[i] + 1, from - 1);
    part[i] = place - low[i];
  }
  return { low, high, part };
}

/**
 * Stretch an alpha between its pixels (cv2.INTER_LINEAR) to the size of its photo.
 *
 * @param {{data: Float32Array, width: number, height: number}} alpha in [0, 1]
 * @returns {Uint8ClampedArray} `height` rows of `width` levels in [0, 255]
 */
export function stretch(alpha, width, height) {
  const [columns, rows] = [places(alpha.width, width), places(alpha.height, height)];
  const result = new Uint8ClampedArray(width * height);
  const mixed = new Float32Array(alpha.width);
  for (let y = 0; y < height; y++) {
    const [upper, lower, part] = [rows.low[y] * alpha.width, rows.high[y] * alpha.width, rows.part[y]];
    for (let x = 0; x < mixed.length; x++) {
      const above = alpha.data[upper + x];
      mixed[x] = 255 * (above + part * (alpha.data[lower + x] - above));
    }
    for (let x = 0, to = y * width; x < width; x++, to++) {
      const left = mixed[columns.low[x]];
      result[to] = left + columns.part[x] * (mixed[columns.high[x]] - left);
    }
  }
  return result;
}
