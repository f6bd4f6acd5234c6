// The memory that a computation needs, without computing it.

import { checkArguments } from './arguments.ts'
import { runIn } from './context.ts'
import { bytesOf, type CountingDevice, countingDevice } from './cpu/counting.ts'
import { device } from './devices.ts'
import { defaultGenerator } from './draw.ts'
import { isPromise } from './given.ts'
import * as is from './kinds.ts'
import { type Settings, settle } from './options.ts'
import { scope } from './scope.ts'
import { type Counting, during } from './stand-ins.ts'
import { type DeviceName, Storage } from './storage.ts'

/** Options of `countMemory`. */
export interface CountMemoryOptions {
  /** the device whose memory is counted; default the current one */
  readonly device?: DeviceName
}
const countMemoryOptions = {
  device: is.optional(is.text as is.Kind<DeviceName>),
} satisfies Settings<CountMemoryOptions>

/** The memory of a computation, in bytes. */
export interface MemoryCount<T> {
  /** at the highest point: `before`, and what the function made and had not freed */
  readonly peak: number
  /** of the tensors that were made before, and that the function used; weights that it would read from a file (`assignLater`) are not */
  readonly before: number
  /** at the end */
  readonly after: number
  /** of the function; its tensors have a shape and no values */
  readonly result: T
}

class Count implements Counting {
  readonly device: CountingDevice
  readonly #standIns = new Map<Storage, Storage>()
  readonly #restores = new Map<object, () => void>()

  constructor(device: CountingDevice) {
    this.device = device
  }

  standIn(storage: Storage): Storage {
    if (!this.#isFromBefore(storage)) return storage
    const known = this.#standIns.get(storage)
    if (known) return known
    const { dtype, length } = storage
    const bytes = bytesOf(storage)
    const memory = storage.device.isAbsent ? this.device.reserve(bytes) : this.device.adopt(bytes)
    // in no scope, as it belongs to nobody in the count
    const made = runIn(null, () => new Storage(this.device, dtype, length, memory))
    this.#standIns.set(storage, made)
    return made
  }

  replace(storage: Storage, by: Storage): boolean {
    if (!this.#isFromBefore(storage)) return false
    this.#standIns.set(storage, by)
    return true
  }

  atEnd(owner: object, save: () => () => void): void {
    if (!this.#restores.has(owner)) this.#restores.set(owner, save())
  }

  end(): void {
    for (const restore of this.#restores.values()) restore()
  }

  #isFromBefore({ device, isFreed }: Storage): boolean {
    return device !== this.device && (device.name === this.device.name || device.hasValues === false) && !isFreed
  }
}

/**
 * The memory that a function would need, without computing it: every operation makes tensors that have a shape and no values, and what
 * they would take on the device is counted, with the temporary memory of its kernels. On `cpu` the result is exact.
 *
 *     const { peak } = countMemory(() => optimizer.minimize(() => model.loss(images, ids)))
 *
 * Nothing that exists changes, and no weight is read from its file: neither parameters and buffers, nor the state of optimizers and of averages, nor the random numbers. Modules that the
 * function makes need no memory for their parameters: `countMemory(() => new CoCa(config))`. Values that the function reads from
 * what it computed are 1. It must be synchronous, and what it does besides computing with tensors is done. PyTorch's FakeTensorMode.
 * @throws TypeError if the function returns a Promise
 */
export function countMemory<T>(f: () => T, options?: CountMemoryOptions): MemoryCount<T> {
  const call = 'countMemory(f, options)'
  checkArguments(call, [is.callback, is.options], [f, options])
  const { device: name } = settle(call, options, countMemoryOptions)
  const counting = countingDevice(device.get(name))
  const count = new Count(counting)
  const generator = defaultGenerator()
  const { position } = generator.state
  try {
    const result = during(count, () => device.with(counting.name, () => scope(f)))
    if (isPromise(result))
      throw new TypeError(
        'countMemory: f must not be async; await its data before the call (operations are synchronous)',
      )
    const { peak, before } = counting
    return { peak, before, after: counting.memory().bytes, result }
  } finally {
    count.end()
    generator.seek(position)
  }
}
