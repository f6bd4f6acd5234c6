// Compares our training step with those of other frameworks, one process at a time, in rounds, so that other load on the
// machine affects all of them equally. Only ratios within one run are meaningful.
//
//     npm run bench:peers -- --size small --rounds 3 --only cocagrad,pytorch

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { type SizeName, warmups } from '../model.ts'
import { type Contender, contenders, program } from './contenders.ts'
import { median, type StepResult } from './timing.ts'
import { sizeName, sizeNames } from './weights.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'tiny' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const sizes = flags.size === 'all' ? sizeNames : [sizeName(flags.size)]
const MINUTES = 60_000

/** If first losses differ by more than this share, the models differ. */
const TOLERANCE = 2e-4

/** The result of our own step has no name. */
type Result = Omit<StepResult, 'peer' | 'version'> & Partial<StepResult>

interface Row {
  readonly name: string
  readonly version?: string
  readonly ms: number
  readonly min_ms: number
  readonly rss_mb: number
  readonly loss: number
  readonly first_loss: number
  /** number of steps before the loss was computed */
  readonly steps: number
  readonly params: number
  /** our time divided by this one: below 1, ours is faster */
  readonly ratios: Record<string, number>
}

const run = promisify(execFile)
const say = (line: string) => console.error(line)

/** Fewer steps if one takes seconds; the same warm-up for all, long enough for engines that compile while they run. */
function howMany(contender: Contender, size: SizeName): { warmup: number; steps: number } {
  if (contender.slowAt?.includes(size)) return { warmup: 1, steps: 3 }
  return { warmup: warmups[size], steps: { tiny: 100, small: 15, medium: 10 }[size] }
}

async function runOnce(contender: Contender, size: SizeName, weights: string): Promise<Result | undefined> {
  const { warmup, steps } = howMany(contender, size)
  const args = [...contender.args(size), '--size', size, '--steps', `${steps}`, '--warmup', `${warmup}`]
  if (contender.readsWeights) args.push('--weights', weights)
  try {
    const env = { ...process.env, ...contender.env }
    const { stdout } = await run(contender.command, args, { env, timeout: 10 * MINUTES, killSignal: 'SIGKILL' })
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Result
  } catch (error) {
    say(`${contender.name}, ${size}: ${whatWentWrong(error)}`)
    return undefined
  }
}

/** The most informative line of a failed program's output. */
function whatWentWrong(error: unknown): string {
  const { stderr = '', killed = false, message = String(error) } = error as Partial<Error> & Record<string, unknown>
  if (killed) return 'took too long'
  const lines = String(stderr)
    .split('\n')
    .filter(line => line.trim() !== '')
  return lines.find(line => /error/i.test(line)) ?? lines.at(-1) ?? String(message).split('\n')[0]
}

function summary(contender: Contender, size: SizeName, results: readonly Result[]): Omit<Row, 'ratios'> {
  const { warmup, steps } = howMany(contender, size)
  return {
    name: contender.name,
    version: results[0].version,
    ms: median(results.map(({ ms }) => ms)),
    min_ms: Math.min(...results.map(({ min_ms }) => min_ms)),
    rss_mb: Math.max(...results.map(({ rss_mb }) => rss_mb)),
    loss: results[0].loss,
    first_loss: results[0].first_loss,
    steps: warmup + steps - 1,
    params: results[0].params,
  }
}

async function compare(size: SizeName, present: readonly Contender[], weights: string): Promise<Row[]> {
  await run(process.execPath, [...program('./exchange.ts'), '--size', size, '--weights', weights])
  const results = new Map<Contender, Result[]>(present.map(contender => [contender, []]))
  for (let round = 1; round <= Number(flags.rounds); round++) {
    for (const [contender, found] of results) {
      say(`${size}, round ${round}: ${contender.name}`)
      const result = await runOnce(contender, size, weights)
      if (result) found.push(result)
      // a program that failed once is not run again
      else results.delete(contender)
    }
  }
  const rows = [...results].map(([contender, found]) => summary(contender, size, found))
  const ours = rows.filter(({ name }) => name.startsWith('cocagrad'))
  return rows.map(row => ({ ...row, ratios: Object.fromEntries(ours.map(({ name, ms }) => [name, ms / row.ms])) }))
}

/** Messages about parameter counts and losses that should be equal but differ. */
function disagreements(rows: readonly Row[]): string[] {
  const differ = (a: number, b: number) => !(Math.abs(a - b) <= TOLERANCE * Math.abs(b))
  const [reference] = rows
  return rows.flatMap(row => {
    const peer = rows.find(({ steps }) => steps === row.steps) ?? row
    return [
      ...(row.params === reference.params ? [] : [`${row.name}: ${row.params} parameters, not ${reference.params}`]),
      ...(differ(row.first_loss, reference.first_loss)
        ? [`${row.name}: the first loss is ${row.first_loss}, not ${reference.first_loss}`]
        : []),
      ...(differ(row.loss, peer.loss)
        ? [`${row.name}: the loss after ${row.steps} steps is ${row.loss}, not ${peer.loss}`]
        : []),
    ]
  })
}

function table(rows: readonly Row[]): string {
  const ours = Object.keys(rows[0].ratios)
  const head = ['', 'ms', 'min', 'peak MB', 'first loss', 'loss', 'parameters', ...ours.map(name => `${name} / it`)]
  const cells = rows.map(row => [
    [row.name, row.version].filter(Boolean).join(' '),
    row.ms.toFixed(1),
    row.min_ms.toFixed(1),
    `${row.rss_mb}`,
    row.first_loss.toFixed(5),
    row.loss.toFixed(5),
    row.params.toLocaleString('en'),
    ...ours.map(name => row.ratios[name].toFixed(2)),
  ])
  const all = [head, ...cells]
  const widths = head.map((_, i) => Math.max(...all.map(line => line[i].length)))
  const padded = (line: readonly string[]) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')
  return all.map(padded).join('\n')
}

const { present, missing } = contenders()
for (const { name, remedy } of missing) say(`${name} is not installed: ${remedy}`)
const wanted = flags.only?.toLowerCase().split(',') ?? ['']
// a part of a name stands for all names that have it, a whole name for itself
const names = present.map(({ name }) => name.toLowerCase())
const chosen = present.filter((_, i) =>
  wanted.some(part => (names.includes(part) ? names[i] === part : names[i].includes(part))),
)

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-bench-'))
const everything: Record<string, readonly Row[]> = {}
try {
  for (const size of sizes) {
    const rows = await compare(size, chosen, join(folder, `${size}.safetensors`))
    everything[size] = rows
    if (rows.length === 0) continue
    for (const line of disagreements(rows)) say(line)
    if (!flags.json) console.log(`\n${size}, a training step\n${table(rows)}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
if (flags.json) console.log(JSON.stringify({ missing, sizes: everything }, null, 2))
