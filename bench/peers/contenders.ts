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

/**
 * PyTorch has two thread pools, its own and that of its BLAS, and the best number of threads for each differs between
 * builds. If both have two threads, they may compete for the cores, so such a run is shortened.
 */
function torch(python: string, own: number, blas: number): Contender {
  const threads = ['--threads', `${own}`, '--blas-threads', `${blas}`]
  return {
    name: `PyTorch, OMP ${own}, BLAS ${blas}`,
    command: python,
    args: () => [here('torch_step.py'), ...threads],
    env: { OMP_NUM_THREADS: `${own}`, OPENBLAS_NUM_THREADS: `${blas}`, PYTHONDONTWRITEBYTECODE: '1' },
    readsWeights: true,
    slowAt: own > 1 && blas > 1 ? ['small', 'medium'] : [],
  }
}

/** The first Python that can import torch. */
export function findPython(): string | undefined {
  const named = process.env.COCAGRAD_PYTHON
  const candidates = named ? [named] : ['python3', '/usr/bin/python3']
  return candidates.find(python => spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0)
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

export const TORCH_REMEDY = 'apt-get install python3-torch, or set COCAGRAD_PYTHON to a Python with PyTorch'
export const LIBRARY_REMEDY = 'npm install --include=dev'

export function contenders(): { readonly present: readonly Contender[]; readonly missing: readonly Missing[] } {
  const present: Contender[] = [
    ours('cocagrad'),
    ours('cocagrad, BLAS off, 2 threads', '--blas', 'off', '--threads', '2'),
  ]
  const missing: Missing[] = []
  const python = findPython()
  if (python) for (const own of [1, 2]) for (const blas of [1, 2]) present.push(torch(python, own, blas))
  else missing.push({ name: 'PyTorch', remedy: TORCH_REMEDY })
  for (const { name, step, library } of libraries) {
    if (isInstalled(library)) present.push(javascript(name, step))
    else missing.push({ name, remedy: LIBRARY_REMEDY })
  }
  return { present, missing }
}
