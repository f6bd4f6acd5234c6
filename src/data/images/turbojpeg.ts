// JPEGs decoded by TurboJPEG, the interface of libjpeg-turbo that a system may have, in half the time of sharp. It is called through koffi,
// an optional package. Pillow and sharp are built with libraries of the same origin, so the pixels are theirs, bit for bit.

import { crc32, ImageError, messageOf } from '../../io/index.ts'
import type { ImageHeader } from './header.ts'
import type { RgbImage } from './resize.ts'

/** A decoded picture whose memory may be used again. */
export interface Lent {
  /** Gives the memory of the pixels to the next picture. Whoever does not call it keeps the pixels. */
  release?(): void
}

type Size = Pick<ImageHeader, 'width' | 'height'>

/** The library, loaded by this thread. */
export interface TurboJpeg {
  /** its name or path */
  readonly library: string
  /**
   * Decodes a JPEG of grey or three colours, in a thread of Node's pool.
   * @returns undefined if the library refuses the file or warns of damage, or finds another size in it
   */
  decode(jpeg: Uint8Array, size: Size): Promise<(RgbImage & Lent) | undefined>
}

/** Names to try. libjpeg-turbo 1.2 to 3 give their file the same number. */
const libraries: Readonly<Record<string, readonly string[]>> = {
  linux: ['libturbojpeg.so.0', 'libturbojpeg.so'],
  darwin: ['libturbojpeg.dylib', '/opt/homebrew/lib/libturbojpeg.dylib'],
  win32: ['turbojpeg.dll'],
}

/** A function of the library. Memory that is given to `async` must be held until the callback is called. */
interface Foreign {
  (...values: unknown[]): unknown
  async(...values: [...unknown[], (error: Error | null, result: number) => void]): void
}

/** The part of koffi that is used. */
interface Koffi {
  load(file: string): { func(definition: string): Foreign }
}

const firstLine = (error: unknown): string => messageOf(error).split('\n')[0]

/**
 * Loads and tests the library.
 * @param choice `off`, a name or path, or undefined for the usual names
 * @returns the library, or the reason why there is none and what to install
 * @throws ImageError if a library was named and cannot be used
 */
export async function openTurboJpeg(choice: string | undefined): Promise<TurboJpeg | string> {
  if (choice === 'off') return 'TurboJPEG is switched off'
  const tried: string[] = []
  let advice = 'install libturbojpeg (Debian: libturbojpeg0)'
  try {
    const { default: koffi } = (await import('koffi')) as unknown as { readonly default: Koffi }
    for (const library of choice !== undefined ? [choice] : (libraries[process.platform] ?? []))
      try {
        return await tested(bind(koffi, library))
      } catch (error) {
        tried.push(firstLine(error))
        if (error instanceof ImageError) advice = error.message
      }
  } catch (error) {
    tried.push(`koffi cannot be loaded (${firstLine(error)})`)
    advice = 'npm install koffi'
  }
  if (choice !== undefined)
    throw new ImageError(`COCAGRAD_TURBOJPEG is ${choice}, which cannot be used as TurboJPEG: ${tried.join('; ')}`)
  return `TurboJPEG would decode JPEGs in about half the time: ${advice}`
}

const RGB = 0 // TJPF_RGB
/** TJFLAG_ACCURATEDCT, as in Pillow, TJFLAG_STOPONWARNING and TJFLAG_LIMITSCANS, which refuses more than 500 scans. */
const FLAGS = 4096 | 8192 | 32768

/** Most calls of a thread at a time, the size of Node's pool. koffi refuses calls when 256 wait. */
const AT_ONCE = 4

/** The result of a call, and the memory that it used. */
interface Finished {
  readonly code: number
  readonly jpeg: Uint8Array
  readonly pixels: Uint8Array
}

function bind(koffi: Koffi, library: string): TurboJpeg {
  const loaded = koffi.load(library)
  const create = loaded.func('void *tjInitDecompress()')
  const destroy = loaded.func('int tjDestroy(void *handle)')
  const readHeader = loaded.func(
    'int tjDecompressHeader3(void *handle, void *jpeg, ulong bytes, void *width, void *height, void *subsampling, void *colours)',
  )
  const decompress = loaded.func(
    'int tjDecompress2(void *handle, void *jpeg, ulong bytes, void *pixels, int width, int pitch, int height, int format, int flags)',
  )
  const [foundWidth, foundHeight, subsampling, colours] = Array.from({ length: 4 }, () => new Int32Array(1))
  const memory = new PixelMemory()

  /** A handle serves one call at a time; it costs less than a microsecond. */
  async function decodeNow(jpeg: Uint8Array, { width, height }: Size): Promise<(RgbImage & Lent) | undefined> {
    const handle = create()
    if (handle === null) return undefined
    try {
      if (readHeader(handle, jpeg, jpeg.length, foundWidth, foundHeight, subsampling, colours) !== 0) return undefined
      if (foundWidth[0] !== width || foundHeight[0] !== height) return undefined
      const pitch = width * 3
      const whole = memory.take(pitch * height)
      const { code, pixels } = await new Promise<Finished>((resolve, reject) =>
        // koffi holds nothing but the callback, which therefore holds the memory
        decompress.async(handle, jpeg, jpeg.length, whole, width, pitch, height, RGB, FLAGS, (error, code) =>
          error ? reject(error) : resolve({ code, jpeg, pixels: whole }),
        ),
      )
      let isLent = true
      const release = () => {
        if (isLent) memory.giveBack(pixels)
        isLent = false
      }
      if (code === 0) return { width, height, data: pixels.subarray(0, pitch * height), release }
      release()
      return undefined
    } finally {
      destroy(handle)
    }
  }

  let free = AT_ONCE
  const waiting: (() => void)[] = []
  return {
    library,
    async decode(jpeg, size) {
      if (free > 0) free--
      else await new Promise<void>(resolve => waiting.push(resolve))
      try {
        return await decodeNow(jpeg, size)
      } finally {
        const next = waiting.shift()
        if (next) next()
        else free++
      }
    },
  }
}

/** Memory of up to so many bytes is kept for another picture. */
const LARGEST_KEPT = 2 ** 24

/** Memory of pixels that is used again: V8 counts it, and would mark its heap for every few dozen pictures. */
class PixelMemory {
  readonly #spare: Uint8Array[] = []

  /** Memory of at least so many bytes. */
  take(bytes: number): Uint8Array {
    const spare = this.#spare.pop()
    if (spare && spare.length >= bytes) return spare
    return new Uint8Array(bytes > LARGEST_KEPT ? bytes : 2 ** Math.ceil(Math.log2(bytes)))
  }

  giveBack(memory: Uint8Array): void {
    if (memory.length <= LARGEST_KEPT && this.#spare.length < AT_ONCE) this.#spare.push(memory)
  }
}

/** A picture of 13×9 pixels with chroma of half the size, and the checksum of its pixels in Pillow. */
const SAMPLE = {
  width: 13,
  height: 9,
  bytes: () =>
    Buffer.from(
      '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAJAA0DASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAABQIH/8QAHxAAAAUEAwAAAAAAAAAAAAAAAAECBBEDBTLwIUFy/8QAFQEBAQAAAAAAAAAAAAAAAAAAAwT/xAAeEQAABQUBAAAAAAAAAAAAAAAAAwQFEQECEjFRcf/aAAwDAQACEQMRAD8AllfChGyHG98lJ8SM5Z4I3oNU8T9A1CAm2kxqOc8FjQ3lYj//2Q==',
      'base64',
    ),
  pixels: 1300686172,
}

/**
 * Tests that a library gives the pixels of Pillow, and that it says when a file is damaged.
 * @throws ImageError if it does not
 */
export async function tested(turbo: TurboJpeg): Promise<TurboJpeg> {
  const jpeg = SAMPLE.bytes()
  const image = await turbo.decode(jpeg, SAMPLE)
  if (!image || crc32(image.data) !== SAMPLE.pixels)
    throw new ImageError(`${turbo.library} has other pixels than Pillow`)
  const damaged = Buffer.concat([jpeg.subarray(0, -16), jpeg.subarray(-2)])
  if (await turbo.decode(damaged, SAMPLE)) throw new ImageError(`${turbo.library} does not notice damage`)
  return turbo
}
