// The real command line as a child process.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { builtPrograms } from '../programs.ts'

const root = join(import.meta.dirname, '../..')
const main = 'src/cli/main.ts'

let built: Promise<string> | undefined

/** The command line as one program, made once per test file. */
const program = async (): Promise<string> => {
  built ??= builtPrograms('cli', { main })
  return join(await built, 'main.js')
}

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * @param watch called with all of stderr whenever there is more of it
 * @param options.first a module that is loaded before, which may change any of the source
 * @param options.input what stdin holds
 */
export async function cocagrad(
  args: readonly string[],
  watch?: (stderr: string, child: ChildProcess) => void,
  { first, input }: { readonly first?: string; readonly input?: string } = {},
): Promise<Outcome> {
  const start =
    first === undefined
      ? [await program()]
      : ['--conditions=source', '--import', 'tsx', '--import', first, join(root, main)]
  const child = spawn(process.execPath, [...start, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(input)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', data => {
    stdout += data
  })
  child.stderr.on('data', data => {
    stderr += data
    watch?.(stderr, child)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}

/** What a command prints with --json, which is added. */
export async function answerOf(...args: readonly string[]) {
  const { code, stdout, stderr } = await cocagrad([...args, '--json'])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

/** Asserts that a command is refused as a mistake of its user, with these words, and prints no result. */
export async function assertMistake(args: readonly string[], ...words: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await cocagrad(args)
  assert.equal(code, 2, stderr)
  assert.equal(stdout, '')
  for (const word of words) assert.ok(stderr.includes(word), `"${word}" is not in: ${stderr}`)
}
