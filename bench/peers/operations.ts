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
  PYTHON_REMEDY,
  program,
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

async function torchTimings(python: string, threads: number): Promise<PeerTimings> {
  const env = { OMP_NUM_THREADS: `${threads}`, PYTHONDONTWRITEBYTECODE: '1' }
  const file = fileURLToPath(new URL('./torch_operations.py', import.meta.url))
  const { version, ms } = await timingsOf(python, [file], operationNames, env)
  return { name: 'PyTorch', version, threads, ms: ms as Timings }
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
  const python = findPython('torch')
  if (python) timings.push(await torchTimings(python, threads))
  else missing.push({ name: 'PyTorch', remedy: PYTHON_REMEDY })
  for (const { name, timings: file, library } of libraries) {
    if (isInstalled(library)) timings.push(await javascriptTimings(name, file, threads))
    else missing.push({ name, remedy: LIBRARY_REMEDY })
  }
  return { timings, missing }
}
