/** PNG files with exact colours. A canvas multiplies colours by alpha, and loses those of edges. */

const BAND = 64; // rows that are compressed at once: the whole picture would be in memory twice

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/**
 * A picture as a file.
 *
 * @param {Uint8ClampedArray} pixels RGBA with straight alpha
 * @returns {Promise<Blob>}
 */
export async function encodePng(pixels, width, height) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits a channel
  header.setUint8(9, 6); // RGBA
  let y = 0;
  const rows = new ReadableStream({
    pull(controller) {
      controller.enqueue(filtered(pixels, width, y, Math.min(y + BAND, height)));
      y += BAND;
      if (y >= height) controller.close();
    },
  });
  const compressed = await new Response(rows.pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const parts = [
    ...chunk("IHDR", new Uint8Array(header.buffer)),
    ...chunk("sRGB", Uint8Array.of(0)),
    ...chunk("IDAT", new Uint8Array(compressed)),
    ...chunk("IEND", new Uint8Array(0)),
  ];
  return new Blob([signature, ...parts], { type: "image/png" });
}

/** Rows as differences to what their neighbours predict (the filter Paeth), which compress well. */
function filtered(pixels, width, from, to) {
  const length = 4 * width;
  const result = new Uint8Array((length + 1) * (to - from));
  for (let y = from, out = 0; y < to; y++) {
    result[out++] = 4;
    const [row, above] = [y * length, (y - 1) * length];
    for (let x = 0; x < length; x++, out++) {
      const left = x < 4 ? 0 : pixels[row + x - 4];
      const up = y ? pixels[above + x] : 0;
      const corner = x < 4 || !y ? 0 : pixels[above + x - 4];
      const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
      result[out] = pixels[row + x] - (a <= b && a <= c ? left : b <= c ? up : corner);
    }
  }
  return result;
}

function chunk(name, data) {
  const type = new TextEncoder().encode(name);
  let code = 0xffffffff;
  for (const bytes of [type, data]) for (const byte of bytes) code = TABLE[(code ^ byte) & 255] ^ (code >>> 8);
  return [number(data.length), type, data, number((code ^ 0xffffffff) >>> 0)];
}

function number(value) {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setUint32(0, value);
  return bytes.buffer;
}
