/** The heavy work, in a thread of its own so that the page stays responsive. Answers carry the number of their task. */

import { blurredBackground, cutOut } from "./foreground.js";
import { Matting } from "./matting.js";
import { encodePng } from "./png.js";

const FRAME_SIDE = 256; // colours of live frames are blurred at this: a fraction of the time, hardly seen
const SPECKS = 0.0002; // smallest part of a picture that counts as a person

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true });
let matting;
let photo; // the last one's cut-out, until it is downloaded

const tasks = {
  async load() {
    matting = await Matting.load();
    return { device: matting.device };
  },

  async photo({ bitmap }) {
    photo = null;
    const image = read(bitmap);
    const alpha = await matting.alpha(image);
    const answer = await separate(image, alpha, true);
    photo = image;
    return { ...answer, nobody: alpha.reduce((count, level) => count + (level > 127), 0) < SPECKS * alpha.length };
  },

  async frame({ image, blur }) {
    return separate(image, await matting.alpha(image, { closer: false }), blur, FRAME_SIDE);
  },

  async png() {
    return { file: await encodePng(photo.data, photo.width, photo.height) };
  },
};

/** A picture's pixels; transparent parts are white, as most viewers show them. The bitmap is given up. */
function read(bitmap) {
  const { width, height } = bitmap;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** Person and background as bitmaps; the photo's pixels become the cut-out's. */
async function separate(image, alpha, blur, side) {
  const { data, width, height } = image;
  const background = blur && (await createImageBitmap(blurredBackground(data, alpha, width, height)));
  cutOut(data, alpha, width, height, side);
  return { person: await createImageBitmap(image), background };
}

addEventListener("message", async ({ data: { number, task, ...data } }) => {
  try {
    const answer = await tasks[task](data);
    const bitmaps = [answer.person, answer.background].filter(Boolean);
    postMessage({ number, answer }, bitmaps);
  } catch (error) {
    postMessage({ number, error: error.message ?? String(error) });
  }
});
