// Bytes that are read in ranges without a path: in memory, of a Blob or File, or at a URL. Runs in a browser and in Node.

import { checkArguments } from '../tensor/arguments.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { FileError, messageOf } from './errors.ts'

/** A Blob, or a File of an input element, a drop or OPFS. Types of the DOM stay out of the declarations of this package. */
export interface BlobSource {
  /** bytes */
  readonly size: number
  /** The bytes from `start` up to `end`. */
  slice(start?: number, end?: number): BlobSource
  /** Reads all bytes. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/** A URL, such as `new URL('model.safetensors', location.href)`. */
export interface UrlSource {
  /** the address */
  readonly href: string
}

/** Where the bytes of a file are. */
export type ByteSource = ArrayBuffer | Uint8Array | BlobSource | UrlSource

/** Called while bytes are read: how many there are so far, and in all. What it throws ends the reading. */
export type OnBytes = (done: number, count: number) => void

/** Options for the source of a file. */
export interface OpenSourceOptions {
  /** of every request for a URL, such as `{ authorization: 'Bearer …' }` */
  readonly headers?: Readonly<Record<string, string>>
  /** called while the whole file is read, because its server does not send parts */
  readonly onProgress?: OnBytes
}
const openOptions = {
  headers: is.optional(is.options as is.Kind<Readonly<Record<string, string>>>),
  onProgress: is.optional(is.callback as is.Kind<OnBytes>),
} satisfies Settings<OpenSourceOptions>

/** Reads a whole range, and calls a function with the number of bytes of every part of it that is there. */
export type ReadPart = (start: number, length: number, onBytes?: (count: number) => void) => Promise<Uint8Array>

/** A source that has been looked at. */
export interface OpenedSource {
  /** its name in errors */
  readonly name: string
  /** bytes */
  readonly length: number
  /** whether all of it is in memory */
  readonly isHere: boolean
  readonly read: ReadPart
}

const isBlob = (x: object): x is BlobSource => 'size' in x && 'slice' in x && 'arrayBuffer' in x
const isUrl = (x: object): x is UrlSource => 'href' in x && typeof x.href === 'string'

const isSource = new is.Kind<ByteSource>(
  "a URL such as new URL('model.safetensors', location.href), a Blob or File, an ArrayBuffer or a Uint8Array",
  x =>
    typeof x === 'object' &&
    x !== null &&
    (x instanceof ArrayBuffer || x instanceof Uint8Array || isBlob(x) || isUrl(x)),
)

/**
 * @param call the function that was called, for errors
 * @throws FileError if there is no such file at a URL, or the page may not read it
 */
export async function openSource(
  call: string,
  source: ByteSource,
  options: OpenSourceOptions | undefined,
): Promise<OpenedSource> {
  checkArguments(call, [isSource], [source])
  const { headers, onProgress } = settle(call, options, openOptions)
  if (source instanceof ArrayBuffer) return inMemory(new Uint8Array(source), 'the ArrayBuffer')
  if (source instanceof Uint8Array) return inMemory(source, 'the Uint8Array')
  return isBlob(source) ? inBlob(source) : atUrl(source.href, headers ?? {}, onProgress)
}

function inMemory(bytes: Uint8Array, name: string): OpenedSource {
  const read: ReadPart = async (start, length) => bytes.subarray(start, start + length)
  return { name, length: bytes.length, isHere: true, read }
}

/** Bytes of a Blob that are read at once. */
const PIECE = 2 ** 23

function inBlob(blob: BlobSource): OpenedSource {
  const name = 'name' in blob && typeof blob.name === 'string' ? blob.name : 'the Blob'
  const read: ReadPart = async (start, length, onBytes) => {
    const bytes = allocate(length, name)
    for (let at = 0; at < length; at += PIECE) {
      const piece = blob.slice(start + at, start + Math.min(length, at + PIECE))
      const part = await piece.arrayBuffer().catch(error => {
        throw new FileError(`cannot be read, perhaps because it has changed: ${messageOf(error)}`, {
          file: name,
          cause: error,
        })
      })
      bytes.set(new Uint8Array(part), at)
      onBytes?.(part.byteLength)
    }
    return bytes
  }
  return { name, length: blob.size, isHere: false, read }
}

/** Bytes of the first request, of which one usually is enough for a header. */
const BEGINNING = 2 ** 16

async function atUrl(
  url: string,
  headers: Readonly<Record<string, string>>,
  onProgress: OnBytes | undefined,
): Promise<OpenedSource> {
  const refuse = (reason: string, cause?: unknown) => new FileError(reason, { file: url, cause })

  async function ask(headersOfOne: Readonly<Record<string, string>>, method = 'GET'): Promise<Response> {
    const response = await fetch(url, { method, headers: { ...headers, ...headersOfOne } }).catch(error => {
      throw refuse(
        `cannot be fetched: ${messageOf(error)}. If it is on another server, that server must allow this page to read it (CORS)`,
        error,
      )
    })
    if (!response.ok && response.status !== 416)
      throw refuse(`cannot be fetched: the server answers ${response.status} ${response.statusText}`.trimEnd())
    if (response.headers.get('content-type')?.startsWith('text/html'))
      throw refuse('is a web page, not a file of tensors: check the URL')
    return response
  }
  const rangeOf = (start: number, length: number) => ({ range: `bytes=${start}-${start + length - 1}` })

  /** The bytes of an answer, as they come. */
  async function* bytesOf({ body }: Response): AsyncGenerator<Uint8Array> {
    const reader = body?.getReader()
    try {
      for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) yield next.value
    } catch (error) {
      throw refuse(`cannot be read to its end: ${messageOf(error)}`, error)
    } finally {
      await reader?.cancel().catch(() => {})
    }
  }

  const first = await ask(rangeOf(0, BEGINNING))
  if (first.status === 416) return inMemory(new Uint8Array(), url)
  if (first.status !== 206) return inMemory(await wholeOf(first), url)
  const beginning = await together(bytesOf(first))
  const length = await lengthOf(first)
  const version = versionOf(first)

  /** All bytes of an answer. The length that the server names is only for the progress: of a compressed answer it is another one. */
  async function wholeOf(response: Response): Promise<Uint8Array> {
    const named = Number(response.headers.get('content-length') ?? 0)
    let done = 0
    return together(bytesOf(response), count => {
      done += count
      onProgress?.(done, Math.max(named, done))
    })
  }

  /** Other servers may hide the length of the file in an answer with a part, but not in one to HEAD. */
  async function lengthOf(response: Response): Promise<number> {
    const named = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
    const found = named ?? (await ask({}, 'HEAD')).headers.get('content-length')
    if (found !== null && Number(found) >= beginning.length) return Number(found)
    throw refuse('has no known length: the server must let the page see Content-Range (Access-Control-Expose-Headers)')
  }

  const read: ReadPart = async (start, size, onBytes) => {
    if (start + size <= beginning.length) {
      onBytes?.(size)
      return beginning.subarray(start, start + size)
    }
    const response = await ask(rangeOf(start, size))
    if (versionOf(response) !== version) throw refuse('has changed since it was opened: open it again')
    if (response.status !== 206) throw refuse(`the server answers a request for a part with ${response.status}`)
    const bytes = allocate(size, url)
    let filled = 0
    for await (const part of bytesOf(response)) {
      if (filled + part.length > size) throw refuse('the server sends more than the part that was asked for')
      bytes.set(part, filled)
      filled += part.length
      onBytes?.(part.length)
    }
    if (filled < size) throw refuse(`ends ${size - filled} bytes early`)
    return bytes
  }
  return { name: url, length, isHere: false, read }
}

/** Changes with the content; empty if the server does not say. */
const versionOf = ({ headers }: Response): string => headers.get('etag') ?? headers.get('last-modified') ?? ''

async function together(parts: AsyncIterable<Uint8Array>, onBytes?: (count: number) => void): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  for await (const part of parts) {
    all.push(part)
    onBytes?.(part.length)
  }
  const bytes = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of all) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function allocate(length: number, file: string): Uint8Array {
  try {
    return new Uint8Array(length)
  } catch (error) {
    throw new FileError(`${length} bytes do not fit in one array: ${messageOf(error)}`, { file })
  }
}
