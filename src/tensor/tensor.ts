// The tensor class: a shape and strides over memory on a device. Tensors are immutable and do not depend on gradients;
// autograd/fluent.ts adds the operations as methods.

import {
  displayed,
  type InspectOptions,
  inspectCustom,
  inspected,
  jupyterDisplay,
  lineNow,
  type MimeBundle,
  type Paint,
  textNow,
  textSoon,
  titleOf,
} from './display.ts'
import type { DType, TypedArray } from './dtype.ts'
import { relief } from './pressure.ts'
import type { PrintOptions } from './print.ts'
import { contiguousStrides, isContiguous, type Shape, ShapeError, show, sizeOf } from './shape.ts'
import { currentCount } from './stand-ins.ts'
import type { DeviceName, Storage, View } from './storage.ts'

/** Numbers nested as deep as the shape; booleans for bool. */
export type NestedArray = number | boolean | NestedArray[]

/** A tensor on a device that cannot be read synchronously. */
export class SyncReadError extends Error {
  override readonly name = 'SyncReadError'
  /** name of the device */
  readonly device: DeviceName

  constructor(device: DeviceName) {
    super(`dataSync: values on ${device} can only be read asynchronously; write await tensor.data()`)
    this.device = device
  }
}

/**
 * A tensor: a shape and strides over memory on a device. Tensors are immutable; operations are methods that return new tensors.
 *
 *     const x = tensor([[1, 2], [3, 4]])
 *     const y = x.matmul(x).add(1)
 *     console.log(await y.array())
 */
export class Tensor implements View {
  /** The size of each axis; `[]` for a scalar. */
  readonly shape: Shape
  /** Step in elements along each axis: 0 repeats an element, a negative step runs backwards. */
  readonly strides: readonly number[]
  /** Position of the first element in the memory. */
  readonly offset: number
  #storage: Storage

  constructor(storage: Storage, shape: Shape, strides: readonly number[] = contiguousStrides(shape), offset = 0) {
    this.#storage = storage
    this.shape = shape
    this.strides = strides
    this.offset = offset
  }

  /** The memory of this view, which other tensors may share. */
  get storage(): Storage {
    return currentCount()?.standIn(this.#storage) ?? this.#storage
  }

  /** For parameters and buffers of modules, the tensors whose values may be replaced. */
  protected replaceStorage(storage: Storage): void {
    if (!currentCount()?.replace(this.#storage, storage)) this.#storage = storage
  }

  /** Whether it has no memory yet, as a weight of a file that is read when it is first needed. */
  get isAbsent(): boolean {
    return false
  }

  /** Type of the elements: float32, float64 (not on `gpu`), int32 or bool. */
  get dtype(): DType {
    return this.#storage.dtype
  }

  /** Name of the device that stores it. */
  get device(): DeviceName {
    // a value that was not read yet is not read for this
    return (this.isAbsent ? this.#storage : this.storage).device.name
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape)
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length
  }

  /** Whether its elements are contiguous in memory in row-major order. */
  get isContiguous(): boolean {
    return isContiguous(this.shape, this.strides)
  }

  /** Another view of the same memory. */
  view(shape: Shape, strides: readonly number[], offset = this.offset): Tensor {
    return new Tensor(this.storage, shape, strides, offset)
  }

  /** A copy of the elements in row-major order. */
  async data(): Promise<TypedArray> {
    const values = await this.storage.device.read(this)
    await relief()
    return values
  }

  /** As `data`, but synchronous, on `reference` and `cpu`. Throws SyncReadError on `gpu`. */
  dataSync(): TypedArray {
    const { device } = this.storage
    if (!device.readSync) throw new SyncReadError(device.name)
    return device.readSync(this)
  }

  /** The elements as nested arrays. */
  async array(): Promise<NestedArray> {
    return nest(await this.data(), this.shape, this.dtype === 'bool')
  }

  /** The value of a tensor with one element. Throws ShapeError for any other tensor. */
  async item(): Promise<number> {
    if (this.size !== 1)
      throw new ShapeError(
        `item: the tensor must have one element, and ${show(this.shape)} has ${this.size}`,
        this.shape,
      )
    return (await this.data())[0]
  }

  /**
   * `String(x)` and template strings return the text of `toString`; arithmetic and comparisons (`x + 1`, `x > 5`) throw.
   * @throws TypeError for the hints `number` and `default`
   */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return this.toString()
    throw new TypeError(
      `a tensor ${show(this.shape)} is not a number, and JavaScript's operators do not work on tensors; write x.add(y), x.sub(y), x.mul(y), x.div(y) for + - * /, x.greater(y), x.less(y), x.equal(y) for > < ==, and await x.item() for its value`,
    )
  }

  /** Name of its kind in printed text. */
  protected get kind(): string {
    return 'Tensor'
  }

  /** The first line of its text: kind, shape, dtype and device. */
  protected get title(): string {
    return titleOf(this.kind, this)
  }

  /** The tensor whose values are printed. */
  protected get printed(): Tensor {
    return this
  }

  /**
   * Its kind, shape, dtype and device, and its values as NumPy prints them: aligned, and only the ends of each axis for more than
   * 1,000 elements.
   *
   *     Tensor [2, 3] float32 on cpu:
   *       [[ 0.50,  1.00, -2.00],
   *        [ 0.25, 10.00,  3.00]]
   *
   * Only printed elements are read. On `gpu`, where reads are asynchronous, the text says how to read the values: `text` waits for
   * them.
   */
  toString(options?: PrintOptions): string {
    return textNow(this.title, this.printed, options)
  }

  /** As `toString`, with the values on every device. */
  text(options?: PrintOptions): Promise<string> {
    return textSoon(this.title, this.printed, options)
  }

  /** The text that the consoles of Node, Deno and Bun print. */
  [inspectCustom](depth?: number | null, options?: InspectOptions): string {
    const line = (paint: Paint) => lineNow(this.title, this.printed, paint)
    const text = (paint: Paint) => textNow(this.title, this.printed, {}, paint)
    return inspected({ name: this.kind, line, text }, depth, options)
  }

  /** The display in a notebook: a table. */
  [jupyterDisplay](): Promise<MimeBundle> {
    return displayed(this.title, this.printed)
  }
}

function nest(data: TypedArray, shape: Shape, asBoolean: boolean): NestedArray {
  let at = 0
  const level = (axis: number): NestedArray => {
    if (axis === shape.length) return asBoolean ? data[at++] !== 0 : data[at++]
    return Array.from({ length: shape[axis] }, () => level(axis + 1))
  }
  return level(0)
}
