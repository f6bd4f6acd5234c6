// Times of single operations in the other frameworks, each in its own process, under the same names as in our benchmark.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  findPython,
  isInstalled,
  LIBRARY_REMEDY,
  libraries,
  type Missing,
  program,
  TORCH_REMEDY,
} from './contenders.ts'
import { commonNames, type OperationName, operationNames, type Timings } from './names.ts'

export interface PeerTimings {
  readonly name: string
  readonly version: string
  readonly threads: number
  readonly ms: Timings
}

interface Printed {
  readonly version: string
  readonly ms: Partial<Timings>
}

const run = promisify(execFile)

/** @throws Error if the program fails, or an operation is missing from its output */
async function timingsOf(
  command: string,
  args: readonly string[],
  names: readonly OperationName[],
  env: Record<string, string> = {},
): Promise<Printed> {
  const { stdout } = await run(command, args, { env: { ...process.env, ...env } })
  const printed = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Printed
  const absent = names.filter(name => printed.ms[name] === undefined)
  if (absent.length > 0) throw new Error(`${args.join(' ')} does not time ${absent.join(', ')}`)
  return printed
}

const quickest = (all: readonly Printed[], name: OperationName): number =>
  Math.min(...all.map(({ ms }) => ms[name] ?? Number.POSITIVE_INFINITY))

/** PyTorch's two thread pools compete if both have several threads: the best time with one of them alone is used. */
async function torchTimings(python: string, threads: number): Promise<PeerTimings> {
  const all: Printed[] = []
  for (const [own, blas] of threads === 1
    ? [[1, 1]]
    : [
        [1, threads],
        [threads, 1],
      ]) {
    const env = { OMP_NUM_THREADS: `${own}`, OPENBLAS_NUM_THREADS: `${blas}`, PYTHONDONTWRITEBYTECODE: '1' }
    all.push(
      await timingsOf(python, [fileURLToPath(new URL('./torch_operations.py', import.meta.url))], operationNames, env),
    )
  }
  const ms = Object.fromEntries(operationNames.map(name => [name, quickest(all, name)])) as Timings
  return { name: 'PyTorch', version: all[0].version, threads, ms }
}

async function javascriptTimings(name: string, file: string, threads: number): Promise<PeerTimings> {
  const printed = await timingsOf(process.execPath, [...program(file), '--threads', `${threads}`], commonNames)
  return { name, version: printed.version, threads, ms: printed.ms as Timings }
}

/** Runs every installed peer, one after the other, and lists the missing ones with instructions. */
export async function peerTimings(
  threads: number,
): Promise<{ readonly timings: readonly PeerTimings[]; readonly missing: readonly Missing[] }> {
  const timings: PeerTimings[] = []
  const missing: Missing[] = []
  const python = findPython()
  if (python) timings.push(await torchTimings(python, threads))
  else missing.push({ name: 'PyTorch', remedy: TORCH_REMEDY })
  for (const { name, timings: file, library } of libraries) {
    if (isInstalled(library)) timings.push(await javascriptTimings(name, file, threads))
    else missing.push({ name, remedy: LIBRARY_REMEDY })
  }
  return { timings, missing }
}
