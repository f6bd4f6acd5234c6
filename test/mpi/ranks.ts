// Starts a program of this folder as several processes under Open MPI or MPICH.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** An implementation of MPI. */
export interface Mpi {
  /** why processes cannot be started here; false if they can */
  readonly skip: string | false
  /** the command that starts processes, and its first arguments */
  readonly command: readonly [string, ...string[]]
}

/** The first of some commands that there is. */
const found = (names: readonly string[]): string | undefined =>
  names.find(name => spawnSync(name, ['--version']).status === 0)

// where both are installed, one of them is mpirun
const [openMpirun, mpichExec] = [found(['mpirun.openmpi', 'mpirun']), found(['mpiexec.mpich', 'mpiexec.hydra'])]

/** In a container Open MPI runs as root, with more processes than cores, and may not read the memory of another process. */
const HERE = ['--allow-run-as-root', '--oversubscribe', '--mca', 'btl_vader_single_copy_mechanism', 'none']

export const openMpi: Mpi = {
  skip: openMpirun ? false : 'mpirun is not installed (Debian: openmpi-bin)',
  command: [openMpirun ?? 'mpirun', ...HERE],
}
export const mpich: Mpi = {
  skip: mpichExec ? false : 'MPICH is not installed (Debian: mpich)',
  command: [mpichExec ?? 'mpiexec'],
}

export const { skip } = openMpi

export interface Ended {
  readonly code: number | string | null | undefined
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The command that runs a file of this folder. */
export const nodeProgram = (file: string): readonly string[] => [
  process.execPath,
  '--import',
  'tsx',
  '--conditions=source',
  fileURLToPath(new URL(file, import.meta.url)),
]

/** Runs a file with some arguments as `count` processes, of one thread each, and waits for their end. */
export function runRanks(
  count: number,
  file: string,
  args: readonly string[] = [],
  variables: NodeJS.ProcessEnv = {},
  { command: [launcher, ...flags] }: Mpi = openMpi,
): Promise<Ended> {
  const env = { ...process.env, COCAGRAD_THREADS: '1', NODE_TEST_CONTEXT: undefined, ...variables }
  const command = [...flags, '-n', String(count), ...nodeProgram(file), ...args]
  return ended(spawn(launcher, command, { cwd: ROOT, timeout: 300_000, env }))
}

/** Waits for the end of a program. */
export function ended(child: ChildProcess): Promise<Ended> {
  const began = performance.now()
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text
    })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) =>
      resolve({ code: code ?? signal, ...output, seconds: (performance.now() - began) / 1000 }),
    )
  })
}

/** The last line of what rank 0 printed, as JSON. */
export function answerOf<T>({ code, stdout, stderr }: Ended): T {
  if (code !== 0) throw new Error(`the processes ended with ${code}:\n${stdout}\n${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T
}
