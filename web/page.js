/** The page: what buttons, files and the camera do. */

import { film } from "./camera.js";
import { Rendering, decode } from "./rendering.js";

const $ = (id) => document.getElementById(id);
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const rendering = new Rendering($("before"), $("after"));
const waiting = new Map();
let asked = 0;
let shown = 0; // grows with every picture and camera: what comes late for an earlier one is dropped
let name = "photo";
let camera = null;

worker.addEventListener("message", ({ data: { number, answer, error } }) => {
  const { resolve, reject } = waiting.get(number);
  waiting.delete(number);
  if (error) reject(new Error(error));
  else resolve(answer);
});

// A worker whose files do not load, or that dies, answers nothing.
worker.addEventListener("error", ({ message }) => {
  const error = new Error(message || "the page's worker has stopped; reload the page");
  for (const { reject } of waiting.values()) reject(error);
});

/** Have the worker do a task; bitmaps are given up to it. */
function ask(task, data = {}) {
  return new Promise((resolve, reject) => {
    const number = asked++;
    waiting.set(number, { resolve, reject });
    worker.postMessage({ number, task, ...data }, data.bitmap ? [data.bitmap] : []);
  });
}

function say(text, problem = false) {
  $("status").textContent = text;
  $("status").classList.toggle("problem", problem);
}

/** What the page offers: `empty`, `busy` (a photo is being cut out), `photo` or `camera`. */
function enter(state) {
  document.body.dataset.state = state;
  $("stage").setAttribute("aria-busy", String(state === "busy"));
  $("download").disabled = state !== "photo";
  $("split").disabled = state === "empty" || state === "busy";
  $("shoot").hidden = state !== "camera";
  $("camera").textContent = state === "camera" ? "Stop the camera" : "Use the camera";
  $("camera").setAttribute("aria-pressed", String(state === "camera"));
}

const ready = ask("load");
ready.then(
  ({ device }) => {
    $("device").textContent = device === "webgpu" ? "WebGPU" : "WebAssembly";
    if (document.body.dataset.state === "empty") say("Ready.");
  },
  (error) => say(`The network could not be loaded: ${error.message}`, true),
);

async function open(file) {
  say("Reading the picture …");
  let bitmap;
  try {
    bitmap = await decode(file);
  } catch {
    return say("This file is not a picture that your browser can read. Try JPEG, PNG or WebP.", true);
  }
  stop();
  name = file.name?.replace(/\.[^.]*$/, "") || "photo";
  await show(bitmap, ++shown);
}

/** Cut out a photo, which is given up. */
async function show(bitmap, turn) {
  rendering.clear();
  rendering.picture(bitmap);
  enter("busy");
  const size = `${bitmap.width} × ${bitmap.height}`;
  try {
    say("Loading the network …");
    await ready;
    if (turn !== shown) return bitmap.close();
    say("Cutting out …");
    const start = performance.now();
    const { nobody, ...layers } = await ask("photo", { bitmap });
    if (turn !== shown) return Object.values(layers).forEach((layer) => layer.close());
    rendering.take(layers);
    enter("photo");
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    say(nobody ? "Nobody found in this picture." : `Done: ${size} pixels in ${seconds} s.`);
  } catch (error) {
    if (turn !== shown) return;
    enter("empty");
    say(`That did not work: ${error.message}`, true);
  }
}

async function start() {
  const turn = ++shown;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
    if (turn !== shown) return stream.getTracks().forEach((track) => track.stop());
    stop();
    camera = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
    stream.getVideoTracks()[0].addEventListener("ended", () => camera?.srcObject === stream && leave());
    await camera.play();
    say("Loading the network …");
    await ready;
  } catch (error) {
    if (turn !== shown) return;
    // A photo that was being cut out is given up; one that is done stays.
    if (camera || document.body.dataset.state === "busy") leave();
    say(refusal(error), true);
    return;
  }
  if (turn !== shown) return;
  enter("camera");
  say("The camera is on.");
  try {
    await live(turn);
  } catch (error) {
    if (turn !== shown) return;
    leave();
    say(`That did not work: ${error.message}`, true);
  }
}

function refusal(error) {
  if (!navigator.mediaDevices) return "Browsers give a camera only to pages served over HTTPS, or from this device.";
  if (error.name === "NotAllowedError") return "The camera is not allowed here. Allow it in your browser's settings.";
  if (error.name === "NotFoundError") return "There is no camera.";
  return `That did not work: ${error.message}`;
}

/** Cut out frames, one at a time, for as long as the camera is on. */
async function live(turn) {
  let [count, since] = [0, performance.now()];
  while (turn === shown) {
    await new Promise(requestAnimationFrame); // waits while the page is hidden
    if (turn !== shown) return;
    const image = await film(camera);
    const layers = await ask("frame", { image, blur: rendering.background.kind === "blur" });
    if (turn !== shown) return Object.values(layers).forEach((layer) => layer?.close?.());
    rendering.picture(image);
    rendering.take(layers);
    count++;
    const now = performance.now();
    if (now - since >= 1000) {
      $("rate").textContent = `${((1000 * count) / (now - since)).toFixed(1)} frames/s`;
      [count, since] = [0, now];
    }
  }
}

/** Turn the camera off, if it is on. */
function stop() {
  camera?.srcObject.getTracks().forEach((track) => track.stop());
  camera = null;
  $("rate").textContent = "";
}

function leave() {
  shown++;
  stop();
  rendering.clear();
  enter("empty");
  say("Ready.");
}

async function shoot() {
  const turn = ++shown;
  const bitmap = await createImageBitmap(camera);
  stop();
  name = "camera";
  await show(bitmap, turn);
}

async function download() {
  $("download").disabled = true;
  try {
    const file =
      rendering.background.kind === "none"
        ? (await ask("png")).file
        : await new Promise((resolve) => $("after").toBlob(resolve));
    const link = Object.assign(document.createElement("a"), {
      href: URL.createObjectURL(file),
      download: `${name}_cutout.png`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    say(`The picture could not be written: ${error.message}`, true);
  }
  $("download").disabled = document.body.dataset.state !== "photo";
}

function choose() {
  const { background } = rendering;
  background.kind = document.querySelector("input[name=background]:checked").value;
  background.colour = $("colour").value;
  $("colour").hidden = background.kind !== "colour";
  $("choose-picture").hidden = background.kind !== "picture";
  rendering.draw();
}

async function takeBackground(file) {
  try {
    const picture = await decode(file);
    rendering.background.picture?.close();
    rendering.background.picture = picture;
    rendering.draw();
    say("The background is in place.");
  } catch {
    say("This background is not a picture that your browser can read. Try JPEG, PNG or WebP.", true);
  }
}

/** Open a file dialog with a button, and take the file even if it is the same as last time. */
function picker(button, input, take) {
  $(button).addEventListener("click", () => $(input).click());
  $(input).addEventListener("change", () => {
    const [file] = $(input).files;
    $(input).value = "";
    if (file) take(file);
  });
}

picker("choose", "file", open);
picker("drop", "file", open);
picker("choose-picture", "picture", takeBackground);
$("camera").addEventListener("click", () => (camera ? leave() : start()));
$("shoot").addEventListener("click", shoot);
$("download").addEventListener("click", download);
$("backgrounds").addEventListener("input", choose);
$("split").addEventListener("input", () => $("stage").style.setProperty("--split", `${$("split").value}%`));
addEventListener("paste", ({ clipboardData }) => {
  const file = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) open(file);
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("dragenter", () => document.body.classList.add("dragging"));
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const [file] = event.dataTransfer.files;
  if (file) open(file);
});
enter("empty");
choose();
