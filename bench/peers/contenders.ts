// Who takes part: ours and the others, each with what it needs to be at its best, and what to say where it is missing.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { SizeName } from '../model.ts'

export interface Contender {
  readonly name: string
  readonly command: string
  /** for a size, but for --size, --weights, --steps and --warmup */
  readonly args: (size: SizeName) => readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** the others read the file of weights; ours makes the same numbers itself */
  readonly readsWeights: boolean
  /** sizes at which a step takes so long that three are enough */
  readonly slowAt?: readonly SizeName[]
}

export interface Missing {
  readonly name: string
  /** one line: what to do about it */
  readonly remedy: string
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** A program of ours, run as itself so that a time limit ends it and nothing else. */
export const program = (file: string): string[] => ['--import', 'tsx', '--conditions=source', here(file)]

const ours = (name: string, ...flags: string[]): Contender => ({
  name,
  command: process.execPath,
  args: () => [...program('../step.ts'), '--json', ...flags],
  readsWeights: false,
})

/** jax-js and TensorFlow.js lose more by a second thread's messages than they gain where the model is tiny. */
const threadsFor = (size: SizeName): string[] => ['--threads', size === 'tiny' ? '1' : '2']

const javascript = (name: string, file: string): Contender => ({
  name,
  command: process.execPath,
  args: size => [...program(file), ...threadsFor(size)],
  readsWeights: true,
  slowAt: ['medium'],
})

/**
 * PyTorch has two pools of threads, its own and the product library's, and which of them should have how many differs
 * from build to build. Where both have two, they may fight for the cores: that is cut short.
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

/** The others in JavaScript, and what of theirs has to be installed. */
export const libraries = [
  {
    name: 'TensorFlow.js, wasm',
    step: './tfjs-step.ts',
    timings: './tfjs-timings.ts',
    library: '@tensorflow/tfjs-backend-wasm',
  },
  { name: 'jax-js, wasm', step: './jax-step.ts', timings: './jax-timings.ts', library: '@jax-js/jax' },
] as const

export const TORCH_REMEDY = 'apt-get install python3-torch, or name a Python that has it: COCAGRAD_PYTHON=…'
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
