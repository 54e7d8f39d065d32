/** The pixels of a live video. */

const canvas = document.createElement("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });

/**
 * What a video shows now.
 *
 * Without a GPU, Chromium keeps up to half a gigabyte of the frames that were drawn. Those that are copied leave nothing.
 *
 * @param {HTMLVideoElement} video
 * @returns {Promise<ImageData>}
 */
export async function film(video) {
  const { videoWidth: width, videoHeight: height } = video;
  const frame = globalThis.VideoFrame && new VideoFrame(video);
  try {
    // Browsers that do not know `format` copy the camera's own; those that do not know `rotation` may turn pictures.
    const size = frame?.allocationSize({ format: "RGBA" });
    if (size === 4 * width * height && frame.rotation === 0 && !frame.flip) {
      const image = new ImageData(width, height);
      await frame.copyTo(image.data, { format: "RGBA" });
      return image;
    }
  } catch (error) {
    if (error.name !== "NotSupportedError") throw error;
  } finally {
    frame?.close();
  }
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.drawImage(video, 0, 0);
  return context.getImageData(0, 0, width, height);
}
