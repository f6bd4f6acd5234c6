// A function whose kernel calls are noted, and repeated in later calls without its JavaScript. Its temporary memory and its results are
// in a block of memory that belongs to it, so that addresses stay the same. Nothing is repeated before two calls in a row have run the
// same kernels, with the same numbers in the same places, and from time to time the function runs again and is compared.

import { CaptureError } from '../capture-error.ts'
import { changesSoFar, inCapture } from '../capturing.ts'
import type { Replayable } from '../device.ts'
import { bytesPerElement } from '../dtype.ts'
import { OutOfMemoryError } from '../out-of-memory.ts'
import { scope, storagesIn } from '../scope.ts'
import { show } from '../shape.ts'
import type { Storage } from '../storage.ts'
import type { Tensor } from '../tensor.ts'
import { Arena, type Block } from './heap.ts'
import { differenceOf, Log } from './log.ts'
import { areSameParts, type Template, templateOf } from './template.ts'
import type { Workspace } from './workspace.ts'

type Inputs = readonly Tensor[]
type Captured = (...inputs: Inputs) => unknown

/** The number of different shapes of arguments for which kernels are kept. */
const PROGRAMS = 4
/** The number of calls in a row that may be noted and not repeated. */
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
  /** the changes so far */
  readonly changes: number
  readonly result: Template
  /** the number of threads among which the work was divided */
  readonly threads: number
}

/** The calls with arguments of the same shapes and types. */
class Program {
  readonly #f: Captured
  readonly #workspace: Workspace
  /** bytes that the function needs; 0: not measured yet */
  #bytes = 0
  /** its memory, between calls */
  #arena: Arena | undefined
  /** of the last call that was noted */
  #noted: Noted | undefined
  /** what gets new memory between calls, such as a parameter that is assigned: the kernels read a copy of it */
  #moving: readonly Storage[] = []
  /** calls in a row that were noted, and not repeated */
  #tries = 0
  /** calls since the kernels are repeated, and the one in which the function runs again; 0: they are not repeated */
  #calls = 0
  #next = 0
  /** calls since the function ran last */
  #repeats = 0
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
    // what it returned last is freed now, and may be what it is given
    const isOwn = (x: Tensor) => this.#last.some(storage => storage.latest === x.storage)
    if (!inputs.some(isOwn)) return this.#called(inputs)
    return scope(() => {
      const free = inputs.map(x => (isOwn(x) ? this.#copyOf(x) : x))
      return this.#called(free)
    })
  }

  #called(inputs: Inputs): unknown {
    this.#free(NEXT)
    this.isReplay = false
    if (this.reason !== undefined) {
      this.#giveBack()
      return this.#plain(inputs)
    }
    if (this.#bytes === 0) return this.#measured(inputs)
    const noted = this.#noted && this.#holds(this.#noted) ? this.#noted : undefined
    if (!noted) this.#next = 0
    else if (this.#next > 0 && ++this.#calls < this.#next) return this.#repeated(noted, inputs)
    return this.#compared(noted, inputs)
  }

  /** Frees its memory, and that of the last result. */
  release(by: string): void {
    this.#free(by)
    this.#giveBack()
    this.#bytes = 0
  }

  #free(by: string): void {
    // their memory may have moved to other storages, as when gradients are clipped in place
    for (const { latest } of this.#last) if (this.#isLent(latest)) latest.free(by)
    this.#last = []
  }

  /** Whether memory is in an arena. */
  #isLent(storage: Storage): boolean {
    if (storage.isFreed || storage.device !== this.#workspace.device) return false
    return (storage.handle as Block).arena !== undefined
  }

  /** The result is in memory that the next call needs. */
  #lend(own: readonly Storage[]): void {
    this.#last = own
    for (const storage of own) storage.isBorrowed = true
  }

  #giveBack(): void {
    if (this.#arena) this.#workspace.heap.give(this.#arena.unseal())
    this.#arena = undefined
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
    const difference = before && (noted ? differenceBetween(before, noted) : this.reason)
    const repeats = this.#repeats
    this.#repeats = 0
    if (this.#next > 0 && difference !== undefined) {
      this.reason = difference
      throw new CaptureError(difference, repeats)
    }
    if (!noted) return result
    if (before && difference === undefined) {
      this.#tries = 0
      this.#next = this.#next === 0 ? 2 : this.#next * 2
      if (this.#next === 2) this.#calls = 0
    } else if (++this.#tries > TRIES)
      this.reason = difference ?? 'its tensors have other memory, or its modules are changed, in each call'
    return result
  }

  /** Runs the function in memory of its own. What it did is undefined if it cannot be repeated. */
  #note(inputs: Inputs): readonly [result: unknown, noted: Noted | undefined] {
    const workspace = this.#workspace
    const { heap, threads } = workspace
    const memory = this.#taken()
    if (!memory) return [this.#plain(inputs), undefined]
    const arena = new Arena(heap, memory)
    const log = new Log()
    const outside = new Map<Block, Outside>()
    const conditions: (() => boolean)[] = []
    const isOwn = (storage: Storage) =>
      !storage.isFreed && storage.device === workspace.device && (storage.handle as Block).arena === arena
    const moving = new Map<Storage, Block>()
    const onAddress = (storage: Storage) => {
      const block = storage.handle as Block
      if (block.arena === arena) return undefined
      const copy = moving.get(storage)
      outside.set(block, { storage, block: copy ?? block, isCopied: copy !== undefined })
      return copy
    }
    const begin = () => {
      heap.arena = arena
      workspace.onAddress = onAddress
    }
    const end = () => {
      heap.arena = undefined
      workspace.onAddress = undefined
    }
    const capture = {
      refuse: (reason: string) => log.refuse(reason),
      require: (holds: () => boolean) => void conditions.push(holds),
      apart<T>(f: () => T): T {
        end()
        try {
          return inCapture(undefined, () => threads.logged(undefined, f))
        } finally {
          begin()
        }
      },
    }
    const copies: Tensor[] = []
    let returned: ReadonlySet<Storage> = new Set()
    heap.arena = arena
    try {
      for (const x of inputs) copies.push(this.#copyOf(x))
      for (const { latest } of this.#moving) {
        const block = latest.isFreed ? undefined : arena.take(latest.length * bytesPerElement(latest.dtype))
        if (!block) continue
        this.#copy(block, latest)
        moving.set(latest, block)
      }
      begin()
      const result = inCapture(capture, () => threads.logged(log, () => this.#plain(copies)))
      returned = storagesIn(result)
      const own = [...returned].filter(isOwn)
      const kept = arena.buffers - moving.size - new Set([...own, ...copies.map(({ storage }) => storage)]).size
      if (kept > 0) log.refuse(`it keeps ${kept} tensor${kept === 1 ? '' : 's'} beside its result`)
      // what did not fit into the arena is not from outside
      if (arena.missing === 0 && [...outside.values()].some(({ storage }) => storage.isFreed))
        log.refuse('it changes what it uses from outside, such as parameters')
      for (const storage of returned) {
        if (storage.device !== workspace.device) log.refuse(`it returns tensors on ${storage.device.name}`)
        else if (!storage.isFreed) onAddress(storage)
      }
      const template = templateOf(result, isOwn, reason => log.refuse(reason))
      if (arena.missing > 0) this.#bytes = Math.ceil((this.#bytes + arena.missing) * 1.25)
      else if (log.reason === undefined) {
        this.#noted = {
          log,
          inputs: copies.map(({ storage }) => storage.handle as Block),
          outside: [...outside.values()],
          conditions,
          changes: changesSoFar(),
          result: template,
          threads: threads.count,
        }
        arena.seal()
        this.#arena = arena
        this.#lend(own)
        return [result, this.#noted]
      }
      this.reason = log.reason
      return [result, undefined]
    } finally {
      end()
      for (const { storage } of copies) if (!returned.has(storage)) storage.free('the call')
      if (!this.#noted) arena.leave()
    }
  }

  /** The memory for a call that is noted, or undefined if there is none. */
  #taken(): Block | undefined {
    const memory = this.#arena?.unseal()
    this.#arena = undefined
    this.#noted = undefined
    if (memory) return memory
    try {
      return this.#workspace.heap.take(this.#bytes)
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error
      this.reason = `it needs ${this.#bytes} bytes in one piece, which are not free`
      return undefined
    }
  }

  #copyOf(x: Tensor): Tensor {
    const workspace = this.#workspace
    return workspace.tensor(x.dtype, x.shape, to => workspace.copyDense(to, x))
  }

  /** Whether everything that the function uses beside its arguments is as it was, and where it was or copied. */
  #holds({ outside, conditions, changes, threads }: Noted): boolean {
    const { device, threads: now } = this.#workspace
    for (const each of outside) each.storage = each.storage.latest
    const isThere = ({ storage, block, isCopied }: Outside) =>
      !storage.isFreed && (isCopied || storage.handle === block)
    if (outside.every(isThere))
      return changes === changesSoFar() && threads === now.count && conditions.every(condition => condition())
    this.#moving = outside
      .filter(each => !each.storage.isFreed && each.storage.device === device && (each.isCopied || !isThere(each)))
      .map(({ storage }) => storage)
    return false
  }

  #copy(to: Block, { handle, length, dtype }: Storage): void {
    this.#workspace.copy([length], to.pointer, [1], (handle as Block).pointer, [1], dtype)
  }

  #repeated({ log, inputs, outside, result: { again } }: Noted, given: Inputs): unknown {
    const workspace = this.#workspace
    given.forEach((x, i) => {
      workspace.copyDense(inputs[i].pointer, x)
    })
    for (const { storage, block, isCopied } of outside) if (isCopied) this.#copy(block, storage)
    this.#repeats++
    workspace.threads.repeat(log)
    const { result, own } = again()
    this.#lend(own)
    this.isReplay = true
    return result
  }
}

/** What is different in two calls, or undefined. */
const differenceBetween = (a: Noted, b: Noted): string | undefined =>
  differenceOf(a.log.steps, b.log.steps) ??
  (areSameParts(a.result.parts, b.result.parts) ? undefined : 'its result had other shapes, numbers or objects')

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
