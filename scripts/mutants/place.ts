// A copy of the project in which faults are made and tests run, one at a time.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Mutant, Stage } from './mutant.ts'

const run = promisify(execFile)

/**
 * How a fault was noticed. Only a failed test is certain: a timeout can be an endless loop or a busy machine, and a process can
 * crash for other reasons.
 */
export const noticers = ['test', 'clock', 'compiler', 'crash'] as const

export interface Noticed {
  readonly by: (typeof noticers)[number]
  /** the name of the test, or a description */
  readonly says: string
}

/** The result for a mutant: how it was noticed, or that it was not. */
export type Fate = (Noticed & { readonly killed: true }) | { readonly killed: false }

/** Tests that take longer are ended. */
const PATIENCE = 240_000

export class Place {
  readonly root: string
  /** The tests that noticed the last fault in a file: they run first for the next one. */
  readonly #noticed = new Map<string, Stage>()

  private constructor(root: string) {
    this.root = root
  }

  /** Copies all files that git tracks or would track. */
  static async make(project: string): Promise<Place> {
    const root = await mkdtemp(join(tmpdir(), 'mutants-'))
    const listed = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: project })
    for (const file of listed.stdout.split('\n').filter(Boolean)) {
      await mkdir(dirname(join(root, file)), { recursive: true })
      // files that are deleted but not committed are still listed
      await cp(join(project, file), join(root, file)).catch(() => undefined)
    }
    await symlink(join(project, 'node_modules'), join(root, 'node_modules'))
    return new Place(root)
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true })
  }

  /** Makes the fault, runs the tests until one fails, and restores the file. */
  async judge({ file, start, end, text, stages }: Mutant): Promise<Fate> {
    const path = join(this.root, file)
    const whole = await readFile(path, 'utf8')
    await writeFile(path, whole.slice(0, start) + text + whole.slice(end))
    try {
      if (file.includes('/assembly/')) {
        const refused = await this.#refusal()
        if (refused) return { killed: true, ...refused }
      }
      const first = stages.filter(stage => stage === this.#noticed.get(file))
      for (const stage of new Set([...first, ...stages])) {
        const noticed = await this.firstFailure(stage)
        if (noticed === undefined) continue
        if (noticed.by === 'test') this.#noticed.set(file, stage)
        return { killed: true, ...noticed }
      }
      return { killed: false }
    } finally {
      await writeFile(path, whole)
    }
  }

  /** Compiles only the kernels, as quickly as possible, for engines with relaxed SIMD. */
  async #refusal(): Promise<Noticed | undefined> {
    try {
      await run(join(this.root, 'node_modules/.bin/tsx'), ['scripts/build-kernels.ts', '--quick'], { cwd: this.root })
      return undefined
    } catch {
      return { by: 'compiler', says: 'the compiler of kernels' }
    }
  }

  /** The first test that fails, or another end of the tests; undefined if all pass. */
  firstFailure({ files, env }: Stage): Promise<Noticed | undefined> {
    const options = ['--conditions=source', '--test', '--test-reporter=tap', ...files]
    const child = spawn(join(this.root, 'node_modules/.bin/tsx'), options, {
      cwd: this.root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    })
    return new Promise(resolve => {
      const timer = setTimeout(() => end({ by: 'clock', says: `the clock, after ${PATIENCE / 1000} s` }), PATIENCE)
      let seen = ''
      const end = (noticed: Noticed | undefined) => {
        clearTimeout(timer)
        stop(child)
        resolve(noticed)
      }
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
        const failed = /^\s*not ok \d+ - (.*)$/m.exec(seen)
        if (failed) end(failureOf(failed[1]))
        seen = seen.slice(seen.lastIndexOf('\n') + 1)
      })
      child.on('close', (code, signal) =>
        end(code === 0 ? undefined : { by: 'crash', says: `the end of the process, with ${signal ?? `code ${code}`}` }),
      )
    })
  }
}

/** A test that failed; if the runner names a file, its process ended before its tests did. */
const failureOf = (name: string): Noticed =>
  name.endsWith('.test.ts') ? { by: 'crash', says: `the end of ${name}` } : { by: 'test', says: name }

/** Ends a process and its child processes. */
function stop({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended already
  }
}
