// Work divided among threads over one memory. The main thread does the first part itself and puts the calls for the
// other threads into their mailboxes. When it has finished, it also does the parts that no thread has started, so that
// a sleeping thread causes no delay. `share` returns when all parts are done. The division of the work depends only on
// its size and the number of threads, so the same program gives bitwise the same results, whichever thread computes a
// part. In the deterministic mode it does not depend on the number of threads either: the work is always cut into the same
// parts, and a thread does several of them, one after the other.

import { DeviceError } from '../device.ts'
import { askNode } from '../host.ts'
import type { CpuModule } from './exports.ts'
import type { BlasLibrary } from './gemm.ts'
import type { Heap } from './heap.ts'
import { kernelNames, type Log, type LoggedCall, type LoggedPart, notingCode, partOf } from './log.ts'
import type { MachineCode } from './machine/call.ts'
import { mailbox } from './mailbox.ts'
import { threadProgram } from './module.ts'
import type { ThreadSettings } from './worker.ts'

/** One thread: its kernels, and its own temporary memory. */
export interface Lane {
  readonly index: number
  readonly code: CpuModule
  /** `scratchBytes` of memory */
  readonly scratch: number
}

/** A thread with a mailbox. */
interface Helper extends Lane {
  /** Puts calls into the mailbox. */
  post(part: LoggedPart): void
  /** Signals that its part is in the mailbox. */
  ring(): void
  /** Takes the part back, unless the thread has started it. */
  takeBack(): boolean
  /** Waits until the part is done. Throws DeviceError if it failed. */
  join(): void
}

type Kernel = (...numbers: readonly number[]) => unknown

interface Worker {
  terminate(): unknown
}

/** The input for starting a thread. */
interface Setting {
  readonly heap: Heap
  readonly module: WebAssembly.Module
  readonly code: CpuModule
  readonly blas?: BlasLibrary
  readonly machineCode?: MachineCode
  readonly multiplies: boolean
}

/** The number of times to check for a result before yielding the processor. */
const PATIENCE = 20_000

/** The maximum number of parts in the deterministic mode; more threads than this have nothing to do. */
const PARTS = 16

/** Node's module of threads, which takes 2 ms to load, so it is not loaded before it is needed. */
const nodeThreads = () => askNode(node => node.getBuiltinModule('node:worker_threads'))

/** The reason why threads are not available, or undefined. */
export function withoutThreads(): string | undefined {
  if (nodeThreads())
    return askNode(node => node.permission.has('worker')) === false ? 'threads need --allow-worker' : undefined
  if (typeof Worker === 'undefined') return 'threads need Node 20.16 or later'
  return globalThis.crossOriginIsolated ? undefined : 'threads need a page that is cross-origin isolated'
}

export class KernelThreads {
  readonly lanes: Lane[]
  /** those that have started; with fewer lanes than before, the last ones sleep */
  readonly #helpers: Helper[] = []
  readonly #workers: Worker[] = []
  #wanted = 1

  readonly #isDeterministic: boolean
  /** notes what runs */
  #log: Log | undefined
  /** takes the calls of the part that is being noted */
  #note: (call: LoggedCall) => void = () => {}
  /** notes calls */
  readonly #notingCode: CpuModule
  /** runs calls one by one, and notes them */
  readonly #watchedCode: CpuModule
  readonly #kernels: readonly Kernel[]
  readonly #names: readonly string[]

  /** @param isDeterministic whether the work is cut into the same parts for any number of threads */
  constructor(main: Lane, isDeterministic = false) {
    this.lanes = [main]
    this.#isDeterministic = isDeterministic
    const { code } = main
    this.#names = kernelNames(code)
    this.#kernels = Object.values(code) as unknown as Kernel[]
    this.#notingCode = notingCode(code, call => this.#note(call))
    this.#watchedCode = notingCode(code, call => this.#alone(call))
  }

  /** The kernels, for a call on this thread alone. */
  get code(): CpuModule {
    return this.#log ? this.#watchedCode : this.lanes[0].code
  }

  /** Runs `f` and notes what it does in a log, or in none. */
  logged<T>(log: Log | undefined, f: () => T): T {
    const outer = this.#log
    this.#log = log
    try {
      return f()
    } finally {
      this.#log = outer
    }
  }

  /** What is being noted, if it is. */
  get log(): Log | undefined {
    return this.#log
  }

  /** Something that this thread does with the memory itself; `numbers` and `values` determine it. */
  onHost(name: string, numbers: readonly number[], run: () => void, values?: Uint8Array): void {
    this.#log?.steps.push({ name, numbers, values, run })
    run()
  }

  /** Runs the steps of a log again. */
  repeat({ steps }: Log): void {
    for (const step of steps)
      if ('run' in step) step.run()
      else this.#together(step.parts)
  }

  #alone(call: LoggedCall): void {
    const parts = [partOf([call])]
    this.#log?.steps.push({ name: this.#names[call.kernel], parts })
    this.#together(parts)
  }

  /** Notes the calls of each part, and then runs them. */
  #noted(log: Log, count: number, part: (lane: Lane, i: number) => void): void {
    const parts = Array.from({ length: count }, (_, i) => {
      const calls: LoggedCall[] = []
      this.#note = call => calls.push(call)
      part({ ...this.lanes[i], code: this.#notingCode }, i)
      return partOf(calls)
    })
    log.steps.push({ name: this.#names[parts[0].calls[0]?.kernel] ?? 'nothing', parts })
    this.#together(parts)
  }

  #run({ calls }: LoggedPart): void {
    for (const { kernel, numbers } of calls) this.#kernels[kernel](...numbers)
  }

  /** Runs known calls: the first part on this thread, each of the others on one of its own. */
  #together(parts: readonly LoggedPart[]): void {
    if (parts.length === 1) this.#run(parts[0])
    else
      this.#divide(
        parts.length - 1,
        (helper, i) => helper.post(parts[i]),
        i => this.#run(parts[i]),
      )
  }

  get count(): number {
    return this.lanes.length
  }

  /** The maximum number of parts that work is cut into: results that are added up have a place for each. */
  get parts(): number {
    return this.#isDeterministic ? PARTS : this.count
  }

  /**
   * Divides work among `count` threads from now on, and starts those that are missing. In Node they have started on return, elsewhere
   * when the promise resolves. In a page the work goes on with those that do start.
   * @returns why one did not start, or undefined
   */
  use(count: number, setting: Setting): Promise<string | undefined> {
    const { heap, module, code, blas, machineCode, multiplies } = setting
    this.#wanted = count
    this.lanes.splice(1, this.count, ...this.#helpers.slice(0, count - 1))
    const { bytes, buffers } = heap
    const inNode = nodeThreads()
    const started: Promise<string | undefined>[] = []
    for (let missing = count - 1 - this.#workers.length; missing > 0; missing--) {
      const address = heap.take(mailbox.bytes).pointer
      const scratch = heap.take(code.scratchBytes()).pointer
      const words = new Int32Array(heap.memory.buffer, address, mailbox.queue / 4)
      words.fill(0)
      words[mailbox.bell] = 1
      const settings: ThreadSettings = { module, memory: heap.memory, address, blas, machineCode, multiplies }
      // in a page the threads start in any order: each takes the next place when it has started
      const join = (): undefined => {
        const helper = helperAt(this.#helpers.length + 1, scratch, words, heap.memory, code)
        this.#helpers.push(helper)
        if (this.count < this.#wanted) this.lanes.push(helper)
      }
      if (inNode) {
        this.#workers.push(startInNode(inNode, settings, words))
        join()
      } else
        started.push(
          startInPage(settings, worker => this.#workers.push(worker))
            .then(join)
            .catch(reasonOf),
        )
    }
    // memory of the device itself does not count as tensors
    heap.bytes = bytes
    heap.buffers = buffers
    return Promise.all(started).then(reasons => reasons.find(reason => reason !== undefined))
  }

  /** Ends all threads but the main one. */
  close(): void {
    for (const worker of this.#workers) worker.terminate()
    this.#workers.length = this.#helpers.length = 0
    this.lanes.length = 1
  }

  /**
   * Cuts 0 … n into parts, at most `parts` and none smaller than `grain`, and runs them in parallel, on one thread each or, if
   * there are fewer threads, several on each.
   * @param work one part, with its index
   * @param unit every part but the last is a multiple of it
   */
  share(n: number, grain: number, work: (lane: Lane, from: number, to: number, part: number) => void, unit = 1): void {
    const [main] = this.lanes
    const wanted = Math.min(this.parts, Math.floor(n / grain))
    if (wanted <= 1) {
      if (this.#log) this.#noted(this.#log, 1, lane => work(lane, 0, n, 0))
      else work(main, 0, n, 0)
      return
    }
    const size = Math.ceil(n / wanted / unit) * unit
    const parts = Math.ceil(n / size)
    /** the number of parts for each thread */
    const each = Math.ceil(parts / Math.min(this.count, parts))
    const run = (lane: Lane, first: number) => {
      for (let part = first; part < Math.min(first + each, parts); part++)
        work(lane, part * size, Math.min(n, (part + 1) * size), part)
    }
    const used = Math.ceil(parts / each)
    if (this.#log) this.#noted(this.#log, used, (lane, i) => run(lane, i * each))
    else
      this.#divide(
        used - 1,
        (helper, i) => run(helper, i * each),
        i => run(i === 0 ? main : { ...main, index: i }, i * each),
      )
  }

  /**
   * Runs part 0 on this thread and the others on as many helpers, and those that no helper has started on this thread too.
   * @param post puts part i into a helper's mailbox
   * @param run runs part i on this thread
   */
  #divide(count: number, post: (helper: Helper, i: number) => void, run: (i: number) => void): void {
    let used = 0
    const failures: unknown[] = []
    const attempt = (part: () => void) => {
      try {
        part()
      } catch (error) {
        failures.push(error)
      }
    }
    attempt(() => {
      while (used < count) {
        const helper = this.#helpers[used++]
        post(helper, used)
        helper.ring()
      }
      run(0)
      for (let i = 0; i < used; i++) if (this.#helpers[i].takeBack()) run(i + 1)
    })
    // wait for all of them, even after a failure: the memory that they write to may be freed next
    for (let i = 0; i < used; i++) attempt(() => this.#helpers[i].join())
    if (failures.length > 0) throw failures[0]
  }
}

function helperAt(
  index: number,
  scratch: number,
  words: Int32Array,
  memory: WebAssembly.Memory,
  code: CpuModule,
): Helper {
  const queue = new Float64Array(memory.buffer, words.byteOffset + mailbox.queue, mailbox.capacity)
  let length = 0
  let rung = 1
  /** whether a first piece of the part is done already, because the mailbox was full */
  let isBegun = false
  let isTaken = false
  const canBlock = nodeThreads() !== undefined

  const ring = () => {
    Atomics.store(words, mailbox.length, length)
    Atomics.store(words, mailbox.claim, mailbox.open)
    Atomics.store(words, mailbox.bell, ++rung)
    if (Atomics.load(words, mailbox.sleeps) === 1) Atomics.notify(words, mailbox.bell)
    length = 0
    isTaken = false
  }
  const takeBack = () => {
    isTaken = !isBegun && Atomics.compareExchange(words, mailbox.claim, mailbox.open, mailbox.claimed) === mailbox.open
    return isTaken
  }
  const join = () => {
    isBegun = false
    if (isTaken) return
    for (let looks = 0; Atomics.load(words, mailbox.done) !== rung; looks++)
      if (looks > PATIENCE && canBlock) Atomics.wait(words, mailbox.failed, 0, 0.05)
    if (Atomics.load(words, mailbox.failed) !== 0) {
      Atomics.store(words, mailbox.failed, 0)
      const message = queue.subarray(0, Atomics.load(words, mailbox.length))
      throw new DeviceError(`cpu: a kernel failed on thread ${index}`, 'cpu', [String.fromCharCode(...message)])
    }
  }
  const put = ({ kernel, numbers }: LoggedCall) => {
    if (length + 2 + numbers.length > mailbox.capacity) {
      ring()
      join()
      isBegun = true
    }
    queue[length] = kernel
    queue[length + 1] = numbers.length
    for (let i = 0; i < numbers.length; i++) queue[length + 2 + i] = numbers[i]
    length += 2 + numbers.length
  }
  const post = (part: LoggedPart) => {
    if (part.queue.length > mailbox.capacity) part.calls.forEach(put)
    else {
      queue.set(part.queue)
      length = part.queue.length
    }
  }
  return { index, scratch, code: notingCode(code, put), post, ring, takeBack, join }
}

/** Waits until the thread has started. It does not need this thread, which may block meanwhile. */
function startInNode(
  { Worker }: NonNullable<ReturnType<typeof nodeThreads>>,
  settings: ThreadSettings,
  words: Int32Array,
): Worker {
  const worker = new Worker(threadProgram, { eval: true, workerData: settings, name: 'cocagrad' })
  worker.unref()
  // an error is reported below, when the thread is needed
  worker.on('error', () => {})
  Atomics.wait(words, mailbox.done, 0, 20_000)
  if (Atomics.load(words, mailbox.done) !== words[mailbox.bell]) {
    worker.terminate()
    throw new DeviceError('cpu: a thread did not start; set COCAGRAD_THREADS=1 to compute without threads', 'cpu')
  }
  return worker
}

/** Rejects with the reason if the thread does not start; a page whose policy forbids it gives none. */
function startInPage(settings: ThreadSettings, keep: (worker: Worker) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const url = URL.createObjectURL(new Blob([threadProgram], { type: 'text/javascript' }))
    const worker = new globalThis.Worker(url)
    keep(worker)
    worker.onmessage = () => {
      URL.revokeObjectURL(url)
      resolve()
    }
    worker.onerror = event => {
      // an error within the thread has a message, and a thread that was not allowed to start has none
      event.preventDefault()
      URL.revokeObjectURL(url)
      reject(new Error(event.message || forbidden))
    }
    worker.postMessage(settings)
  })
}

const forbidden = 'the content security policy of this page does not allow threads; add blob: to its worker-src'
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
