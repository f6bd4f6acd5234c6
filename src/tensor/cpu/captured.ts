// A function whose kernel calls are noted, and repeated in later calls without its JavaScript. Its temporary memory and its results are
// in a block of memory that belongs to it, so that addresses stay the same. Nothing is repeated before two calls in a row have run the
// same kernels, with the same numbers in the same places, and from time to time the function runs again and is compared.

import { CaptureError } from '../capture-error.ts'
import { inCapture } from '../capturing.ts'
import type { Replayable } from '../device.ts'
import { bytesPerElement } from '../dtype.ts'
import { scope, storagesIn } from '../scope.ts'
import { show } from '../shape.ts'
import { Storage } from '../storage.ts'
import { Tensor } from '../tensor.ts'
import { Arena, type Block } from './heap.ts'
import { differenceOf, Log } from './log.ts'
import type { Workspace } from './workspace.ts'

type Inputs = readonly Tensor[]
type Captured = (...inputs: Inputs) => unknown

/** The number of different shapes of arguments for which kernels are kept. */
const PROGRAMS = 4
/** The number of calls in a row that may differ from the one before. */
const TRIES = 4
/** What frees a result. */
const NEXT = 'the next call of the captured function'

/** Memory that the kernels use and the function did not make, such as that of a parameter. */
interface Outside {
  /** that of the present value */
  storage: Storage
  /** what the kernels read: the memory itself, or a copy of it in the memory of the function */
  readonly block: Block
  readonly isCopied: boolean
}

/** What one call did. */
interface Noted {
  readonly log: Log
  /** where the arguments are copied to */
  readonly inputs: readonly Block[]
  readonly outside: readonly Outside[]
  readonly conditions: readonly (() => boolean)[]
  /** the result once more, in the same memory */
  readonly again: () => unknown
  /** the number of threads among which the work was divided */
  readonly threads: number
}

/** The calls with arguments of the same shapes and types. */
class Program {
  readonly #f: Captured
  readonly #workspace: Workspace
  /** bytes that the function needs; 0: not measured yet */
  #bytes = 0
  /** its memory */
  #memory: Block | undefined
  /** of the last call that was noted */
  #noted: Noted | undefined
  /** calls in a row that were noted */
  #tries = 0
  /** calls since the kernels are repeated, and the one in which the function runs again; 0: they are not repeated */
  #calls = 0
  #next = 0
  /** what gets new memory between calls, such as a parameter that is assigned: the kernels read a copy of it */
  #moving: readonly Storage[] = []
  /** calls in a row since something was replaced before each of them */
  #replaced = 0
  /** memory of the last result */
  #last: readonly Storage[] = []
  /** why nothing is repeated */
  reason: string | undefined
  isReplay = false

  constructor(f: Captured, workspace: Workspace) {
    this.#f = f
    this.#workspace = workspace
  }

  call(inputs: Inputs): unknown {
    this.#free(NEXT)
    this.isReplay = false
    if (this.reason !== undefined) {
      this.#giveBack()
      return this.#plain(inputs)
    }
    if (this.#bytes === 0) return this.#measured(inputs)
    const noted = this.#noted
    if (!noted || !this.#holds(noted)) {
      this.#tries = 0
      this.#next = 0
      if (++this.#replaced > 2 * TRIES) this.reason = 'what it uses beside its arguments is replaced before each call'
    } else if (this.#next > 0 && ++this.#calls < this.#next) return this.#repeated(noted, inputs)
    return this.#compared(noted, inputs)
  }

  /** Frees its memory, and that of the last result. */
  release(by: string): void {
    this.#free(by)
    this.#giveBack()
    this.#bytes = 0
  }

  #free(by: string): void {
    for (const storage of this.#last) storage.free(by)
    this.#last = []
  }

  #giveBack(): void {
    if (this.#memory) this.#workspace.heap.give(this.#memory)
    this.#memory = undefined
    this.#noted = undefined
    this.#next = 0
  }

  #plain(inputs: Inputs): unknown {
    return scope(() => this.#f(...inputs))
  }

  /** The function runs as it is, which also fills the caches of its modules, and its memory is measured. */
  #measured(inputs: Inputs): unknown {
    const { heap } = this.#workspace
    const before = heap.bytes
    heap.most = before
    const result = this.#plain(inputs)
    const own = inputs.reduce((sum, x) => sum + x.size * bytesPerElement(x.dtype), 0)
    this.#bytes = Math.ceil((heap.most - before + own) * 1.25) + 2 ** 16
    return result
  }

  /**
   * The function runs, and its kernels are compared with those of the last time: if they are the same, they are repeated in the next
   * calls.
   */
  #compared(before: Noted | undefined, inputs: Inputs): unknown {
    const [result, noted] = this.#note(inputs)
    const difference = before && (noted ? differenceOf(before.log.steps, noted.log.steps) : this.reason)
    if (this.#next > 0 && difference !== undefined) {
      const repeated = this.#calls - this.#next / 2
      this.reason = difference
      throw new CaptureError(difference, repeated)
    }
    if (!noted) return result
    if (before && this.#tries > 0 && difference === undefined) {
      this.#next = this.#next === 0 ? 2 : this.#next * 2
      if (this.#next === 2) this.#calls = 0
    } else if (++this.#tries > TRIES) this.reason = difference ?? 'its tensors are at other addresses in each call'
    return result
  }

  /** Runs the function in memory of its own. What it did is undefined if it cannot be repeated. */
  #note(inputs: Inputs): readonly [result: unknown, noted: Noted | undefined] {
    const workspace = this.#workspace
    const { heap, threads } = workspace
    this.#noted = undefined
    const memory = this.#memory ?? heap.take(this.#bytes)
    this.#memory = undefined
    const arena = new Arena(heap, memory)
    const log = new Log()
    const outside = new Map<Block, Outside>()
    const conditions: (() => boolean)[] = []
    const capture = {
      refuse: (reason: string) => log.refuse(reason),
      require: (holds: () => boolean) => void conditions.push(holds),
    }
    heap.arena = arena
    let copies: readonly Tensor[] = []
    try {
      copies = inputs.map(x => workspace.tensor(x.dtype, x.shape, to => workspace.copyDense(to, x)))
      for (const { storage } of copies) storage.keep()
      const moving = new Map<Storage, Block>()
      for (const { latest: storage } of this.#moving) {
        if (storage.isFreed) continue
        const block = arena.take(storage.length * bytesPerElement(storage.dtype))
        if (!block) continue
        this.#copy(block, storage)
        moving.set(storage, block)
      }
      workspace.onAddress = storage => {
        const block = storage.handle as Block
        if (block.arena === arena) return undefined
        const copy = moving.get(storage)
        outside.set(block, { storage, block: copy ?? block, isCopied: copy !== undefined })
        return copy
      }
      const result = inCapture(capture, () => threads.logged(log, () => this.#plain(copies)))
      const inputBlocks = copies.map(({ storage }) => storage.handle as Block)
      const isOwn = (storage: Storage) => (storage.handle as Block).arena === arena
      const own = [...storagesIn(result)].filter(isOwn)
      const kept = arena.buffers - moving.size - new Set([...own, ...copies.map(({ storage }) => storage)]).size
      // what did not fit into the arena is not from outside
      if (arena.missing === 0 && [...outside.values()].some(({ storage }) => storage.isFreed))
        log.refuse('it changes what it uses from outside, such as parameters')
      if (kept > 0) log.refuse(`it keeps ${kept} tensor${kept === 1 ? '' : 's'} beside its result`)
      const again = templateOf(result, isOwn, log)
      if (arena.missing > 0) this.#bytes = Math.ceil((this.#bytes + arena.missing) * 1.25)
      else if (log.reason === undefined) {
        arena.seal()
        this.#memory = memory
        this.#last = own
        this.#noted = {
          log,
          inputs: inputBlocks,
          outside: [...outside.values()],
          conditions,
          again,
          threads: threads.count,
        }
        return [result, this.#noted]
      }
      this.reason = log.reason
      return [result, undefined]
    } finally {
      heap.arena = undefined
      workspace.onAddress = undefined
      if (!this.#noted) {
        for (const { storage } of copies) storage.free('the call')
        arena.leave()
      }
    }
  }

  /** Whether everything outside that the kernels use is where it was. */
  #holds({ outside, conditions, threads }: Noted): boolean {
    let holds = threads === this.#workspace.threads.count
    for (const each of outside) {
      each.storage = each.storage.latest
      if (each.storage.isFreed || !(each.isCopied || each.storage.handle === each.block)) holds = false
    }
    if (!holds)
      this.#moving = outside.flatMap(({ storage, block, isCopied }) =>
        !storage.isFreed && storage.device === this.#workspace.device && (isCopied || storage.handle !== block)
          ? [storage]
          : [],
      )
    return holds && conditions.every(condition => condition())
  }

  #copy(to: Block, { handle, length, dtype }: Storage): void {
    this.#workspace.copy([length], to.pointer, [1], (handle as Block).pointer, [1], dtype)
  }

  #repeated({ log, inputs, outside, again }: Noted, given: Inputs): unknown {
    const workspace = this.#workspace
    given.forEach((x, i) => {
      workspace.copyDense(inputs[i].pointer, x)
    })
    for (const { storage, block, isCopied } of outside) if (isCopied) this.#copy(block, storage)
    workspace.threads.repeat(log)
    this.#replaced = 0
    const result = again()
    this.#last = [...storagesIn(result)].filter(storage => (storage.handle as Block).arena !== undefined)
    this.isReplay = true
    return result
  }
}

/** A function that makes a result again, with new tensors in the same memory for those that are the function's own. */
function templateOf(result: unknown, isOwn: (storage: Storage) => boolean, log: Log): () => unknown {
  let storages = new Map<Storage, Storage>()
  /** the same value with tensors of the call */
  const make = (item: unknown): (() => unknown) => {
    if (typeof item !== 'object' || item === null) return () => item
    if (item instanceof Tensor) {
      // a parameter that was updated in place has another storage of the same memory
      if (!isOwn(item.storage)) return () => renewed(item)
      const { storage, shape, strides, offset } = item
      const { device, dtype, length } = storage
      const block = { ...(storage.handle as Block) }
      return () => {
        const own = storages.get(storage) ?? new Storage(device, dtype, length, block)
        storages.set(storage, own)
        return new Tensor(own, shape, strides, offset)
      }
    }
    if (Array.isArray(item)) {
      const parts = item.map(make)
      return () => parts.map(part => part())
    }
    if (item instanceof Map) {
      const parts = [...item].map(([key, value]) => [key, make(value)] as const)
      return () => new Map(parts.map(([key, part]) => [key, part()]))
    }
    if ([Object.prototype, null].includes(Object.getPrototypeOf(item))) {
      const parts = Object.entries(item).map(([key, value]) => [key, make(value)] as const)
      return () => Object.fromEntries(parts.map(([key, part]) => [key, part()]))
    }
    if ([...storagesIn(item)].some(isOwn)) log.refuse(`it returns tensors in a ${item.constructor.name}`)
    return () => item
  }
  const again = make(result)
  return () => {
    storages = new Map()
    return again()
  }
}

/** A tensor, or the same view of the values that its memory has now. */
const renewed = (x: Tensor): Tensor =>
  x.storage.isFreed ? new Tensor(x.storage.latest, x.shape, x.strides, x.offset) : x

/** A function whose kernels are repeated. */
export class CapturedFunction implements Replayable {
  readonly #f: Captured
  readonly #workspace: Workspace
  /** by the shapes of the arguments, the last used one last */
  readonly #programs = new Map<string, Program>()
  #current: Program | undefined

  constructor(f: Captured, workspace: Workspace) {
    this.#f = f
    this.#workspace = workspace
  }

  get isReplay(): boolean {
    return this.#current?.isReplay ?? false
  }

  get reason(): string | undefined {
    return this.#current?.reason
  }

  call(inputs: Inputs): unknown {
    const key = inputs.map(({ dtype, shape }) => `${dtype} ${show(shape)}`).join()
    const program = this.#programs.get(key) ?? new Program(this.#f, this.#workspace)
    this.#programs.delete(key)
    for (const [other, old] of this.#programs) {
      if (this.#programs.size < PROGRAMS) break
      old.release(NEXT)
      this.#programs.delete(other)
    }
    this.#programs.set(key, program)
    this.#current = program
    return program.call(inputs)
  }

  release(): void {
    for (const program of this.#programs.values()) program.release('the release of the captured function')
    this.#programs.clear()
  }
}
