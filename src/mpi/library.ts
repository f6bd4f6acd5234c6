// The MPI library of the system, called through koffi, an optional package. The interface of MPI in C is a standard, but its
// constants are not: in Open MPI they are addresses of variables, in MPICH, and in Intel MPI and MVAPICH2 with it, they are integers.

import { createRequire } from 'node:module'
import { MpiUnavailableError } from './errors.ts'

/** A constant of MPI. */
type Handle = unknown

/** Memory, or the value of MPI_IN_PLACE. */
type Buffer = ArrayBufferView | number | null

/** Handles of exchanges that were started: addresses or integers. */
export type Requests = BigUint64Array | Int32Array

/** The functions that are used. Each returns an error code, 0 for success. */
export interface MpiFunctions {
  MPI_Init_thread(argc: null, argv: null, required: number, provided: Int32Array): number
  MPI_Comm_set_errhandler(communicator: Handle, handler: Handle): number
  MPI_Comm_rank(communicator: Handle, rank: Int32Array): number
  MPI_Comm_size(communicator: Handle, size: Int32Array): number
  MPI_Get_library_version(text: Uint8Array, length: Int32Array): number
  MPI_Error_string(code: number, text: Uint8Array, length: Int32Array): number
  MPI_Iallgatherv(
    send: Buffer,
    count: number,
    sendType: Handle,
    receive: Buffer,
    counts: Int32Array,
    starts: Int32Array,
    receiveType: Handle,
    communicator: Handle,
    request: Requests,
  ): number
  MPI_Iallreduce(
    send: number,
    receive: Buffer,
    count: number,
    type: Handle,
    operation: Handle,
    communicator: Handle,
    request: Requests,
  ): number
  MPI_Ibcast(buffer: Buffer, count: number, type: Handle, root: number, communicator: Handle, request: Requests): number
  MPI_Isend(
    buffer: Buffer,
    count: number,
    type: Handle,
    to: number,
    tag: number,
    communicator: Handle,
    request: Requests,
  ): number
  MPI_Irecv(
    buffer: Buffer,
    count: number,
    type: Handle,
    from: number,
    tag: number,
    communicator: Handle,
    request: Requests,
  ): number
  MPI_Ibarrier(communicator: Handle, request: Requests): number
  MPI_Testall(count: number, requests: Requests, flag: Int32Array, statuses: number): number
  MPI_Iprobe(from: number, tag: number, communicator: Handle, flag: Int32Array, status: number): number
  MPI_Recv(
    buffer: Buffer,
    count: number,
    type: Handle,
    from: number,
    tag: number,
    communicator: Handle,
    status: number,
  ): number
  MPI_Abort(communicator: Handle, code: number): number
  MPI_Finalize(): number
}

export interface MpiConstants {
  readonly world: Handle
  readonly float32: Handle
  readonly float64: Handle
  readonly int32: Handle
  readonly byte: Handle
  readonly sum: Handle
  readonly errorsReturn: Handle
  readonly inPlace: number
  readonly anySource: number
  /** MPI_STATUS_IGNORE, and MPI_STATUSES_IGNORE, which is the same */
  readonly noStatus: number
  /** an array for the handles of so many requests */
  readonly requests: new (
    length: number,
  ) => Requests
}

export interface MpiLibrary {
  readonly file: string
  readonly functions: MpiFunctions
  readonly constants: MpiConstants
}

/** Their arguments in C; H is the type of a handle. */
const signatures: Readonly<Record<keyof MpiFunctions, string>> = {
  MPI_Init_thread: 'void *argc, void *argv, int required, void *provided',
  MPI_Comm_set_errhandler: 'H comm, H handler',
  MPI_Comm_rank: 'H comm, void *rank',
  MPI_Comm_size: 'H comm, void *size',
  MPI_Get_library_version: 'void *text, void *length',
  MPI_Error_string: 'int code, void *text, void *length',
  MPI_Iallgatherv:
    'void *send, int count, H sendType, void *receive, void *counts, void *starts, H receiveType, H comm, void *request',
  MPI_Iallreduce: 'intptr_t send, void *receive, int count, H type, H operation, H comm, void *request',
  MPI_Ibcast: 'void *buffer, int count, H type, int root, H comm, void *request',
  MPI_Isend: 'void *buffer, int count, H type, int to, int tag, H comm, void *request',
  MPI_Irecv: 'void *buffer, int count, H type, int from, int tag, H comm, void *request',
  MPI_Ibarrier: 'H comm, void *request',
  MPI_Testall: 'int count, void *requests, void *flag, intptr_t statuses',
  MPI_Iprobe: 'int from, int tag, H comm, void *flag, intptr_t status',
  MPI_Recv: 'void *buffer, int count, H type, int from, int tag, H comm, intptr_t status',
  MPI_Abort: 'H comm, int code',
  MPI_Finalize: '',
}

/** The part of koffi that is used. */
interface Koffi {
  load(file: string): {
    func(definition: string): (...values: unknown[]) => number
    symbol(name: string, type: string): unknown
  }
}

/** Names to try. Open MPI 4 and 5 have the first; MPICH has `libmpich`, or number 12. */
const files: Readonly<Record<string, readonly string[]>> = {
  linux: ['libmpi.so.40', 'libmpich.so.12', 'libmpi.so.12', 'libmpi.so'],
  darwin: ['libmpi.40.dylib', 'libmpi.12.dylib', 'libmpi.dylib'],
}

const INSTALL =
  'install Open MPI (Debian: openmpi-bin; macOS: brew install open-mpi; a cluster: load its module), or name it in COCAGRAD_MPI'

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]

function loadKoffi(): Koffi {
  const require = createRequire(import.meta.url)
  try {
    return require('koffi') as Koffi
  } catch (error) {
    throw new MpiUnavailableError(
      'MPI is called through the optional package koffi, which does not load: npm install koffi',
      [firstLine(error)],
    )
  }
}

/**
 * Loads the library.
 * @param file a name or path; default the usual names
 * @throws MpiUnavailableError saying what to install
 */
export function loadMpi(file: string | undefined): MpiLibrary {
  // UCX, through which libraries of MPI send, would write its hooks over the code of mmap and brk when MPI is initialized. Other threads
  // of Node run that code then: in 3 of 236 starts a process crashed in malloc, or waited for ever in UCX's handler of the signal
  process.env.UCX_MEM_EVENTS ??= 'no'
  const koffi = loadKoffi()
  const reasons: string[] = []
  for (const name of file !== undefined ? [file] : namesFor()) {
    try {
      return bind(koffi, name)
    } catch (error) {
      reasons.push(firstLine(error))
    }
  }
  if (file !== undefined) throw new MpiUnavailableError(`${file} (COCAGRAD_MPI) cannot be used as MPI`, reasons)
  throw new MpiUnavailableError(`no MPI library was found: ${INSTALL}`, reasons)
}

/** The usual names; those of MPICH first in a process that its launcher has started. */
function namesFor(): readonly string[] {
  const names = files[process.platform] ?? []
  const isMpich = (name: string) => /mpich|\.12\b/.test(name)
  if (process.env.PMI_RANK === undefined || process.env.OMPI_COMM_WORLD_RANK !== undefined) return names
  return [...names].sort((a, b) => Number(isMpich(b)) - Number(isMpich(a)))
}

function bind(koffi: Koffi, file: string): MpiLibrary {
  const loaded = koffi.load(file)
  const open = openMpiConstants(name => loaded.symbol(name, 'void'))
  const [constants, handle] = open ? ([open, 'void *'] as const) : ([mpich, 'int'] as const)
  const functions = Object.fromEntries(
    Object.entries(signatures).map(([name, taken]) => [
      name,
      loaded.func(`int ${name}(${taken.replace(/\bH\b/g, handle)})`),
    ]),
  )
  return { file, constants, functions: functions as unknown as MpiFunctions }
}

/** The addresses of Open MPI; undefined in another library. */
function openMpiConstants(symbol: (name: string) => Handle): MpiConstants | undefined {
  try {
    return {
      world: symbol('ompi_mpi_comm_world'),
      float32: symbol('ompi_mpi_float'),
      float64: symbol('ompi_mpi_double'),
      int32: symbol('ompi_mpi_int'),
      byte: symbol('ompi_mpi_byte'),
      sum: symbol('ompi_mpi_op_sum'),
      errorsReturn: symbol('ompi_mpi_errors_return'),
      inPlace: 1,
      anySource: -1,
      noStatus: 0,
      requests: BigUint64Array,
    }
  } catch {
    return undefined
  }
}

/** The integers of MPICH's mpi.h, which its ABI initiative has fixed since 2014 (MPICH 3.1, Intel MPI 5, MVAPICH2 2). */
const mpich: MpiConstants = {
  world: 0x44000000,
  float32: 0x4c00040a,
  float64: 0x4c00080b,
  int32: 0x4c000405,
  byte: 0x4c00010d,
  sum: 0x58000003,
  errorsReturn: 0x54000001,
  inPlace: -1,
  anySource: -2,
  noStatus: 1,
  requests: Int32Array,
}
