// Processes that compute together: numbers are exchanged by collective functions of MPI, which every process calls in the same
// order. Most calls block, because what follows needs their results. Exchanges that are started go on while the process computes, each
// time that it calls `progress`: Open MPI 4.1 sends and receives only within its functions. A thread that waits in one of them would
// need a core of its own.

import { writeSync } from 'node:fs'
import { MpiError, MpiUnavailableError, RanksDifferError } from './errors.ts'
import { loadMpi, type MpiFunctions, type MpiLibrary, type Requests } from './library.ts'

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

/** The process among those that `mpirun` has started; {@link openMpi} returns it. */
export class Communicator {
  /** number of this process, from 0 */
  readonly rank: number
  /** number of processes */
  readonly size: number
  /** name and version of the MPI library */
  readonly library: string
  readonly #mpi: MpiLibrary
  /** what exchanges that were started read and write, which must not be collected before they are complete, and who owns it */
  #started: (readonly [MpiNumbers, owner: unknown])[] = []
  /** their handles, and room for more */
  #requests: Requests
  #seconds = 0
  #isOpen = true

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
  }

  /** Seconds spent in exchanges so far: the wait for the other processes, and the transfer. */
  get seconds(): number {
    return this.#seconds
  }

  /**
   * The numbers of all processes, one after the other: MPI_Allgatherv. Processes may send different counts.
   * @throws MpiError; RangeError for more than 2³¹ - 1 numbers together
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
    this.#call('MPI_Allgatherv', own, own.length, type, all, counts, starts, type, this.#mpi.constants.world)
  }

  /** Replaces each number by its sum over all processes: MPI_Allreduce with MPI_SUM, in place. Every process sends as many. */
  allReduceSum(values: Float32Array | Float64Array | Int32Array): void {
    const { inPlace, sum, world } = this.#mpi.constants
    const count = checkedCount('allReduceSum', values.length)
    this.#call('MPI_Allreduce', inPlace, values, count, this.#typeOf(values), sum, world)
  }

  /** Replaces the numbers by those of one process: MPI_Bcast. */
  broadcast(values: MpiNumbers, root = 0): void {
    const count = checkedCount('broadcast', values.length)
    this.#call('MPI_Bcast', values, count, this.#typeOf(values), root, this.#mpi.constants.world)
  }

  /**
   * Starts {@link allReduceSum}: MPI_Iallreduce. The numbers must be neither read nor changed until {@link complete} has returned. Every
   * process starts the same exchanges in the same order.
   * @param owner what must not be collected before they are complete, such as the tensor whose elements they are
   */
  startAllReduceSum(values: Float32Array | Float64Array | Int32Array, owner?: unknown): void {
    const { inPlace, sum, world } = this.#mpi.constants
    const count = checkedCount('startAllReduceSum', values.length)
    this.#start([values, owner], request =>
      this.#call('MPI_Iallreduce', inPlace, values, count, this.#typeOf(values), sum, world, request),
    )
  }

  /** Starts {@link broadcast}: MPI_Ibcast. As {@link startAllReduceSum}. */
  startBroadcast(values: MpiNumbers, root = 0, owner?: unknown): void {
    const count = checkedCount('startBroadcast', values.length)
    const { world } = this.#mpi.constants
    this.#start([values, owner], request =>
      this.#call('MPI_Ibcast', values, count, this.#typeOf(values), root, world, request),
    )
  }

  #start(used: readonly [MpiNumbers, owner: unknown], start: (request: Requests) => void): void {
    const at = this.#started.length
    if (at === this.#requests.length) {
      const more = new this.#mpi.constants.requests(2 * at)
      more.set(this.#requests as never)
      this.#requests = more
    }
    start(this.#requests.subarray(at, at + 1))
    this.#started.push(used)
  }

  /** Number of exchanges that were started and are not known to be complete. */
  get started(): number {
    return this.#started.length
  }

  /** Lets the exchanges that were started go on, without waiting: MPI_Testall. Returns whether all are complete. */
  progress(): boolean {
    if (this.#started.length === 0) return true
    const flag = new Int32Array(1)
    this.#call('MPI_Testall', this.#started.length, this.#requests, flag, this.#mpi.constants.noStatus)
    if (flag[0] !== 0) this.#started = []
    return flag[0] !== 0
  }

  /** Waits for all exchanges that were started: MPI_Waitall. */
  complete(): void {
    if (this.#started.length === 0) return
    this.#call('MPI_Waitall', this.#started.length, this.#requests, this.#mpi.constants.noStatus)
    this.#started = []
  }

  /** Sends numbers to one process, which receives them: MPI_Send. */
  send(values: MpiNumbers, to: number): void {
    const count = checkedCount('send', values.length)
    this.#call('MPI_Send', values, count, this.#typeOf(values), to, 0, this.#mpi.constants.world)
  }

  /** Replaces the numbers by those that one process sends, as many: MPI_Recv. */
  receive(values: MpiNumbers, from: number): void {
    const count = checkedCount('receive', values.length)
    const { world, noStatus } = this.#mpi.constants
    this.#call('MPI_Recv', values, count, this.#typeOf(values), from, 0, world, noStatus)
  }

  /** Waits until all processes have called it. */
  barrier(): void {
    this.#call('MPI_Barrier', this.#mpi.constants.world)
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
    this.#call('MPI_Finalize')
    this.#isOpen = false
  }

  /** Whether it can be used: it has not been closed. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** @throws MpiError */
  #call<Name extends keyof MpiFunctions>(name: Name, ...values: Parameters<MpiFunctions[Name]>): void {
    if (!this.#isOpen) throw new MpiError(name, 0, 'called after finalize() or abort()')
    const began = performance.now()
    const code = (this.#mpi.functions[name] as (...values: unknown[]) => number)(...values)
    this.#seconds += (performance.now() - began) / 1000
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
 * @returns the same communicator for every call
 * @throws MpiUnavailableError if MPI or koffi is not installed, or if the library is not that of the launcher
 */
export function openMpi(): Communicator {
  if (opened) return opened
  const communicator = new Communicator(loadMpi(process.env.COCAGRAD_MPI || undefined))
  const launched = launchedProcesses(process.env)
  if (launched > 1 && communicator.size === 1)
    throw new MpiUnavailableError(
      `the launcher has started ${launched} processes, but for ${communicator.library} there is one: it belongs to another MPI. Start them with its mpiexec, or name the library of the launcher in COCAGRAD_MPI`,
    )
  // Node prints an error after the exit of the process, which ends here. If rank 0 has the same error, it alone reports it
  process.on('uncaughtExceptionMonitor', error => {
    if (!communicator.isOpen) return
    if (communicator.rank > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MILLISECONDS_FOR_RANK_0)
    writeSync(2, `rank ${communicator.rank}: ${error.stack ?? error}\n`)
  })
  process.on('exit', code => {
    if (!communicator.isOpen) return
    if (code !== 0) communicator.abort(code)
    communicator.finalize()
  })
  opened = communicator
  return communicator
}

type Environment = Readonly<Record<string, string | undefined>>

/** How many processes a launcher has started together: mpirun, mpiexec, or srun with PMI. */
const launchedProcesses = (env: Environment): number =>
  Number(env.OMPI_COMM_WORLD_SIZE ?? env.PMI_SIZE ?? (env.PMIX_RANK === undefined ? 1 : env.SLURM_NTASKS))

/** Whether a launcher has started this process as one of several: mpirun, mpiexec, or srun with PMI. Loads nothing. */
export const isLaunchedByMpi = ({ env }: { readonly env: Environment } = process): boolean => launchedProcesses(env) > 1
