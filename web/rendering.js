/** The two layers of the stage: the picture as it was, and the people before what was chosen. */

const MOBILE_PIXELS = 2 ** 24; // the least that a browser's canvas holds (iOS)

/** The people on a canvas, before a background. */
export class Rendering {
  #before;
  #after;
  #layers = {};

  /**
   * @param {HTMLCanvasElement} before shows the picture
   * @param {HTMLCanvasElement} after shows the people
   */
  constructor(before, after) {
    this.#before = before;
    this.#after = after;
    /** What is shown behind the people: `{kind: "none" | "blur" | "colour" | "picture", colour, picture}`. */
    this.background = { kind: "none" };
  }

  /** Show a picture, an `ImageBitmap` or `ImageData`, of which nothing is cut out yet. */
  picture(image) {
    for (const canvas of [this.#before, this.#after]) {
      if (canvas.width !== image.width || canvas.height !== image.height) {
        [canvas.width, canvas.height] = [image.width, image.height];
      }
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, canvas.width, canvas.height);
      if (image instanceof ImageData) context.putImageData(image, 0, 0);
      else context.drawImage(image, 0, 0);
    }
  }

  /** Take the people and the blurred background of the picture, bitmaps that are given up, and draw. */
  take(layers) {
    this.clear();
    this.#layers = layers;
    this.draw();
  }

  /** Give up the bitmaps. */
  clear() {
    for (const layer of Object.values(this.#layers)) layer?.close?.();
    this.#layers = {};
  }

  /** Draw the people before the background that is chosen. */
  draw() {
    const { person, background } = this.#layers;
    if (!person) return;
    const { width, height } = this.#after;
    const context = this.#after.getContext("2d");
    const { kind, colour, picture } = this.background;
    context.clearRect(0, 0, width, height);
    if (kind === "colour") {
      context.fillStyle = colour;
      context.fillRect(0, 0, width, height);
    } else if (kind === "picture" && picture) cover(context, picture, width, height);
    else if (kind === "blur" && background) context.drawImage(background, 0, 0, width, height);
    context.drawImage(person, 0, 0);
  }
}

/** Scale a picture until it covers all, and crop it to fit. */
function cover(context, picture, width, height) {
  const scale = Math.max(width / picture.width, height / picture.height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
}

/**
 * The picture in a file, upright, and scaled down where it is larger than this browser's canvases hold.
 *
 * @param {Blob} file
 * @returns {Promise<ImageBitmap>}
 */
export async function decode(file) {
  const bitmap = await createImageBitmap(file);
  if (holds(bitmap.width, bitmap.height)) return bitmap;
  const scale = Math.sqrt(MOBILE_PIXELS / (bitmap.width * bitmap.height));
  const resized = await createImageBitmap(bitmap, {
    resizeWidth: Math.floor(scale * bitmap.width),
    resizeHeight: Math.floor(scale * bitmap.height),
    resizeQuality: "high",
  });
  bitmap.close();
  return resized;
}

function holds(width, height) {
  if (width * height <= MOBILE_PIXELS) return true;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context?.fillRect(width - 1, height - 1, 1, 1); // a canvas that is too large stays empty, without an error
  const held = context?.getImageData(width - 1, height - 1, 1, 1).data[3] === 255;
  [canvas.width, canvas.height] = [0, 0]; // frees its memory at once
  return held;
}
