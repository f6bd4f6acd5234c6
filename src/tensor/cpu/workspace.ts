// Operands and results of kernels: addresses of tensors, memory for results, and temporary memory that is needed until the
// kernel is done.

import type { Device } from '../device.ts'
import { DeviceError } from '../device.ts'
import { bytesPerElement, type DType, type TypedArray } from '../dtype.ts'
import type { Operand } from '../primitives.ts'
import { checkElements, contiguousStrides, IndexError, isContiguous, type Shape, sizeOf } from '../shape.ts'
import { Storage, type View } from '../storage.ts'
import { Tensor } from '../tensor.ts'
import { Axes, type Laid, scalar } from './axes.ts'
import { type CpuModule, comparisons } from './exports.ts'
import { addressOf } from './gemm.ts'
import type { Block, Heap } from './heap.ts'
import type { KernelThreads } from './threads.ts'

/**
 * The number of elements from which on a part is given to another thread: this costs one to two microseconds, in which this many
 * elements are moved, or combined, or evaluated in a polynomial.
 */
export const grains = { move: 16384, compute: 4096 } as const

/** The kernels that convert elements. */
type Conversion = {
  [Name in keyof CpuModule]: Name extends `${string}_to_${string}` ? Name : never
}[keyof CpuModule]

const sourceName = (dtype: DType): string => (dtype === 'bool' ? dtype : suffix[dtype])

/** An operand in linear memory. */
export interface Placed extends Laid {
  readonly pointer: number
}

/** The types of elements, in the names of kernels that compute with them. */
export const suffix = { float32: 'f32', float64: 'f64', int32: 'i32' } as const

/** The sizes of elements in bits, in the names of kernels that only move them. */
export const bitsOf = (dtype: DType): 64 | 32 | 8 => (dtype === 'float64' ? 64 : dtype === 'bool' ? 8 : 32)

/** The operands and results of kernels on this device. */
export class Workspace {
  readonly heap: Heap
  readonly axes = new Axes()
  readonly threads: KernelThreads
  readonly device: Device
  /** memory for operands that are numbers */
  readonly #numbers: number
  #passing: Block[] = []
  /** called with the memory of each operand; returns another one in its place, if there is one */
  onAddress: ((storage: Storage) => Block | undefined) | undefined

  constructor(device: Device, heap: Heap, threads: KernelThreads) {
    this.device = device
    this.heap = heap
    this.threads = threads
    this.#numbers = heap.take(64).pointer
  }

  /** The kernels, for a call on this thread alone. */
  get code(): CpuModule {
    return this.threads.code
  }

  /** The address of a view. Throws DeviceError for a tensor of another device. */
  address(x: View): number {
    const { storage, offset } = x
    if (storage.device !== this.device)
      throw new DeviceError(`cpu: this tensor is on ${storage.device.name}; move it with toDevice(x, 'cpu')`, 'cpu')
    const { pointer } = this.onAddress?.(storage) ?? (storage.handle as Block)
    return pointer + offset * bytesPerElement(storage.dtype)
  }

  /** An operand as `dtype`: a number is written to memory (there are four places), a tensor of another dtype is converted. */
  place(x: Operand, dtype: DType, slot: number): Placed {
    if (typeof x === 'number') {
      const pointer = this.#numbers + 16 * slot
      this.#write(pointer, x, dtype)
      return { pointer, ...scalar }
    }
    if (x.dtype === dtype) return { pointer: this.address(x), shape: x.shape, strides: x.strides }
    const dense = this.dense(x)
    const size = sizeOf(x.shape)
    const pointer = this.passing(size * bytesPerElement(dtype))
    this.convert(pointer, dense, size, x.dtype, dtype)
    return { pointer, shape: x.shape, strides: contiguousStrides(x.shape) }
  }

  #write(pointer: number, value: number, dtype: DType): void {
    if (this.threads.log) this.threads.onHost(`a ${dtype}`, [pointer, value], () => this.#set(pointer, value, dtype))
    else this.#set(pointer, value, dtype)
  }

  #set(pointer: number, value: number, dtype: DType): void {
    if (dtype === 'float32') this.heap.f32[pointer / 4] = value
    else if (dtype === 'float64') this.heap.f64[pointer / 8] = value
    else if (dtype === 'int32') this.heap.i32[pointer / 4] = value
    else this.heap.u8[pointer] = value
  }

  /** Copies numbers of the host to memory. */
  put(pointer: number, values: TypedArray): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    const { heap, threads } = this
    if (!threads.log) heap.u8.set(bytes, pointer)
    else {
      const kept = bytes.slice()
      threads.onHost('numbers of the host', [pointer], () => heap.u8.set(kept, pointer), kept)
    }
  }

  /** n elements equal to a number. */
  fill(pointer: number, value: number, n: number, dtype: DType): void {
    const from = this.#numbers
    this.#write(from, value, dtype)
    const bytes = bytesPerElement(dtype)
    const kernel = `fill_${bitsOf(dtype)}` as const
    this.threads.share(
      n,
      grains.move,
      ({ code }, first, last) => code[kernel](pointer + bytes * first, from, last - first),
      64,
    )
  }

  /** Contiguous elements as another dtype. */
  convert(to: number, from: number, n: number, source: DType, target: DType): void {
    const { code } = this
    if (source === target) this.copy([n], to, [1], from, [1], target)
    else if (target !== 'bool') code[`${sourceName(source)}_to_${suffix[target]}` as Conversion](to, from, n)
    else {
      const type = source === 'bool' ? 'int32' : source
      this.#write(this.#numbers, 0, type)
      const step = bytesPerElement(type)
      code[`compare_${suffix[type]}`](comparisons.notEqual, to, from, this.#numbers, 1, 1, n, 0, 0, step, 0, 0, 0)
    }
  }

  /** The address of the elements in row-major order: their own, or that of a temporary copy. */
  dense(x: View): number {
    const pointer = this.address(x)
    if (isContiguous(x.shape, x.strides)) return pointer
    const copied = this.passing(sizeOf(x.shape) * bytesPerElement(x.storage.dtype))
    this.copyDense(copied, x)
    return copied
  }

  /** The elements of a view, in row-major order. */
  copyDense(to: number, x: View): void {
    this.copy(x.shape, to, contiguousStrides(x.shape), this.address(x), x.strides, x.storage.dtype)
  }

  /** One view over another of the same shape. */
  copy(
    shape: Shape,
    to: number,
    toStrides: readonly number[],
    from: number,
    fromStrides: readonly number[],
    dtype: DType,
  ) {
    if (sizeOf(shape) === 0) return
    const { axes } = this
    const kernel = `copy_${bitsOf(dtype)}` as const
    const bytes = bytesPerElement(dtype)
    axes.join(shape, { shape, strides: toStrides }, bytes, { shape, strides: fromStrides }, bytes)
    axes.largestInside()
    const { x2, x1, x0, y2, y1, y0 } = axes
    axes.share(this.threads, grains.move, ({ code }, x, y, _z, _before, n2, n1, n0) =>
      code[kernel](to + x, from + y, n2, n1, n0, x2, x1, x0, y2, y1, y0),
    )
  }

  /** Throws IndexError for an index that is not in 0 … size - 1. */
  checkIndices(name: string, indices: Tensor, size: number): void {
    if (indices.size === 0) return
    const at = this.address(indices)
    const { axes } = this
    axes.join(indices.shape, indices, 4)
    const { n2, n1, n0, x2, x1, x0 } = axes
    const { outside } = this.threads.lanes[0].code
    axes.each(3, x =>
      this.threads.onHost(`indices of ${name}`, [at + x, n2, n1, n0, x2, x1, x0, size], () => {
        const wrong = addressOf(outside(at + x, n2, n1, n0, x2, x1, x0, size))
        if (wrong !== 0) throw new IndexError(name, this.heap.i32[wrong / 4], size)
      }),
    )
  }

  /** Temporary memory until `done`. */
  passing(bytes: number): number {
    const block = this.heap.take(bytes)
    this.#passing.push(block)
    return block.pointer
  }

  /** Frees the temporary memory. */
  done(): void {
    for (const block of this.#passing) this.heap.give(block)
    this.#passing = []
  }

  /** A tensor in new memory; `compute` fills it, unless it is empty. Throws ShapeError for too many elements. */
  tensor(dtype: DType, shape: Shape, compute: (pointer: number, size: number) => void): Tensor {
    checkElements('tensor', shape)
    const size = sizeOf(shape)
    const block = this.heap.take(size * bytesPerElement(dtype), shape)
    try {
      if (size > 0) compute(block.pointer, size)
    } catch (error) {
      this.heap.give(block)
      throw error
    } finally {
      if (this.#passing.length > 0) this.done()
    }
    return new Tensor(new Storage(this.device, dtype, size, block), shape)
  }
}
