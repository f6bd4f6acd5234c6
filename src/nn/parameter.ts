// Parameters and buffers are the only tensors whose values change: an optimizer, or the module itself, assigns a new value, and the
// name stays.

import { checkArguments } from '../tensor/arguments.ts'
import { withoutValues } from '../tensor/create.ts'
import { titleOf } from '../tensor/display.ts'
import { given } from '../tensor/given.ts'
import {
  ArgumentError,
  canReplace,
  type Device,
  type DType,
  DTypeError,
  defaultGenerator,
  device,
  deviceOf,
  full,
  keep,
  type Shape,
  ShapeError,
  Storage,
  sameShape,
  show,
  sizeOf,
  Tensor,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import type { Initializer } from './init.ts'

/** Memory that belongs to the value of a parameter. */
const owned = new WeakSet<Storage>()

const isWhole = (x: Tensor): boolean => x.isContiguous && x.storage.length === x.size

/** Memory for one parameter: the tensor's own, or a copy if the tensor is a view of a part or belongs to another parameter. */
function take(value: Tensor): Storage {
  const free = isWhole(value) && !owned.has(value.storage)
  const { storage } = keep(free ? value : deviceOf(value).kernels.copy(value))
  owned.add(storage)
  return storage
}

const NEW_VALUE = (kind: string) => `the assignment of a new value to its ${kind}`

/** A tensor in a field of a module, which keeps its name and owns its memory while its value is replaced. */
export abstract class ModuleTensor extends Tensor {
  /** what it is, in messages */
  protected abstract get role(): string

  /**
   * Assigns a new value and frees the memory of the old one. A tape that recorded the old value refuses to walk back.
   * @throws ShapeError if the shape differs, DTypeError if integers or booleans would replace floating numbers
   */
  assign(value: Tensor): void {
    checkArguments(`${this.role}.assign(value)`, [is.tensor], [value])
    if (!sameShape(value.shape, this.shape))
      throw new ShapeError(
        `assign: the value has shape ${show(value.shape)}, but the ${this.role} has shape ${show(this.shape)}`,
        value.shape,
        this.shape,
      )
    if (!canReplace(value.dtype, this.dtype))
      throw new DTypeError(
        `assign: the value is ${value.dtype}, but the ${this.role} is ${this.dtype}; write value.cast('${this.dtype}')`,
        value.dtype,
      )
    const old = this.storage
    if (value.storage === old && isWhole(value)) return
    this.replaceStorage(take(value))
    old.free(NEW_VALUE(this.role))
  }

  /** Its memory holds a new value: tensors that still refer to the old value count as freed. */
  renew(): void {
    const renewed = this.storage.move(NEW_VALUE(this.role))
    renewed.keep()
    owned.add(renewed)
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
  const empty = withoutValues(shape, 'float32', device.get())
  if (empty) return new Parameter(empty)
  const value: unknown = initialize(shape, generator)
  if (value instanceof Tensor && sameShape(value.shape, shape)) return new Parameter(value)
  const advice = typeof value === 'function' ? '; call it first, as in init.normal(0.02)' : ''
  throw new ArgumentError(
    `parameter: an initializer must give a tensor ${show(shape)}, not ${given(value)}${advice}`,
    'parameter',
    'initialize',
    value,
  )
}
