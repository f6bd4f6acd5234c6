// Times one training step of CoCa by 1, 2 and 4 processes that divide the same batch among them, each with as many threads as its share of
// the cores, in rounds beside PyTorch's DistributedDataParallel. Then compares a model of the time with what was measured, and reads it off
// for a cluster. Needs Open MPI. The last line is the result as JSON.
//
//     COCAGRAD_PYTHON=V/bin/python npm run -s bench:ranks -- --size small --rounds 3
//     npm run -s bench:ranks -- --model --size medium --speed 32 --nodes 16,256 --gbits 10,100 --latency 20 --batch 65536

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { warmups } from '../model.ts'
import { findPython, PYTHON_REMEDY, program } from '../peers/contenders.ts'
import { median } from '../peers/timing.ts'
import { sizeName } from '../peers/weights.ts'
import type { Measured } from './child.ts'
import { fitLink, type Link, predict, type Sample, type StepParts, scaled } from './model.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'small' },
    steps: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    /** steps that are not timed; default those of the other benchmarks */
    warmup: { type: 'string' },
    ranks: { type: 'string', default: '1,2,4' },
    /** prints the model for a cluster, after one measurement of one process */
    model: { type: 'boolean', default: false },
    /** how many times as fast as this machine a node computes */
    speed: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '16,256,2048' },
    batch: { type: 'string', default: '65536' },
    /** Gbit/s of each node */
    gbits: { type: 'string', default: '10,100' },
    /** µs of a message */
    latency: { type: 'string', default: '20' },
  },
})
const size = sizeName(flags.size)
const numbers = (list: string): number[] => list.split(',').map(Number)
const cores = availableParallelism()
const threadsOf = (ranks: number): number => Math.max(1, Math.floor(cores / ranks))

/** A program that is timed with some number of ranks, each with some threads. */
interface Contender {
  readonly name: string
  readonly run: (ranks: number, threads: number) => Measured
}

const timed = (ranks: number, command: readonly string[], more: NodeJS.ProcessEnv = {}): Measured => {
  const launcher = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-n', `${ranks}`]
  const env = { ...process.env, ...more }
  const output = execFileSync('mpirun', [...launcher, ...command], {
    encoding: 'utf8',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return JSON.parse(output.trim().split('\n').at(-1)!) as Measured
}

const settings = (threads: number) => [
  ...['--size', size, '--steps', flags.steps, '--threads', `${threads}`],
  ...['--warmup', flags.warmup ?? `${warmups[size]}`],
]

const cocagrad: Contender = {
  name: 'cocagrad',
  run(ranks, threads) {
    const command = [process.execPath, ...program('../ranks/child.ts'), ...settings(threads), '--parts']
    return timed(ranks, command)
  },
}

/** @param python has torch */
function torch(python: string): Contender {
  const folder = mkdtempSync(join(tmpdir(), 'bench-ranks-'))
  process.on('exit', () => rmSync(folder, { recursive: true }))
  const weights = join(folder, 'weights.safetensors')
  let runs = 0
  execFileSync(process.execPath, [...program('exchange.ts'), '--size', size, '--weights', weights])
  return {
    name: 'PyTorch, DDP over gloo',
    run(ranks, threads) {
      const file = join(import.meta.dirname, '../peers/torch_ddp.py')
      const files = ['--weights', weights, '--store', `${weights}-${runs++}`]
      const env = { OMP_NUM_THREADS: `${threads}`, PYTHONDONTWRITEBYTECODE: '1', GLOO_SOCKET_IFNAME: 'lo' }
      return timed(ranks, [python, file, ...settings(threads), ...files], env)
    },
  }
}

/** What one contender measured with one number of ranks in all rounds. */
interface Row {
  readonly name: string
  readonly ranks: number
  readonly threads: number
  readonly ms: number
  readonly min_ms: number
  /** time of one process with all cores, divided by this one: 1 if dividing costs nothing */
  readonly efficiency: number
  readonly losses: readonly [number, number]
}

const columns = (widths: readonly number[], cells: readonly (string | number)[]): string =>
  cells.map((cell, i) => (i ? `${cell}`.padStart(widths[i]) : `${cell}`.padEnd(widths[i]))).join(' ')

/** If losses differ by more than this share, the steps differ. */
const TOLERANCE = 2e-4

function compare(): void {
  const python = findPython('torch')
  if (!python) console.error(`PyTorch is not installed: ${PYTHON_REMEDY}`)
  const contenders = [cocagrad, ...(python ? [torch(python)] : [])]
  const measured = new Map<string, Measured[]>()
  for (let round = 0; round < Number(flags.rounds); round++)
    for (const ranks of numbers(flags.ranks))
      for (const { name, run } of contenders) {
        const key = `${name}/${ranks}`
        const found = run(ranks, threadsOf(ranks))
        console.error(`round ${round + 1}: ${name}, ${ranks} ranks: ${median(found.times).toFixed(1)} ms`)
        measured.set(key, [...(measured.get(key) ?? []), found])
      }
  const rows: Row[] = contenders.flatMap(({ name }) => {
    const of = (ranks: number) => measured.get(`${name}/${ranks}`)!
    const times = (ranks: number) => of(ranks).flatMap(each => each.times)
    const alone = median(times(numbers(flags.ranks)[0]))
    return numbers(flags.ranks).map(ranks => ({
      name,
      ranks,
      threads: threadsOf(ranks),
      ms: median(times(ranks)),
      min_ms: Math.min(...times(ranks)),
      efficiency: alone / median(times(ranks)),
      losses: of(ranks)[0].losses,
    }))
  })
  const widths = [24, 6, 8, 9, 9, 11, 12]
  console.log(
    `${size}, ${cores} cores; ms of a step, median and fastest of ${flags.rounds} rounds of ${flags.steps} steps`,
  )
  console.log(columns(widths, ['', 'ranks', 'threads', 'median', 'fastest', 'efficiency', 'first loss']))
  for (const { name, ranks, threads, ms, min_ms, efficiency, losses } of rows)
    console.log(
      columns(widths, [
        name,
        ranks,
        threads,
        ms.toFixed(1),
        min_ms.toFixed(1),
        `${Math.round(100 * efficiency)} %`,
        losses[0].toFixed(5),
      ]),
    )
  for (const { name, ranks, losses } of rows)
    if (losses.some((loss, i) => Math.abs(loss / rows[0].losses[i] - 1) > TOLERANCE))
      console.log(`${name} with ${ranks} ranks has the losses ${losses.join(', ')}, not ${rows[0].losses.join(', ')}`)
  console.log(JSON.stringify({ rows, predictions: compareModel(measured) }))
}

/** The model beside what our own program measured. */
function compareModel(measured: ReadonlyMap<string, readonly Measured[]>): object[] {
  const widths = [6, 9, 9, 9, 9, 9, 9, 12, 10, 11, 9, 16]
  console.log(
    '\nms of the parts of a step, and their sum beside the step; sums overlap the backward pass as far as they can',
  )
  const titles = ['ranks', 'contrast', 'gradients', 'update', 'gather', 'sums', 'total', 'overlapped', 'measured']
  console.log(columns(widths, [...titles, 'error', 'µs', 'GB/s']))
  return numbers(flags.ranks).map(ranks => {
    const all = measured.get(`${cocagrad.name}/${ranks}`)!
    const parts = medians(all.map(each => each.parts!))
    const sums = all[0].sums.map(({ bytes }, i): Sample => ({ bytes, ms: median(all.map(each => each.sums[i].ms)) }))
    const link: Link = ranks > 1 ? fitLink(ranks, sums) : { latency: 0, bandwidth: Number.POSITIVE_INFINITY }
    const prediction = predict(ranks, parts, link)
    const ms = median(all.flatMap(each => each.times))
    const { contrast, gradients, update, gather, sum, total, overlapped } = prediction
    const shown = [contrast, gradients, update, gather, sum, total, overlapped, ms].map(each => each.toFixed(1))
    const error = `${Math.round(100 * (total / ms - 1))} %`
    const of = ranks > 1 ? [(1000 * link.latency).toFixed(0), (link.bandwidth / 1e6).toFixed(2)] : ['', '']
    console.log(columns(widths, [ranks, ...shown, error, ...of]))
    return { ranks, parts, sums, link, prediction, ms }
  })
}

const medians = (all: readonly StepParts[]): StepParts =>
  Object.fromEntries(
    Object.keys(all[0]).map(name => [name, median(all.map(each => each[name as keyof StepParts]))]),
  ) as unknown as StepParts

/** The model for nodes of a cluster. */
function showCluster(): void {
  const parts = cocagrad.run(1, cores).parts!
  const [batch, speed, latency] = [flags.batch, flags.speed, flags.latency].map(Number)
  console.log(
    `${size}, ${parts.parameters.toLocaleString('en')} parameters; measured here with ${cores} cores and ${parts.batch} examples, ms: ${parts.gradients.toFixed(1)} gradients, ${(1000 * parts.contrastPerPair).toFixed(4)} contrastive loss of 1000 logits, ${parts.update.toFixed(1)} update`,
  )
  console.log(
    `batch ${batch.toLocaleString('en')} on nodes that are ${speed} times as fast, ${latency} µs a message; seconds`,
  )
  const widths = [7, 8, 9, 10, 10, 8, 8, 8, 8, 11]
  const titles = [
    'nodes',
    'Gbit/s',
    'examples',
    'contrast',
    'gradients',
    'update',
    'gather',
    'sums',
    'total',
    'overlapped',
  ]
  console.log(columns(widths, titles))
  for (const nodes of numbers(flags.nodes))
    for (const gbits of numbers(flags.gbits)) {
      const link = { latency: latency / 1000, bandwidth: (gbits * 1e9) / 8 / 1000 }
      const { contrast, gradients, update, gather, sum, total, overlapped } = predict(
        nodes,
        scaled(parts, nodes, batch, speed),
        link,
      )
      const seconds = [contrast, gradients, update, gather, sum, total, overlapped]
      console.log(columns(widths, [nodes, gbits, batch / nodes, ...seconds.map(each => (each / 1000).toFixed(3))]))
    }
  console.log('overlapped: sums during the backward pass')
}

if (flags.model) showCluster()
else compare()
