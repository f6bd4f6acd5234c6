// JPEG and WebP without native packages: libjpeg (mozjpeg) and libwebp in WebAssembly, compiled at the first use. They
// give bitwise the same pixels as Pillow's own libraries.

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { isDecodedInOnePass } from './jpeg.ts'

/** The class of the libraries' results, which exists in browsers but not in Node. */
class PixelData {
  readonly data: Uint8ClampedArray
  readonly width: number
  readonly height: number

  constructor(data: Uint8ClampedArray, width: number, height: number) {
    this.data = data
    this.width = width
    this.height = height
  }
}

/** Pixels row by row, four bytes each: [height, width, 4]. */
export interface RgbaImage {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

type Init = (module: WebAssembly.Module, options: { printErr(line: string): void }) => Promise<void>

/** The part of a library that is JavaScript, which loads the other part. */
interface Library {
  readonly init: unknown
  readonly default: (buffer: ArrayBuffer) => Promise<ImageData>
}

/** A library that is loaded once, at its first use, and its messages during the last call. */
class WasmDecoder {
  readonly #file: string
  readonly #library: () => Promise<Library>
  #ready: Promise<Library['default']> | undefined
  #messages: string[] = []
  #turn: Promise<unknown> = Promise.resolve()

  constructor(file: string, library: () => Promise<Library>) {
    this.#file = file
    this.#library = library
  }

  /**
   * One file at a time, so that the messages belong to this file.
   * @param harmless messages that do not count as damage
   */
  decode(bytes: Uint8Array, harmless?: RegExp): Promise<RgbaImage> {
    const turn = this.#turn.then(() => this.#one(bytes, harmless))
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #one(bytes: Uint8Array, harmless?: RegExp): Promise<RgbaImage> {
    this.#ready ??= this.#load()
    const decode = await this.#ready
    this.#messages = []
    let image: ImageData | undefined
    try {
      image = await decode(new Uint8Array(bytes).buffer)
    } catch (error) {
      this.#ready = undefined // a library that failed is loaded again
      if (this.#messages.length === 0) throw error
    }
    if (this.#messages.some(message => !harmless?.test(message)) || !image)
      throw new Error(this.#messages.join('; ') || 'its data is damaged')
    const { width, height, data } = image
    return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) }
  }

  async #load(): Promise<Library['default']> {
    const { init, default: decode } = await this.#library()
    globalThis.ImageData ??= PixelData as unknown as typeof ImageData
    const module = await WebAssembly.compile(await readFile(createRequire(import.meta.url).resolve(this.#file)))
    await (init as Init)(module, { printErr: line => this.#messages.push(line) })
    return decode
  }
}

const jpeg = new WasmDecoder('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm', () => import('@jsquash/jpeg/decode.js'))
const webp = new WasmDecoder('@jsquash/webp/codec/dec/webp_dec.wasm', () => import('@jsquash/webp/decode.js'))

/** Bytes between the last pixel and the end. */
const AFTER_PIXELS = /^Corrupt JPEG data: \d+ extraneous bytes before marker 0xd9$/

/**
 * Decodes a JPEG in grey or three colours, as it is stored. Throws libjpeg's message if it is damaged. Bytes after the last pixel are
 * no damage, as for sharp, which does not read them, unless all of the file is read before the first pixel.
 */
export const decodeJpeg = (bytes: Uint8Array): Promise<RgbaImage> =>
  jpeg.decode(bytes, isDecodedInOnePass(bytes) ? AFTER_PIXELS : undefined)

/** Decodes a WebP with its transparency. */
export async function decodeWebp(bytes: Uint8Array): Promise<RgbaImage> {
  const isAnimated = bytes[15] === 0x58 && (bytes[20] & 2) !== 0 // VP8X with its flag
  if (isAnimated) throw new Error('animated WebP: install sharp to read its first picture')
  return webp.decode(bytes)
}
