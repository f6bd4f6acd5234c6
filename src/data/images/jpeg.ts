// The segments of a JPEG (ITU T.81, annex B), found as libjpeg and Pillow find them: bytes between two segments that belong to
// neither are left out. The decoders would warn of them, and a warning counts as damage.

/** From its marker to its end. Of a scan, `end` is that of its header; its data is a segment of its own, with the marker 0. */
export interface JpegSegment {
  readonly marker: number
  readonly start: number
  readonly end: number
}

const EOI = 0xd9
const SOS = 0xda

/** SOI, EOI, RST0 to RST7 and TEM have no content. */
const isAlone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd9)

/**
 * The segments after SOI, up to EOI or the end of the last whole one. The marker of one is the next byte 0xff that neither 0 nor
 * another 0xff follows.
 */
export function* jpegSegments(bytes: Uint8Array): Generator<JpegSegment, void, undefined> {
  for (let at = 2; ; ) {
    const start = nextMarker(bytes, at)
    if (start < 0) return
    const marker = bytes[start + 1]
    if (isAlone(marker)) {
      yield { marker, start, end: start + 2 }
      if (marker === EOI) return
      at = start + 2
      continue
    }
    if (start + 4 > bytes.length) return
    const length = bytes[start + 2] * 256 + bytes[start + 3]
    const end = start + 2 + length
    if (length < 2 || end > bytes.length) return
    yield { marker, start, end }
    at = end
    if (marker === SOS) {
      at = endOfScan(bytes, end)
      yield { marker: 0, start: end, end: at }
    }
  }
}

/** The position of the next marker, -1 without one. */
function nextMarker(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(0xff, at + 1))
    if (bytes[at + 1] !== 0 && bytes[at + 1] !== 0xff) return at
  return -1
}

/** The compressed data of a scan has the markers RST0 to RST7 in it. */
function endOfScan(bytes: Uint8Array, from: number): number {
  for (let at = nextMarker(bytes, from); at >= 0; at = nextMarker(bytes, at + 2))
    if (bytes[at + 1] < 0xd0 || bytes[at + 1] > 0xd7) return at
  return bytes.length
}

/** APP0 and APP14 say how colours are stored; the other segments of applications and comments do not change pixels. */
const isNeeded = (marker: number): boolean =>
  marker === 0xe0 || marker === 0xee || !((marker >= 0xe1 && marker <= 0xef) || marker === 0xfe)

/**
 * A JPEG with nothing but what its pixels need.
 * @throws Error if it has no end
 */
export function neededSegments(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  let last: number | undefined
  /** of the part that is not finished */
  let [from, to] = [0, 2]
  for (const { marker, start, end } of jpegSegments(bytes)) {
    last = marker
    if (!isNeeded(marker)) continue
    if (start !== to) {
      parts.push(bytes.subarray(from, to))
      from = start
    }
    to = end
  }
  if (last !== EOI) throw new Error('it has no end marker: the file is cut off')
  const rest = bytes.subarray(from, to)
  return parts.length === 0 ? rest : Buffer.concat([...parts, rest])
}

/** Whether a JPEG is decoded in one pass, so that its end is found after the last pixel: it is not progressive and has one scan. */
export function isDecodedInOnePass(bytes: Uint8Array): boolean {
  const markers = Array.from(jpegSegments(bytes), ({ marker }) => marker)
  return !markers.includes(0xc2) && markers.filter(marker => marker === SOS).length === 1
}

/** Baseline, extended and progressive, compressed with Huffman's codes. */
const isHuffmanFrame = (marker: number): boolean => marker >= 0xc0 && marker <= 0xc2

/**
 * Whether a JPEG has one frame of Huffman's codes, whose scans have every bit of every coefficient (ITU T.81, G.1.1.1.1). Of a progressive
 * JPEG without some of them, libjpeg guesses them, in each version in another way.
 */
export function isComplete(bytes: Uint8Array): boolean {
  /** the number of bits that are missing of each coefficient, by the name of the component */
  let missing: Map<number, Uint8Array> | undefined
  for (const { marker, start, end } of jpegSegments(bytes)) {
    const content = bytes.subarray(start + 4, end)
    if (isHuffmanFrame(marker)) {
      if (missing) return false
      const names = Array.from({ length: content[5] }, (_, i) => content[6 + 3 * i])
      missing = new Map(names.map(name => [name, new Uint8Array(64).fill(16)]))
    } else if (marker === SOS) {
      const count = content[0]
      const [first, last, bits] = content.subarray(1 + 2 * count)
      for (let i = 0; i < count; i++) missing?.get(content[1 + 2 * i])?.fill(bits & 15, first, last + 1)
    }
  }
  return missing !== undefined && [...missing.values()].every(bits => bits.every(count => count === 0))
}
