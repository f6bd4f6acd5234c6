// Pixels as a file of PNG. The stream that compresses is part of every browser, of Node and of Deno.

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
  return value
})

function checksum(bytes: Uint8Array): number {
  let value = 0xffffffff
  for (const byte of bytes) value = table[(value ^ byte) & 255] ^ (value >>> 8)
  return (value ^ 0xffffffff) >>> 0
}

/** Four bytes with the length, four letters, the data, four bytes of a checksum over letters and data. */
function chunk(letters: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, data.length)
  for (let i = 0; i < 4; i++) bytes[4 + i] = letters.charCodeAt(i)
  bytes.set(data, 8)
  view.setUint32(8 + data.length, checksum(bytes.subarray(4, 8 + data.length)))
  return bytes
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

/**
 * A picture as PNG.
 * @param pixels bytes [height, width, channels]
 * @param channels 1 for grey, 3 for red, green and blue
 */
export async function encodePng(
  pixels: Uint8Array,
  width: number,
  height: number,
  channels: 1 | 3,
): Promise<Uint8Array> {
  const row = width * channels
  // a byte before each row says that the row is not predicted from others
  const rows = new Uint8Array((row + 1) * height)
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * row, (y + 1) * row), y * (row + 1) + 1)
  const compressed = new Blob([rows]).stream().pipeThrough(new CompressionStream('deflate'))
  const head = new Uint8Array(13)
  const view = new DataView(head.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  head.set([8, channels === 1 ? 0 : 2, 0, 0, 0], 8)
  const parts = [
    SIGNATURE,
    chunk('IHDR', head),
    chunk('IDAT', new Uint8Array(await new Response(compressed).arrayBuffer())),
    chunk('IEND', new Uint8Array(0)),
  ]
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer())
}
