// Starts a program of this folder as several processes under mpirun.

import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Why processes cannot be started here; false if they can. */
export const skip: string | false =
  spawnSync('mpirun', ['--version']).status === 0 ? false : 'mpirun is not installed (Debian: openmpi-bin)'

export interface Ended {
  readonly code: number | string | null | undefined
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

/** In a container Open MPI runs as root, with more processes than cores, and may not read the memory of another process. */
const HERE = ['--allow-run-as-root', '--oversubscribe', '--mca', 'btl_vader_single_copy_mechanism', 'none']

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Runs a file with some arguments as `count` processes, of one thread each, and waits for their end. */
export function runRanks(
  count: number,
  file: string,
  args: readonly string[] = [],
  variables: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const program = [
    process.execPath,
    '--import',
    'tsx',
    '--conditions=source',
    fileURLToPath(new URL(file, import.meta.url)),
  ]
  const began = performance.now()
  return new Promise(resolve => {
    execFile(
      'mpirun',
      [...HERE, '-n', String(count), ...program, ...args],
      {
        cwd: ROOT,
        timeout: 300_000,
        env: { ...process.env, COCAGRAD_THREADS: '1', NODE_TEST_CONTEXT: undefined, ...variables },
      },
      (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr, seconds: (performance.now() - began) / 1000 }),
    )
  })
}

/** The last line of what rank 0 printed, as JSON. */
export function answerOf<T>({ code, stdout, stderr }: Ended): T {
  if (code !== 0) throw new Error(`the processes ended with ${code}:\n${stdout}\n${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T
}
