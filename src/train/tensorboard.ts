// Metrics as an event file, which TensorBoard shows as curves. The format has two layers:
//
// - TFRecord, the frame of each record: uint64 length, uint32 masked CRC-32C of the length, the bytes, uint32 masked CRC-32C of the
//   bytes, little-endian; masked(c) = (c >>> 15 | c << 17) + 0xa282ead8
//   (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details)
// - in it a protocol buffer `Event` (tensorboard/compat/proto/event.proto): wall_time double = 1, step int64 = 2, file_version
//   string = 3, summary Summary = 5, session_log SessionLog = 7; Summary: value = 1, each with tag string = 1 and simple_value
//   float = 2 (summary.proto); SessionLog: status enum = 1, of which START is 1
//   (https://protobuf.dev/programming-guides/encoding for the bytes)
//
// The first event of a file is its version. SessionLog START with a step makes TensorBoard discard what it has read from this step
// on, so a file that a resumed training begins with it continues the curves of the files before it.

import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError, namesIn } from '../io/index.ts'
import type { MetricsLine } from './metrics.ts'

/** The names of event files begin with this, which TensorBoard looks for. */
const PREFIX = 'events.out.tfevents.'

/** Whether a file of this name is an event file. */
export const isEventFile = (name: string): boolean => name.startsWith(PREFIX)

/** The scalars of a line of metrics, by the tag that TensorBoard shows; those before a slash are shown together. */
export function scalarsOf(line: MetricsLine): Record<string, number> {
  const named = (group: string, values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([name, value]) => [`${group}/${name}`, value] as const)
  if (line.kind === 'evaluation') return Object.fromEntries(named('evaluation', line.values))
  if (line.kind === 'guard') return { 'guard/error': line.error }
  if (line.kind === 'restoration') return {}
  const { losses, measures, learningRate, learningRates, gradientNorm, examplesPerSecond, communication = [] } = line
  return Object.fromEntries([
    ...named('losses', losses),
    ...named('measures', measures),
    ['training/learningRate', learningRate],
    ...named('learningRates', { ...learningRates }),
    ['training/gradientNorm', gradientNorm],
    ...(examplesPerSecond === undefined ? [] : [['training/examplesPerSecond', examplesPerSecond] as const]),
    ...communication.map((seconds, rank) => [`communication/rank${rank}`, seconds] as const),
  ])
}

/** Appends events to a file. Each is written at once: a file that ends within a record is readable up to the record before. */
export class EventLog {
  readonly path: string
  readonly #handle: FileHandle

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  /**
   * Opens a new file in a folder.
   * @param from the number of updates made before; TensorBoard discards values of later steps in the files before
   * @param now seconds since 1970
   * @throws FileError if it cannot be written
   */
  static async open(folder: string, from: number, now = Date.now() / 1000): Promise<EventLog> {
    // TensorBoard reads the files of a folder in the order of their names
    const names = (await namesIn(folder)).filter(isEventFile)
    const others = names.map(name => Number.parseInt(name.slice(PREFIX.length), 10)).filter(Number.isFinite)
    const second = Math.max(Math.floor(now), ...others.map(other => other + 1))
    const path = join(folder, `${PREFIX}${String(second).padStart(10, '0')}`)
    try {
      const log = new EventLog(path, await open(path, 'ax'))
      await log.#write(versionEvent(now))
      if (names.length > 0) await log.#write(startEvent(now, from + 1))
      return log
    } catch (error) {
      throw fileError(path, error)
    }
  }

  /** Writes the scalars of a line as one event. */
  async add(line: MetricsLine, now = Date.now() / 1000): Promise<void> {
    await this.#write(scalarsEvent(now, line.step, scalarsOf(line)))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  async #write(event: Uint8Array): Promise<void> {
    try {
      await this.#handle.appendFile(record(event))
    } catch (error) {
      throw fileError(this.path, error)
    }
  }
}

/** The first event of a file. @param time in seconds since 1970 */
export const versionEvent = (time: number): Uint8Array =>
  message(double(1, time), bytes(3, new TextEncoder().encode('brain.Event:2')))

/** An event of a session that starts at a step. */
export const startEvent = (time: number, step: number): Uint8Array =>
  message(double(1, time), integer(2, step), bytes(7, integer(1, 1)))

/** An event with scalars by tag. */
export function scalarsEvent(time: number, step: number, scalars: Readonly<Record<string, number>>): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytes(1, message(bytes(1, new TextEncoder().encode(tag)), float(2, value))),
  )
  return message(double(1, time), integer(2, step), bytes(5, message(...values)))
}

/** A TFRecord. */
export function record(data: Uint8Array): Uint8Array {
  const whole = new Uint8Array(8 + 4 + data.length + 4)
  const view = new DataView(whole.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, maskedCrc(whole.subarray(0, 8)), true)
  whole.set(data, 12)
  view.setUint32(12 + data.length, maskedCrc(data), true)
  return whole
}

/** CRC-32C (Castagnoli; RFC 3720, appendix B.4) of each byte: the polynomial 0x1edc6f41 with its bits reversed. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** The CRC-32C of some bytes, an unsigned number. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of data) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

function maskedCrc(data: Uint8Array): number {
  const crc = crc32c(data)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** The fields of a protocol buffer one after the other. */
function message(...fields: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(fields.reduce((sum, field) => sum + field.length, 0))
  let end = 0
  for (const field of fields) {
    whole.set(field, end)
    end += field.length
  }
  return whole
}

/** The types of fields in their keys. */
const [VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES] = [0, 1, 2, 5]

/** A number, 7 bits a byte, the lowest first. */
function varint(value: number): Uint8Array {
  const parts: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...parts, rest])
    parts.push((rest % 128) | 128)
  }
}

const key = (field: number, type: number): Uint8Array => varint(field * 8 + type)
const integer = (field: number, value: number): Uint8Array => message(key(field, VARINT), varint(value))
const bytes = (field: number, value: Uint8Array): Uint8Array => message(key(field, LENGTH), varint(value.length), value)

function double(field: number, value: number): Uint8Array {
  const whole = new DataView(new ArrayBuffer(8))
  whole.setFloat64(0, value, true)
  return message(key(field, EIGHT_BYTES), new Uint8Array(whole.buffer))
}

function float(field: number, value: number): Uint8Array {
  const whole = new DataView(new ArrayBuffer(4))
  whole.setFloat32(0, value, true)
  return message(key(field, FOUR_BYTES), new Uint8Array(whole.buffer))
}
