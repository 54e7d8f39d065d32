/** Copies what the page needs into dist/: nothing is compiled, and nothing comes from elsewhere at run time. */

import { cpSync, mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PAGE = ["index.html", "style.css", "page.js", "worker.js", "camera.js", "rendering.js", "matting.js", "closer.js", "foreground.js", "png.js", "resize.js"];
const RUNTIME = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.min.mjs",
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
];

rmSync(here("dist"), { recursive: true, force: true });
mkdirSync(here("dist"));
for (const name of PAGE) cpSync(here(name), here(`dist/${name}`));
for (const name of RUNTIME) cpSync(here(`node_modules/onnxruntime-web/dist/${name}`), here(`dist/${name}`));
cpSync(here("../src/sdnet_pl/weights/sdnet-fast.onnx"), here("dist/sdnet-fast.onnx"));
