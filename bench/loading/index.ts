// Compares the way from files of pictures to batches with OpenCLIP's, one program at a time, in rounds: the same JPEGs and captions, the
// same preprocessing and vocabulary. Only ratios within one run are meaningful.
//
//     COCAGRAD_PYTHON=V/bin/python npm run bench:loading -- --rounds 3
//
// V: a virtual environment with open_clip_torch, which brings PyTorch, torchvision and Pillow. The pictures are made once, in --folder.

import { execFile } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { findPython } from '../peers/contenders.ts'
import { median } from '../peers/timing.ts'
import { type LoadingResult, tasks } from './tasks.ts'

const { values: flags } = parseArgs({
  options: {
    folder: { type: 'string', default: '.cache/loading' },
    count: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '3' },
    passes: { type: 'string', default: '2' },
    workers: { type: 'string', default: '0,1,2' },
    batch: { type: 'string', default: '32' },
    only: { type: 'string', default: '' },
    /** the folder of another checkout, whose loading is timed too */
    before: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

const python = findPython('open_clip')
if (!python)
  throw new Error(
    'OpenCLIP is not installed: python3 -m venv V && V/bin/pip install open_clip_torch; COCAGRAD_PYTHON=V/bin/python',
  )
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))
const env = { ...process.env, OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' }
async function run(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { env, maxBuffer: 2 ** 26 })
  return stdout.trimEnd().split('\n').at(-1) ?? ''
}

if (!existsSync(join(flags.folder, 'captions.jsonl'))) {
  console.error(`making ${flags.count} pictures in ${flags.folder}`)
  await run(python, [here('./make.py'), flags.folder, flags.count])
}
const vocabulary = await run(python, [here('./openclip.py'), '--vocabulary'])
const common = ['--folder', flags.folder, '--batch', flags.batch, '--passes', flags.passes]
type Program = (...more: string[]) => Promise<string>
const ours =
  (file: string): Program =>
  (...more) =>
    run(process.execPath, [
      '--import',
      'tsx',
      '--conditions=source',
      file,
      ...common,
      '--vocabulary',
      vocabulary,
      ...more,
    ])
const programs: Record<string, Program> = {
  cocagrad: ours(here('./ours.ts')),
  ...(flags.before && { before: ours(join(resolve(flags.before), 'bench/loading/ours.ts')) }),
  OpenCLIP: (...more) => run(python, [here('./openclip.py'), ...common, ...more]),
}
const names = Object.keys(programs)

const check = join(tmpdir(), `cocagrad-loading-${process.pid}`)
try {
  await programs.OpenCLIP('--task', 'evaluate', '--check', check)
  const { images, largest, sameIds } = JSON.parse(await programs.cocagrad('--task', 'evaluate', '--check', check))
  console.log(
    `evaluation, the first ${images} images: normalised pixels differ by at most ${largest.toExponential(1)}, ids are ${sameIds ? 'equal' : 'NOT equal'}`,
  )
} finally {
  rmSync(check, { force: true })
}

const workers = flags.workers.split(',')
const wanted = tasks.filter(task => task.includes(flags.only))
const results = new Map<string, LoadingResult[]>()
const key = (task: string, name: string, count: string) => `${task} ${name} ${count}`
const found = (task: string, name: string, count: string) => results.get(key(task, name, count)) ?? []
for (let round = 1; round <= Number(flags.rounds); round++)
  for (const task of wanted)
    for (const count of workers)
      for (const name of names) {
        const result = JSON.parse(await programs[name]('--task', task, '--workers', count)) as LoadingResult
        console.error(
          `round ${round}: ${task}, ${name}, ${count} workers: ${result.rates.map(rate => rate.toFixed(0)).join(', ')}`,
        )
        results.set(key(task, name, count), [...found(task, name, count), result])
      }

const rateOf = (all: readonly LoadingResult[]) => median(all.flatMap(({ rates }) => rates))
const workOf = (all: readonly LoadingResult[]) => median(all.flatMap(({ work }) => work))
const fastest = (all: readonly LoadingResult[]) => Math.max(...all.flatMap(({ rates }) => rates))
const rows = wanted.flatMap(task => {
  const row = (label: string, all: Record<string, readonly LoadingResult[]>) => ({
    task,
    workers: label,
    ...Object.fromEntries(
      names.map(name => [name, `${rateOf(all[name]).toFixed(0)} (${fastest(all[name]).toFixed(0)})`]),
    ),
    ...Object.fromEntries(
      names.slice(1).map(name => [`cocagrad / ${name}`, (rateOf(all.cocagrad) / rateOf(all[name])).toFixed(2)]),
    ),
    'ms of processor': names.map(name => workOf(all[name]).toFixed(1)).join(', '),
  })
  const ofEach = (of: (name: string) => readonly LoadingResult[]) =>
    Object.fromEntries(names.map(name => [name, of(name)]))
  const best = (name: string) =>
    workers.map(count => found(task, name, count)).reduce((a, b) => (rateOf(b) > rateOf(a) ? b : a))
  return [
    ...workers.map(count =>
      row(
        count,
        ofEach(name => found(task, name, count)),
      ),
    ),
    row('the best of each', ofEach(best)),
  ]
})
if (flags.json) console.log(JSON.stringify({ rows, results: Object.fromEntries(results) }, null, 2))
else {
  console.log('images a second: the median, and the fastest pass; then the processor time of an image, of each')
  console.table(rows)
  for (const name of names) {
    const all = [...results].filter(([key]) => key.includes(` ${name} `)).flatMap(([, found]) => found)
    console.log(`${all[0].version}; peak ${Math.max(...all.map(({ peakMb }) => peakMb))} MB, without worker processes`)
  }
}
