// Parameters and buffers are the only tensors whose values change: an optimizer, or the module itself, assigns a new value, and the
// name stays.

import { noGrad } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { apart } from '../tensor/capturing.ts'
import { withoutValues } from '../tensor/create.ts'
import { titleOf } from '../tensor/display.ts'
import { given } from '../tensor/given.ts'
import {
  ArgumentError,
  canReplace,
  type Device,
  type DeviceName,
  type DType,
  DTypeError,
  defaultGenerator,
  deviceOf,
  device as devices,
  full,
  type Generator,
  keep,
  Scope,
  type Shape,
  ShapeError,
  Storage,
  sameShape,
  show,
  sizeOf,
  Tensor,
  type TypedArray,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { piecesOf } from '../tensor/pieces.ts'
import { currentCount, restoredAfterCount } from '../tensor/stand-ins.ts'
import type { Initializer } from './init.ts'

const isWhole = (x: Tensor): boolean => x.isContiguous && x.storage.length === x.size

/** Whether a parameter can take the memory of a tensor. */
const isFree = (x: Tensor): boolean => isWhole(x) && !x.storage.isBorrowed

/** Memory for one parameter: the tensor's own, or a copy if the tensor is a view of a part, or its memory belongs to another parameter or will have other values. */
function take(value: Tensor): Storage {
  const { storage } = keep(isFree(value) ? value : deviceOf(value).kernels.copy(value))
  storage.isBorrowed = true
  return storage
}

const NEW_VALUE = (kind: string) => `the assignment of a new value to its ${kind}`

/** Where a value comes from that is read when it is needed. */
export interface LaterOptions {
  /** default the current device */
  readonly device?: DeviceName
  /** of the value; default that of the parameter or the buffer */
  readonly dtype?: DType
}
const laterOptions = {
  device: is.optional(is.text as is.Kind<DeviceName>),
  dtype: is.optional(is.dtype),
} satisfies Settings<LaterOptions>

/** A tensor in a field of a module, which keeps its name and owns its memory while its value is replaced. */
export abstract class ModuleTensor extends Tensor {
  #source: (() => Tensor) | undefined

  /** what it is, in messages */
  protected abstract get role(): string

  /** Whether its value has not been read yet (see `assignLater`), so that it has no memory. */
  override get isAbsent(): boolean {
    return this.#unread !== undefined
  }

  /** Reads its value, until that is done. A count of memory reads nothing: what stands in for the value has its size. */
  get #unread(): (() => Tensor) | undefined {
    return currentCount() ? undefined : this.#source
  }

  #setSource(source: (() => Tensor) | undefined): void {
    restoredAfterCount(this, () => {
      const before = this.#source
      return () => {
        this.#source = before
      }
    })
    this.#source = source
  }

  /**
   * Assigns a value that is read when it is first needed: by an operation, a device to move to, an optimizer. `data` and `dataSync`
   * read it and do not keep it. Until then it takes no memory. Frees the memory of the old value.
   *
   *     layer.weight.assignLater(() => fromData(readWeight(), [4, 3]))
   *
   * @param read returns a tensor of the same shape on the device. What it throws is thrown by the operation, and it is called again by
   *   the next one
   */
  assignLater(read: () => Tensor, options?: LaterOptions): void {
    const call = `${this.role}.assignLater(read, options)`
    checkArguments(call, [is.callback], [read])
    const settled = settle(call, options, laterOptions)
    const on = devices.get(settled.device)
    const old = super.storage
    this.#setSource(read)
    this.replaceStorage(new Storage(absentOn(on), settled.dtype ?? old.dtype, this.size, null))
    old.free(NEW_VALUE(this.role))
  }

  /** The memory of its value, which is read now if it has not been. */
  override get storage(): Storage {
    const read = this.#unread
    if (read) {
      this.replaceStorage(apart(() => take(this.#read(read))))
      this.#source = undefined
    }
    return super.storage
  }

  /** Reads its value now, if it has not been. @returns this */
  load(): this {
    void this.storage
    return this
  }

  override async data(): Promise<TypedArray> {
    const read = this.#unread
    if (!read) return super.data()
    const value = keep(this.#read(read))
    try {
      return await value.data()
    } finally {
      value.storage.free('it was read')
    }
  }

  override dataSync(): TypedArray {
    const read = this.#unread
    if (!read) return super.dataSync()
    const value = this.#read(read)
    try {
      return value.dataSync()
    } finally {
      value.storage.free('it was read')
    }
  }

  /** A copy of its value as a tensor of its own. A value that was not read yet is read, and is not kept here. */
  copied(): Tensor {
    const read = this.#unread
    return read ? this.#read(read) : deviceOf(this).kernels.copy(this)
  }

  /** A value of its own, which no tape records. */
  #read(read: () => Tensor): Tensor {
    const whole = () => {
      const value = read()
      this.#check('assignLater', value)
      return isFree(value) ? value : deviceOf(value).kernels.copy(value)
    }
    return noGrad(() => new Scope(`reading a ${this.role}`, false).close(whole))
  }

  /**
   * Assigns a new value and frees the memory of the old one. A tape that recorded the old value refuses to walk back.
   * @throws ShapeError if the shape differs, DTypeError if integers or booleans would replace floating numbers
   */
  assign(value: Tensor): void {
    checkArguments(`${this.role}.assign(value)`, [is.tensor], [value])
    this.#check('assign', value)
    const old = super.storage
    if (value === this || (value.storage === old && isWhole(value))) return
    const storage = take(value)
    this.replaceStorage(storage)
    this.#setSource(undefined)
    old.freeFor(storage, NEW_VALUE(this.role))
  }

  #check(call: string, value: Tensor): void {
    if (!sameShape(value.shape, this.shape))
      throw new ShapeError(
        `${call}: the value has shape ${show(value.shape)}, but the ${this.role} has shape ${show(this.shape)}`,
        value.shape,
        this.shape,
      )
    if (!canReplace(value.dtype, this.dtype))
      throw new DTypeError(
        `${call}: the value is ${value.dtype}, but the ${this.role} is ${this.dtype}; write value.cast('${this.dtype}')`,
        value.dtype,
      )
  }

  /** Its memory holds a new value: tensors that still refer to the old value count as freed. */
  renew(): void {
    const renewed = this.storage.move(NEW_VALUE(this.role))
    renewed.keep()
    this.replaceStorage(renewed)
  }
}

/**
 * A tensor that is trained: a module finds it in its fields, and an optimizer replaces its value. Otherwise it is like any
 * other tensor.
 */
export class Parameter extends ModuleTensor {
  /** false for frozen parameters, which get no gradient and no update */
  trainable = true

  /**
   * @param value the parameter becomes the owner of its memory, whatever scope it was made in. Memory that another parameter
   *   owns is copied.
   */
  constructor(value: Tensor) {
    checkArguments('new Parameter(value)', [is.tensor], [value])
    super(take(value), value.shape)
  }

  protected override get role(): string {
    return 'parameter'
  }

  protected override get kind(): string {
    return 'Parameter'
  }

  protected override get title(): string {
    return titleOf(this.kind, this, this.trainable ? 'trainable' : 'frozen')
  }
}

/**
 * A tensor that belongs to a module and is not trained, such as the running mean of a batch normalization: it is in the state dict
 * and moves with the module, but it is no parameter and gets no gradient. The module replaces its value with `assign`, under
 * `noGrad`.
 */
export class Buffer extends ModuleTensor {
  /** @param value the buffer becomes the owner of its memory, whatever scope it was made in */
  constructor(value: Tensor) {
    checkArguments('new Buffer(value)', [is.tensor], [value])
    super(take(value), value.shape)
  }

  protected override get role(): string {
    return 'buffer'
  }

  protected override get kind(): string {
    return 'Buffer'
  }
}

let shapesOnly = false
let valuesLater = false

const noValues = () => new Error('this model was made by withoutAllocation: it has no values to read')

/** A device without memory: its parameters have only shapes. */
const nowhere: Device = {
  name: 'reference',
  isManaged: true,
  hasValues: false,
  description: 'shapes without values',
  dtypes: ['float32', 'int32'],
  get kernels(): never {
    throw new Error('this model was made by withoutAllocation: it has shapes, and no values to compute with')
  },
  upload: () => null,
  read: () => Promise.reject(noValues()),
  readSync: () => {
    throw noValues()
  },
  free: () => {},
  memory: () => ({ bytes: 0, buffers: 0 }),
}

/** The place of a value on a device that is not there yet. */
const absentOn = ({ name }: Device): Storage['device'] => ({
  name,
  isManaged: true,
  isAbsent: true,
  upload: () => null,
  read: () => Promise.reject(noValues()),
  free: () => {},
})

/** Makes modules whose parameters have shapes but no memory: to count the parameters of a model too large to hold. */
export function withoutAllocation<T>(f: () => T): T {
  checkArguments('withoutAllocation(f)', [is.callback], [f])
  const outer = shapesOnly
  shapesOnly = true
  try {
    return f()
  } finally {
    shapesOnly = outer
  }
}

/**
 * Makes modules whose parameters are initialized when they are first needed, in that order: those that get another value before are not
 * initialized at all, and no random numbers are drawn for them.
 */
export function withLateValues<T>(f: () => T): T {
  checkArguments('withLateValues(f)', [is.callback], [f])
  const outer = valuesLater
  valuesLater = true
  try {
    return f()
  } finally {
    valuesLater = outer
  }
}

/** A tensor whose value is read on the current device when it is first needed. */
export function absent(shape: Shape, dtype: DType, read: () => Tensor): Buffer {
  const later = new Buffer(shapeWithout(shape, dtype))
  later.assignLater(read)
  return later
}

/** A copy of a tensor. The value of a parameter or buffer that was not read yet is read for it. */
export const copyOf = (x: Tensor): Tensor => (x instanceof ModuleTensor ? x.copied() : deviceOf(x).kernels.copy(x))

/** The elements of a contiguous tensor in pieces on the host. A value that was not read yet is read, and is not kept. */
export async function* valuesOf(x: Tensor): AsyncGenerator<TypedArray> {
  const own = x.isAbsent ? keep(copyOf(x)) : x
  try {
    yield* piecesOf(own)
  } finally {
    if (own !== x) own.storage.free('it was read')
  }
}

/** Whether parameters get values now: not within {@link withoutAllocation}. */
export const makesValues = (): boolean => !shapesOnly

/** A tensor with a shape and no memory. */
const shapeWithout = (shape: Shape, dtype: DType): Tensor =>
  new Tensor(new Storage(nowhere, dtype, sizeOf(shape), null), shape)

/** A new buffer of a shape, with one number everywhere. */
export const buffer = (shape: Shape, value: number, dtype: DType = 'float32'): Buffer =>
  new Buffer(shapesOnly ? shapeWithout(shape, dtype) : full(shape, value, { dtype }))

/** A new parameter of a shape, filled by an initializer. */
export function parameter(shape: Shape, initialize: Initializer, generator = defaultGenerator()): Parameter {
  checkArguments('parameter(shape, initialize)', [is.shape, is.callback], [shape, initialize])
  if (shapesOnly) return new Parameter(shapeWithout(shape, 'float32'))
  const empty = withoutValues(shape, 'float32', devices.get())
  if (empty) return new Parameter(empty)
  if (valuesLater) {
    const later = new Parameter(shapeWithout(shape, 'float32'))
    later.assignLater(() => initial(shape, initialize, generator))
    return later
  }
  return new Parameter(initial(shape, initialize, generator))
}

function initial(shape: Shape, initialize: Initializer, generator: Generator): Tensor {
  const value: unknown = initialize(shape, generator)
  if (value instanceof Tensor && sameShape(value.shape, shape)) return value
  const advice = typeof value === 'function' ? '; call it first, as in init.normal(0.02)' : ''
  throw new ArgumentError(
    `parameter: an initializer must give a tensor ${show(shape)}, not ${given(value)}${advice}`,
    'parameter',
    'initialize',
    value,
  )
}
