// Processes that compute together: numbers are exchanged by collective functions of MPI, which every process calls in the same
// order. Most calls wait, because what follows needs their results. Exchanges that are started go on while the process computes, each
// time that it calls `progress`: Open MPI 4.1 sends and receives only within its functions. A thread that waits in one of them would
// need a core of its own. All exchanges are of the kind that MPI starts and returns (MPI_Iallreduce), so that every wait has a limit.

import { writeSync } from 'node:fs'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { MpiError, MpiUnavailableError, RanksDifferError, type RanksTimeoutError } from './errors.ts'
import { launched } from './launch.ts'
import { loadMpi, type MpiFunctions, type MpiLibrary, type Requests } from './library.ts'
import { RollCall } from './roll-call.ts'
import { Wait } from './waiting.ts'

/** Numbers that can be exchanged. */
export type MpiNumbers = Float32Array | Float64Array | Int32Array | Uint8Array

/** The numbers of all processes, in the order of their ranks. */
export interface AllGathered<T extends MpiNumbers> {
  /** one after the other */
  readonly values: T
  /** how many each process sent */
  readonly counts: readonly number[]
}

/** MPI_THREAD_FUNNELED: the process may have threads, but only the main one calls MPI. */
const FUNNELED = 1
const TEXT_LENGTH = 8192
/** The most elements of one call, whose count is a C int. */
const MOST = 2 ** 31 - 1

/** Seconds, as those of PyTorch's process groups over gloo. */
const DEFAULT_TIMEOUT = 1800

/** The functions that start an exchange. */
type Exchange = 'MPI_Iallgatherv' | 'MPI_Iallreduce' | 'MPI_Ibcast' | 'MPI_Isend' | 'MPI_Irecv' | 'MPI_Ibarrier'

/** Their arguments without the last one, the handle. */
type WithoutRequest<Name extends Exchange> =
  Parameters<MpiFunctions[Name]> extends [...infer Values, Requests] ? Values : never

/** The process among those that `mpirun` has started; {@link openMpi} returns it. */
export class Communicator {
  /** number of this process, from 0 */
  readonly rank: number
  /** number of processes */
  readonly size: number
  /** name and version of the MPI library */
  readonly library: string
  /** the most seconds that an exchange waits for the other processes */
  timeout = DEFAULT_TIMEOUT
  /** what the process does, such as `step 41`, for the error after that time */
  phase = ''
  readonly #mpi: MpiLibrary
  readonly #rollCall: RollCall
  /** names of exchanges that were started, and what they read and write, which must not be collected before they are complete */
  #started: (readonly [place: string, used: unknown])[] = []
  /** their handles, and room for more */
  #requests: Requests
  /** number of collective exchanges so far, which is the same on every process */
  #count = 0
  #seconds = 0
  #isOpen = true
  /** after it, other processes may be anywhere: no exchange is possible any more */
  #failure: RanksTimeoutError | undefined

  /** @internal call {@link openMpi} */
  constructor(mpi: MpiLibrary) {
    this.#mpi = mpi
    this.#requests = new mpi.constants.requests(64)
    const found = new Int32Array(1)
    this.#call('MPI_Init_thread', null, null, FUNNELED, found)
    this.#call('MPI_Comm_set_errhandler', mpi.constants.world, mpi.constants.errorsReturn)
    this.#call('MPI_Comm_rank', mpi.constants.world, found)
    this.rank = found[0]
    this.#call('MPI_Comm_size', mpi.constants.world, found)
    this.size = found[0]
    const text = new Uint8Array(TEXT_LENGTH)
    this.#call('MPI_Get_library_version', text, found)
    this.library = `${nameIn(decode(text, found[0]))} (${mpi.file})`
    this.#rollCall = new RollCall(mpi, (name, ...values) => this.#call(name, ...(values as never)), this)
  }

  /** Seconds spent in exchanges so far: the wait for the other processes, and the transfer. */
  get seconds(): number {
    return this.#seconds
  }

  /**
   * The numbers of all processes, one after the other: MPI_Iallgatherv. Processes may send different counts.
   * @throws MpiError; RanksTimeoutError, as of every exchange; RangeError for more than 2³¹ - 1 numbers together
   */
  allGather<T extends MpiNumbers>(own: T): AllGathered<T> {
    const { int32 } = this.#mpi.constants
    const counts = new Int32Array(this.size)
    const ones = new Int32Array(this.size).fill(1)
    const places = Int32Array.from(ones, (_, i) => i)
    this.#allGather(Int32Array.of(checkedCount('allGather', own.length)), counts, ones, places, int32)
    const starts = new Int32Array(this.size)
    for (let i = 1; i < this.size; i++) starts[i] = checkedCount('allGather', starts[i - 1] + counts[i - 1])
    const total = checkedCount('allGather', starts[this.size - 1] + counts[this.size - 1])
    const values = new (own.constructor as new (length: number) => T)(total)
    this.#allGather(own, values, counts, starts, this.#typeOf(own))
    return { values, counts: [...counts] }
  }

  #allGather(own: MpiNumbers, all: MpiNumbers, counts: Int32Array, starts: Int32Array, type: unknown): void {
    const { world } = this.#mpi.constants
    this.#run('MPI_Iallgatherv', own, own.length, type, all, counts, starts, type, world)
  }

  /** Replaces each number by its sum over all processes: MPI_Iallreduce with MPI_SUM, in place. Every process sends as many. */
  allReduceSum(values: Float32Array | Float64Array | Int32Array): void {
    this.#run('MPI_Iallreduce', ...this.#sumOf('allReduceSum', values))
  }

  /** Replaces the numbers by those of one process: MPI_Ibcast. */
  broadcast(values: MpiNumbers, root = 0): void {
    const count = checkedCount('broadcast', values.length)
    this.#run('MPI_Ibcast', values, count, this.#typeOf(values), root, this.#mpi.constants.world)
  }

  /**
   * Starts {@link allReduceSum}. The numbers must be neither read nor changed until {@link complete} has returned. Every
   * process starts the same exchanges in the same order.
   * @param owner what must not be collected before they are complete, such as the tensor whose elements they are
   */
  startAllReduceSum(values: Float32Array | Float64Array | Int32Array, owner?: unknown): void {
    this.#start('MPI_Iallreduce', owner, ...this.#sumOf('startAllReduceSum', values))
  }

  /** Starts {@link broadcast}. As {@link startAllReduceSum}. */
  startBroadcast(values: MpiNumbers, root = 0, owner?: unknown): void {
    const count = checkedCount('startBroadcast', values.length)
    this.#start('MPI_Ibcast', owner, values, count, this.#typeOf(values), root, this.#mpi.constants.world)
  }

  /** The arguments of MPI_Iallreduce. */
  #sumOf(call: string, values: Float32Array | Float64Array | Int32Array): WithoutRequest<'MPI_Iallreduce'> {
    const { inPlace, sum, world } = this.#mpi.constants
    return [inPlace, values, checkedCount(call, values.length), this.#typeOf(values), sum, world]
  }

  /** Starts an exchange. */
  #start<Name extends Exchange>(name: Name, owner: unknown, ...values: WithoutRequest<Name>): void {
    this.#timed(() => this.#started.push([this.#begun(name, values), [values, owner]]))
  }

  /** Starts an exchange, and waits for its end. */
  #run<Name extends Exchange>(name: Name, ...values: WithoutRequest<Name>): void {
    const at = this.#started.length
    this.#start(name, undefined, ...values)
    this.#timed(() => this.#wait(this.#started[at][0], this.#requests.subarray(at, at + 1)))
    this.#started.pop()
  }

  /** Calls a function whose last argument is the handle of its exchange, the one after those that were started. */
  #begun<Name extends Exchange>(name: Name, values: WithoutRequest<Name>): string {
    const at = this.#started.length
    if (at === this.#requests.length) {
      const more = new this.#mpi.constants.requests(2 * at)
      more.set(this.#requests as never)
      this.#requests = more
    }
    this.#call(name, ...([...values, this.#requests.subarray(at, at + 1)] as unknown as Parameters<MpiFunctions[Name]>))
    const isCollective = name !== 'MPI_Isend' && name !== 'MPI_Irecv'
    if (isCollective) this.#count++
    const number = `${isCollective ? '' : 'after '}exchange ${this.#count}`
    return `${name} (${this.phase ? `${number}, ${this.phase}` : number})`
  }

  /** Number of exchanges that were started and are not known to be complete. */
  get started(): number {
    return this.#started.length
  }

  /** Lets the exchanges that were started go on, without waiting: MPI_Testall. Returns whether all are complete. */
  progress(): boolean {
    if (this.#started.length === 0) return true
    const isComplete = this.#timed(() => this.#areComplete(this.#requests.subarray(0, this.#started.length)))
    if (isComplete) this.#started = []
    return isComplete
  }

  /** Waits for all exchanges that were started. */
  complete(): void {
    if (this.#started.length === 0) return
    this.#timed(() => this.#wait(this.#started[0][0], this.#requests.subarray(0, this.#started.length)))
    this.#started = []
  }

  #areComplete(requests: Requests): boolean {
    const flag = new Int32Array(1)
    this.#call('MPI_Testall', requests.length, requests, flag, this.#mpi.constants.noStatus)
    return flag[0] !== 0
  }

  #wait(place: string, requests: Requests): void {
    let wait: Wait | undefined
    while (!this.#areComplete(requests)) {
      wait ??= new Wait(this.#rollCall, place, this.timeout)
      try {
        wait.next()
      } catch (error) {
        this.#failure = error as RanksTimeoutError
        throw error
      }
    }
  }

  /** Sends numbers to one process, which receives them, and waits until they may be changed: MPI_Isend. */
  send(values: MpiNumbers, to: number): void {
    const count = checkedCount('send', values.length)
    this.#run('MPI_Isend', values, count, this.#typeOf(values), to, 0, this.#mpi.constants.world)
  }

  /** Replaces the numbers by those that one process sends, as many: MPI_Irecv. */
  receive(values: MpiNumbers, from: number): void {
    const count = checkedCount('receive', values.length)
    this.#run('MPI_Irecv', values, count, this.#typeOf(values), from, 0, this.#mpi.constants.world)
  }

  /** Waits until all processes have called it: MPI_Ibarrier. */
  barrier(): void {
    this.#run('MPI_Ibarrier', this.#mpi.constants.world)
  }

  /** The texts of all processes, in the order of their ranks. */
  allGatherText(own: string): string[] {
    const { values, counts } = this.allGather(new TextEncoder().encode(own))
    let start = 0
    return counts.map(count => {
      const text = new TextDecoder().decode(values.subarray(start, start + count))
      start += count
      return text
    })
  }

  /** Whether something is so on at least one process. */
  any(isSo: boolean): boolean {
    const count = Int32Array.of(isSo ? 1 : 0)
    this.allReduceSum(count)
    return count[0] > 0
  }

  /**
   * Compares a text of each process, such as a hash of its configuration.
   * @param advice what to do if it differs
   * @throws RanksDifferError on every process, naming the ranks whose text is not that of rank 0
   */
  requireSame(what: string, text: string, advice: string): void {
    const texts = this.allGatherText(text)
    const others = texts.flatMap((found, rank) => (found === texts[0] ? [] : [rank]))
    if (others.length > 0) throw new RanksDifferError(what, others, advice)
  }

  /** Ends all processes at once, with an exit code: MPI_Abort. Does not return. */
  abort(code = 1): never {
    this.#isOpen = false
    this.#mpi.functions.MPI_Abort(this.#mpi.constants.world, code)
    process.exit(code)
  }

  /** Ends the exchange, when all processes have called it: MPI_Finalize. A process that ends without an error calls it by itself. */
  finalize(): void {
    if (!this.#isOpen) return
    // MPI_Finalize waits without a limit
    this.barrier()
    this.#call('MPI_Finalize')
    this.#isOpen = false
  }

  /** Whether it can be used: it has not been closed. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  #timed<T>(f: () => T): T {
    const began = performance.now()
    try {
      return f()
    } finally {
      this.#seconds += (performance.now() - began) / 1000
    }
  }

  /** @throws MpiError */
  #call<Name extends keyof MpiFunctions>(name: Name, ...values: Parameters<MpiFunctions[Name]>): void {
    if (!this.#isOpen) throw new MpiError(name, 0, 'called after finalize() or abort()')
    if (this.#failure) throw this.#failure
    const code = (this.#mpi.functions[name] as (...values: unknown[]) => number)(...values)
    if (code !== 0) throw new MpiError(name, code, this.#textOf(code))
  }

  #textOf(code: number): string {
    const text = new Uint8Array(TEXT_LENGTH)
    const length = new Int32Array(1)
    this.#mpi.functions.MPI_Error_string(code, text, length)
    return decode(text, length[0])
  }

  #typeOf(values: MpiNumbers): unknown {
    const { float32, float64, int32, byte } = this.#mpi.constants
    if (values instanceof Float32Array) return float32
    if (values instanceof Float64Array) return float64
    return values instanceof Int32Array ? int32 : byte
  }
}

const decode = (text: Uint8Array, length: number): string => new TextDecoder().decode(text.subarray(0, length))

/** The name and version at the start of a description: "Open MPI v4.1.4, package: …", "MPICH Version:\t4.0.2\n…". */
const nameIn = (description: string): string =>
  description
    .split(/[,\n]/)[0]
    .replace(/\s+(Version:)?\s*/g, ' ')
    .trim()

function checkedCount(call: string, count: number): number {
  if (count > MOST) throw new RangeError(`${call}: ${count} numbers are too many for one call of MPI, ${MOST} at most`)
  return count
}

/** The time in which rank 0 reports an error that all processes have. */
export const MILLISECONDS_FOR_RANK_0 = 1000

let opened: Communicator | undefined

/** Options of {@link openMpi}. */
export interface MpiOptions {
  /**
   * the most seconds that an exchange waits for the other processes, the same on each; default that of the environment variable
   * COCAGRAD_MPI_TIMEOUT, or 1800
   */
  readonly timeout?: number
}

const mpiOptions = { timeout: is.optional(is.positive) } satisfies Settings<MpiOptions>

/**
 * Joins the processes that `mpirun` has started. Without it there is one process.
 *
 *     const ranks = openMpi()
 *     const values = Float64Array.of(ranks.rank)
 *     ranks.allReduceSum(values)
 *     console.log(ranks.rank, ranks.size, values[0])
 *
 * A process that ends with an error, such as an exception that nobody catches, ends all of them. The library is that of the
 * environment variable COCAGRAD_MPI, a name or path, or the system's.
 * @param options.timeout the most seconds that an exchange waits for the other processes, before it throws RanksTimeoutError
 * @returns the same communicator for every call
 * @throws MpiUnavailableError if MPI or koffi is not installed, or if the library is not that of the launcher
 */
export function openMpi(options?: MpiOptions): Communicator {
  const { timeout } = settle('openMpi(options)', options, mpiOptions)
  opened ??= joined()
  opened.timeout = timeout ?? opened.timeout
  return opened
}

function joined(): Communicator {
  const { env } = process
  const timeout = Number(env.COCAGRAD_MPI_TIMEOUT || DEFAULT_TIMEOUT)
  if (!(timeout > 0))
    throw new RangeError(`COCAGRAD_MPI_TIMEOUT must be a number of seconds above 0, not '${env.COCAGRAD_MPI_TIMEOUT}'`)
  const found = launched(env)
  if (found?.problem) throw new MpiUnavailableError(found.problem)
  const communicator = new Communicator(loadMpi(env.COCAGRAD_MPI || undefined))
  communicator.timeout = timeout
  if (found && communicator.size === 1)
    throw new MpiUnavailableError(
      `the launcher has started ${found.size} processes, but for ${communicator.library} there is one (${found.variable}): the library belongs to another MPI. Start them with its mpiexec, or name the library of the launcher in COCAGRAD_MPI`,
    )
  const report = (error: Error) => writeSync(2, `rank ${communicator.rank}: ${error.stack ?? error}\n`)
  // Node prints an error after the exit of the process, which ends here. If rank 0 has the same error, it alone reports it
  process.on('uncaughtExceptionMonitor', error => {
    if (!communicator.isOpen) return
    if (communicator.rank > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MILLISECONDS_FOR_RANK_0)
    report(error)
  })
  process.on('exit', code => {
    if (!communicator.isOpen) return
    if (code !== 0) communicator.abort(code)
    try {
      communicator.finalize()
    } catch (error) {
      report(error as Error)
      communicator.abort()
    }
  })
  return communicator
}
