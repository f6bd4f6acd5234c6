// A copy of the project in which faults can be put and tests run, one at a time.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Mutant, Stage } from './mutant.ts'

const run = promisify(execFile)

/** What became of a mutant: the test that noticed, or what else went wrong; or it lives. */
export type Fate = { readonly killed: true; readonly by: string } | { readonly killed: false }

/** Tests that take this long do not end, which is noticed too. */
const PATIENCE = 240_000

export class Place {
  readonly root: string
  /** The tests that noticed the last fault in a file: they are asked first about the next. */
  readonly #noticed = new Map<string, Stage>()

  private constructor(root: string) {
    this.root = root
  }

  /** Copies what git knows of or would know of. */
  static async make(project: string): Promise<Place> {
    const root = await mkdtemp(join(tmpdir(), 'mutants-'))
    const listed = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: project })
    for (const file of listed.stdout.split('\n').filter(Boolean)) {
      await mkdir(dirname(join(root, file)), { recursive: true })
      // what is deleted and not yet committed is still listed
      await cp(join(project, file), join(root, file)).catch(() => undefined)
    }
    await symlink(join(project, 'node_modules'), join(root, 'node_modules'))
    return new Place(root)
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true })
  }

  /** Puts the fault in, runs the tests until one fails, and takes it out again. */
  async judge({ file, start, end, text, stages }: Mutant): Promise<Fate> {
    const path = join(this.root, file)
    const whole = await readFile(path, 'utf8')
    await writeFile(path, whole.slice(0, start) + text + whole.slice(end))
    try {
      if (file.includes('/assembly/')) {
        const fault = await this.#compile()
        if (fault) return { killed: true, by: fault }
      }
      const first = stages.filter(stage => stage === this.#noticed.get(file))
      for (const stage of new Set([...first, ...stages])) {
        const by = await this.firstFailure(stage)
        if (by === undefined) continue
        this.#noticed.set(file, stage)
        return { killed: true, by }
      }
      return { killed: false }
    } finally {
      await writeFile(path, whole)
    }
  }

  /** The kernels alone, as fast as they can be had, for engines with relaxed SIMD. */
  async #compile(): Promise<string | undefined> {
    try {
      await run(join(this.root, 'node_modules/.bin/tsx'), ['scripts/build-kernels.ts', '--quick'], { cwd: this.root })
      return undefined
    } catch {
      return 'the compiler of kernels'
    }
  }

  /** The name of the first test that fails, undefined if none does. */
  firstFailure({ files, env }: Stage): Promise<string | undefined> {
    const options = ['--conditions=source', '--test', '--test-reporter=tap', ...files]
    const child = spawn(join(this.root, 'node_modules/.bin/tsx'), options, {
      cwd: this.root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    })
    return new Promise(resolve => {
      const timer = setTimeout(() => end('the clock'), PATIENCE)
      let seen = ''
      const end = (by: string | undefined) => {
        clearTimeout(timer)
        stop(child)
        resolve(by)
      }
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
        const failed = /^\s*not ok \d+ - (.*)$/m.exec(seen)
        if (failed) end(failed[1])
        seen = seen.slice(seen.lastIndexOf('\n') + 1)
      })
      child.on('close', code => end(code === 0 ? undefined : 'the end of the process'))
    })
  }
}

/** Ends a process and those that it started. */
function stop({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended already
  }
}
