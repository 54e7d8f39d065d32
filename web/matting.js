/**
 * Cuts people out of pictures with an ONNX file of `sdnet-pl export`, as `sdnet-pl matte` does. It can be used without
 * the page, in a page's own script or in a module worker:
 *
 *     import { Matting } from "./matting.js";
 *     const matting = await Matting.load();
 *     const cutout = await matting.cutout(context.getImageData(0, 0, canvas.width, canvas.height));
 */

import { findSmall } from "./closer.js";
import { cutOut } from "./foreground.js";
import { area, fit, stretch } from "./resize.js";

const MIN_SIDE = 32; // pixels of the shorter side of what the network takes

/** A network, loaded. One picture at a time runs; further calls wait. */
export class Matting {
  #ort;
  #session;
  #input = new Float32Array(0); // reused by every picture that fits
  #last = Promise.resolve();

  /**
   * @param {object} options
   * @param {string | URL} [options.model] the ONNX file; by default the one beside this module
   * @param {string | URL} [options.runtime] folder of ONNX Runtime's files; by default this module's
   * @param {"webgpu" | "wasm"} [options.device] by default the GPU where the browser offers one
   */
  static async load({
    model = new URL("sdnet-fast.onnx", import.meta.url),
    runtime = new URL("./", import.meta.url),
    device,
  } = {}) {
    const response = await fetch(model);
    if (!response.ok) throw new Error(`${model} answers with ${response.status}; is the network's file there?`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    for (const kind of device ? [device] : (await hasGpu()) ? ["webgpu", "wasm"] : ["wasm"]) {
      try {
        const matting = new Matting();
        await matting.#open(bytes, runtime, kind);
        return matting;
      } catch (error) {
        // A GPU may be there and still lack what the network needs.
        if (kind === "wasm" || device) throw error;
        console.warn(`WebGPU failed (${error.message}); using WebAssembly.`);
      }
    }
  }

  async #open(bytes, runtime, device) {
    // Each comes with a WebAssembly file of its own; that for CPUs alone is half as large.
    const ort = await import(new URL(`ort.${device}.min.mjs`, runtime));
    ort.env.wasm.wasmPaths = String(runtime);
    ort.env.wasm.numThreads = 1; // more need headers of the server that forbid pages to embed this one
    this.#ort = ort;
    this.#session = await ort.InferenceSession.create(bytes, { executionProviders: [device], logSeverityLevel: 3 });
    /** Where it runs: `"webgpu"` or `"wasm"`. */
    this.device = device;
    /** Longer side in pixels of the pictures that the network has learned; it stands in the file's metadata. */
    this.size = Number(/training_size\x12.(\d+)/s.exec(new TextDecoder("latin1").decode(bytes))[1]);
    // The first run is slow everywhere: browsers compile while it runs. Here nobody waits for it yet.
    await this.#run(new Uint8ClampedArray(4 * this.size ** 2), this.size, this.size);
  }

  /**
   * The opacity of the people in a picture.
   *
   * @param {ImageData} image its alpha is ignored
   * @param {{closer?: boolean}} [options] `closer: false` saves looking for small people again, as for a live video
   * @returns {Promise<Uint8ClampedArray>} a level in [0, 255] for each pixel
   */
  alpha(image, options = {}) {
    this.#last = this.#last.catch(() => {}).then(() => this.#alpha(image, options));
    return this.#last;
  }

  /**
   * The people alone, with the colours that they have without the background, which shines through hair and edges.
   *
   * @param {ImageData} image
   * @returns {Promise<ImageData>} straight alpha; black where nothing is seen
   */
  async cutout(image) {
    const alpha = await this.alpha(image);
    return new ImageData(cutOut(image.data.slice(), alpha, image.width, image.height), image.width, image.height);
  }

  /** Frees the network's memory. */
  async dispose() {
    await this.#last.catch(() => {});
    await this.#session.release();
  }

  async #alpha({ data, width, height }, { closer = true }) {
    const look = (box, size) => this.#look(data, width, box, size);
    const whole = await look({ top: 0, left: 0, bottom: height, right: width }, this.size);
    return (closer && (await findSmall(width, height, whole, this.size, look))) || stretch(whole, width, height);
  }

  /** The alpha in [0, 1] of a part of a picture, scaled down to a longer side of `size`, at that scale. */
  async #look(data, stride, box, size) {
    const [width, height] = fit(box.right - box.left, box.bottom - box.top, size);
    return this.#run(area(data, stride, box, width, height), width, height);
  }

  async #run(pixels, width, height) {
    const [columns, rows] = [Math.max(width, MIN_SIDE), Math.max(height, MIN_SIDE)];
    const plane = columns * rows;
    if (this.#input.length < 3 * plane) this.#input = new Float32Array(3 * plane);
    const input = this.#input.subarray(0, 3 * plane);
    for (let y = 0, to = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++, to++) {
        // The border is repeated where a side is too short.
        const from = 4 * (Math.min(y, height - 1) * width + Math.min(x, width - 1));
        for (let channel = 0; channel < 3; channel++) input[channel * plane + to] = pixels[from + channel] / 255;
      }
    }
    const image = new this.#ort.Tensor("float32", input, [1, 3, rows, columns]);
    const { alpha } = await this.#session.run({ image });
    const data = new Float32Array(width * height);
    for (let y = 0; y < height; y++) data.set(alpha.data.subarray(y * columns, y * columns + width), y * width);
    for (let i = 0; i < data.length; i++) data[i] = Math.min(Math.max(data[i], 0), 1);
    image.dispose();
    alpha.dispose();
    return { data, width, height };
  }
}

async function hasGpu() {
  try {
    const adapter = await globalThis.navigator?.gpu?.requestAdapter();
    return Boolean(adapter) && !adapter.info?.isFallbackAdapter; // a GPU drawn by the CPU is slower than WebAssembly
  } catch {
    return false;
  }
}
