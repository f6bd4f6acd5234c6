// The programs to compare, each with the settings with which it is fastest, and with instructions if it is not installed.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { SizeName } from '../model.ts'

export interface Contender {
  readonly name: string
  readonly command: string
  /** arguments for a size, except --size, --weights, --steps and --warmup */
  readonly args: (size: SizeName) => readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** other frameworks read the file of weights; ours makes the same numbers itself */
  readonly readsWeights: boolean
  /** sizes whose steps take so long that three are enough */
  readonly slowAt?: readonly SizeName[]
}

export interface Missing {
  readonly name: string
  /** one line that says how to install it */
  readonly remedy: string
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** A program of this package, in its own process so that a time limit ends it alone. */
export const program = (file: string): string[] => ['--import', 'tsx', '--conditions=source', here(file)]

const ours = (name: string, ...flags: string[]): Contender => ({
  name,
  command: process.execPath,
  args: () => [...program('../step.ts'), '--json', ...flags],
  readsWeights: false,
})

/** For the tiny model, the messages of a second thread cost jax-js and TensorFlow.js more than the thread saves. */
const threadsFor = (size: SizeName): string[] => ['--threads', size === 'tiny' ? '1' : '2']

const javascript = (name: string, file: string): Contender => ({
  name,
  command: process.execPath,
  args: size => [...program(file), ...threadsFor(size)],
  readsWeights: true,
  slowAt: ['medium'],
})

/** A program in Python. OpenMP's threads are set from outside, because they are started when a library is loaded. */
const inPython = (name: string, python: string, file: string, ...flags: string[]): Contender => ({
  name,
  command: python,
  args: () => [here(file), '--threads', '2', ...flags],
  env: { OMP_NUM_THREADS: '2', PYTHONDONTWRITEBYTECODE: '1' },
  readsWeights: true,
})

/** The first Python that has a library. */
export function findPython(library: 'torch' | 'jax' | 'open_clip'): string | undefined {
  const named = process.env.COCAGRAD_PYTHON
  const has = `import importlib.util as u, sys; sys.exit(u.find_spec('${library}') is None)`
  const candidates = named ? [named] : ['python3', '/usr/bin/python3']
  return candidates.find(python => spawnSync(python, ['-c', has], { stdio: 'ignore' }).status === 0)
}

const { resolve } = createRequire(import.meta.url)
export function isInstalled(name: string): boolean {
  try {
    resolve(name)
    return true
  } catch {
    return false
  }
}

/** The other frameworks in JavaScript, and the package that has to be installed. */
export const libraries = [
  {
    name: 'TensorFlow.js, wasm',
    step: './tfjs-step.ts',
    timings: './tfjs-timings.ts',
    library: '@tensorflow/tfjs-backend-wasm',
  },
  { name: 'jax-js, wasm', step: './jax-step.ts', timings: './jax-timings.ts', library: '@jax-js/jax' },
] as const

export const PYTHON_REMEDY =
  'python3 -m venv V && V/bin/pip install torch jax numpy, and set COCAGRAD_PYTHON=V/bin/python'
export const LIBRARY_REMEDY = 'npm install --include=dev'

export function contenders(): { readonly present: readonly Contender[]; readonly missing: readonly Missing[] } {
  const present: Contender[] = [
    ours('cocagrad, captured', '--capture'),
    ours('cocagrad'),
    ours('cocagrad, captured, OpenBLAS', '--capture', '--machine-code', 'off'),
    ours('cocagrad, captured, WebAssembly alone', '--capture', '--machine-code', 'off', '--blas', 'off'),
  ]
  const missing: Missing[] = []
  const torch = findPython('torch')
  if (torch)
    present.push(
      inPython('PyTorch', torch, 'torch_step.py'),
      inPython('PyTorch, compiled', torch, 'torch_step.py', '--compile'),
    )
  else missing.push({ name: 'PyTorch', remedy: PYTHON_REMEDY })
  const jax = findPython('jax')
  if (jax) present.push(inPython('JAX', jax, 'jax_step.py'))
  else missing.push({ name: 'JAX', remedy: PYTHON_REMEDY })
  for (const { name, step, library } of libraries) {
    if (isInstalled(library)) present.push(javascript(name, step))
    else missing.push({ name, remedy: LIBRARY_REMEDY })
  }
  return { present, missing }
}
