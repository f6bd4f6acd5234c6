// Values as they are sent between threads: only those that arrive as what they were, and of a part of an array only the part.

import { BatchError } from '../../io/errors.ts'
import { isPlain } from '../../tensor/given.ts'

/**
 * A value to send. A view of a part of a buffer is copied, because the whole buffer would be sent.
 * @param transfer gets the buffers of these copies
 * @throws BatchError naming the field of what cannot be sent
 */
export function packed(value: unknown, transfer: ArrayBuffer[], path = ''): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') throw cannot(path, `a ${typeof value}`)
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value)) return ownView(value, transfer)
  if (Array.isArray(value)) return value.map((each, i) => packed(each, transfer, inside(path, String(i))))
  if (isPlain(value))
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [name, packed(each, transfer, inside(path, name))]),
    )
  if (value instanceof Date || value instanceof Map || value instanceof Set || value instanceof ArrayBuffer)
    return value
  throw cannot(path, `an object of the class ${value.constructor?.name ?? 'unknown'}`)
}

type View = new (buffer: ArrayBuffer) => ArrayBufferView

function ownView(value: ArrayBufferView, transfer: ArrayBuffer[]): ArrayBufferView {
  if (value.buffer instanceof ArrayBuffer && value.byteLength === value.buffer.byteLength) return value
  const { buffer } = new Uint8Array(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  transfer.push(buffer)
  const Class = (globalThis as unknown as Record<string, View>)[Object.prototype.toString.call(value).slice(8, -1)]
  return new Class(buffer)
}

const inside = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

const cannot = (path: string, what: string): BatchError =>
  new BatchError(
    `${path === '' ? 'the value' : `the field '${path}'`} is ${what}, which cannot be sent from a worker: return numbers, texts, typed arrays, and lists and plain objects of them`,
  )
