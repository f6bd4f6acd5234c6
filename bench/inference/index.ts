// Compares inference with OpenCLIP's, one program at a time, in rounds: OpenCLIP's coca_ViT-B-32 at its full size, 253,560,065 random
// parameters, from one checkpoint. Only ratios within one run are meaningful.
//
//     COCAGRAD_PYTHON=V/bin/python npm run bench:inference -- --rounds 3
//
// V: a virtual environment with open_clip_torch, which brings PyTorch.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { findPython, program } from '../peers/contenders.ts'
import { median } from '../peers/timing.ts'
import { type InferenceResult, type TaskName, taskNames } from './tasks.ts'

const { values: flags } = parseArgs({
  options: {
    folder: { type: 'string', default: '/tmp/coca-b32' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
})

interface Program {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
}

const run = promisify(execFile)
const common = ['--folder', flags.folder, '--threads', flags.threads, '--rounds', '2', '--only', flags.only]
const ours = (name: string, ...more: string[]): Program => ({
  name,
  command: process.execPath,
  args: [...program('../inference/ours.ts'), ...common, ...more],
})
const python = findPython('open_clip')
if (!python)
  console.error(
    'OpenCLIP is not installed: python3 -m venv V && V/bin/pip install open_clip_torch; COCAGRAD_PYTHON=V/bin/python',
  )
const programs: Program[] = [
  ours('cocagrad'),
  ours('cocagrad, WebAssembly alone', '--machine-code', 'off', '--blas', 'off'),
  ...(python
    ? [
        {
          name: 'OpenCLIP',
          command: python,
          args: [fileURLToPath(new URL('./openclip.py', import.meta.url)), ...common],
        },
      ]
    : []),
]

await run(process.execPath, [...program('../inference/ours.ts'), '--folder', flags.folder, '--write'])
const results = new Map<Program, InferenceResult[]>(programs.map(each => [each, []]))
for (let round = 1; round <= Number(flags.rounds); round++)
  for (const [each, found] of results) {
    console.error(`round ${round}: ${each.name}`)
    const env = { ...process.env, OMP_NUM_THREADS: flags.threads, PYTHONDONTWRITEBYTECODE: '1' }
    const { stdout } = await run(each.command, each.args, { env, maxBuffer: 2 ** 26 })
    found.push(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as InferenceResult)
  }

const [first, ...others] = [...results.values()].flat().flatMap(({ caption }) => (caption ? [caption.join()] : []))
if (others.some(other => other !== first)) console.error('the greedy captions differ')

/** The time of OpenCLIP for the same result. */
const same = (name: TaskName): TaskName => (name === 'greedy' || name === 'six beams' ? `${name}, recomputed` : name)
const times = (each: Program, name: TaskName) => results.get(each)?.flatMap(({ times }) => times[name] ?? []) ?? []
const rows = taskNames
  .filter(name => name.includes(flags.only))
  .map(name => {
    const peer = programs.find(each => each.name === 'OpenCLIP')
    const theirs = peer ? median(times(peer, same(name)).map(time => time.median)) : Number.NaN
    return {
      task: name,
      ...Object.fromEntries(
        programs.flatMap(each => {
          const found = times(each, name)
          if (found.length === 0) return [[each.name, '']]
          const ms = median(found.map(time => time.median))
          const least = Math.min(...found.map(time => time.least))
          return [
            [each.name, `${ms} (${least})`],
            ...(each === peer ? [] : [[`${each.name} / OpenCLIP`, (ms / theirs).toFixed(2)]]),
          ]
        }),
      ),
    }
  })
if (flags.json)
  console.log(JSON.stringify({ rows, results: programs.map(each => [each.name, results.get(each)]) }, null, 2))
else {
  console.log('ms: the median, and the fastest')
  console.table(rows)
  for (const each of programs) {
    const [{ version }] = results.get(each) ?? []
    const peak = Math.max(...(results.get(each) ?? []).map(({ peakMb }) => peakMb))
    const load = median((results.get(each) ?? []).map(({ load }) => load))
    console.log(`${each.name}: ${version}; loaded in ${load} ms; peak ${peak} MB`)
  }
}
