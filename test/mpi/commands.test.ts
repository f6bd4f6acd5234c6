// Commands that divide their work among processes give what one process gives, and write it once; the others are refused.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { readMetrics, readResults, type StepMetrics } from '../../src/train/index.ts'
import { builtPrograms } from '../programs.ts'
import { pictures, tinyJson } from '../train/tiny.ts'
import { runRanks, skip } from './ranks.ts'

const run = promisify(execFile)

/** Makes koffi unavailable, or MPI's library. */
const without = (what: 'koffi' | 'MPI'): string => {
  const refuse = `if (name === 'koffi') throw Object.assign(new Error("Cannot find package 'koffi'"), { code: 'MODULE_NOT_FOUND' })`
  const empty = `if (name === 'koffi') return { load(file) { throw new Error(file + ': cannot open shared object file') } }`
  const code = `import Module from 'node:module'
const load = Module._load
Module._load = function (name, ...others) { ${what === 'koffi' ? refuse : empty}; return load.call(this, name, ...others) }`
  return `--import=data:text/javascript,${encodeURIComponent(code)}`
}

describe('commands under mpirun', { skip }, () => {
  let cli: string
  let folder: string
  let data: string
  const path = (...names: readonly string[]) => join(folder, ...names)

  /** The standard output of a command in one process. */
  const alone = async (...args: readonly string[]): Promise<string> =>
    (await run(process.execPath, [cli, ...args], { env: { ...process.env, COCAGRAD_THREADS: '1' } })).stdout

  /** The same in several. */
  async function among(count: number, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runRanks(count, pathToFileURL(cli).href, args)
    assert.equal(code, 0, stderr)
    return stdout
  }

  before(async () => {
    cli = join(await builtPrograms('ranks', { cli: 'src/cli/main.ts' }), 'cli.js')
    folder = await mkdtemp(join(tmpdir(), 'commands-'))
    data = await pictures(folder, 26)
    await writeFile(path('settings.json'), JSON.stringify(tinyJson(data, { device: 'cpu', steps: 0 })))
    await alone('train', '--config', path('settings.json'), '--out', path('run'))
  })

  it('evaluate prints and records the results of one process', async () => {
    const args = ['evaluate', '--run', path('run'), '--data', data, '--batch-size', '5', '--json']
    const expected = await alone(...args)
    const found = await among(3, ...args)
    assert.equal(found, expected)
    const recorded = await readResults(path('run'))
    const half = recorded.length / 2
    assert.deepEqual(
      recorded.slice(half).map(({ date: _, ...others }) => others),
      recorded.slice(0, half).map(({ date: _, ...others }) => others),
    )
    assert.deepEqual(new Set(recorded.map(({ protocol }) => protocol)).size, half)
  })

  it('embed writes the file of one process, without the pictures that cannot be read', async () => {
    await cp(data, path('damaged'), { recursive: true })
    const [, second, third] = (await readdir(path('damaged', 'images'))).sort()
    for (const name of [second, third]) await writeFile(path('damaged', 'images', name), 'no picture')
    const args = ['embed', path('damaged'), '--run', path('run'), '--batch-size', '4', '--json', '--out']
    const expected = JSON.parse(await alone(...args, path('one.safetensors')))
    const found = JSON.parse(await among(3, ...args, path('three.safetensors')))
    assert.equal(expected.skipped, 2)
    assert.deepEqual({ ...found, file: '' }, { ...expected, file: '' })
    assert.ok((await readFile(path('one.safetensors'))).equals(await readFile(path('three.safetensors'))))
  })

  it('probe computes the features and the steps of one process, and evaluates the result once', async () => {
    const args = ['probe', '--from', path('run'), '--data', data, '--test', data, '--batch', '6', '--steps', '3']
    const own = (name: string) => [...args, '--validation', '0', '--guard-every', '0', '--out', path(name)]
    await alone(...own('probe'))
    await among(3, ...own('probe-of-3'))
    const featuresOf = async (name: string) => {
      const files = (await readdir(path(name, 'features'))).sort()
      return Promise.all(files.map(async file => [file, await readFile(path(name, 'features', file), 'base64')]))
    }
    assert.deepEqual(await featuresOf('probe-of-3'), await featuresOf('probe'))
    const lossesOf = async (name: string) =>
      (await readMetrics(path(name)))
        .filter((line): line is StepMetrics => line.kind === 'step')
        .map(({ losses }) => losses.total)
    const [expected, found] = [await lossesOf('probe'), await lossesOf('probe-of-3')]
    assert.equal(found.length, 3)
    for (const [i, loss] of found.entries()) assert.ok(Math.abs(loss / expected[i] - 1) < 1e-5, `step ${i + 1}`)
    assert.equal((await readResults(path('probe-of-3'))).length, (await readResults(path('probe'))).length)
  })

  it('a signal ends finetune after the same step on all ranks, and one of them says so', async () => {
    const out = path('tuned')
    const flags = ['--validation', '0', '--guard-every', '0', '--batch', '6', '--steps', '1000000']
    const args = ['finetune', '--from', path('run'), '--data', data, '--out', out, ...flags]
    const ending = runRanks(3, pathToFileURL(cli).href, args)
    const metrics = () => readFile(join(out, 'metrics.jsonl'), 'utf8').catch(() => '')
    for (let i = 0; i < 600 && !(await metrics()).includes('"step":2'); i++) await setTimeout(50)
    // the processes of this command alone; mpirun, which has the flags too, would kill them one second later
    const { stdout: list } = await run('ps', ['-eo', 'pid,args'])
    const ranks = list.split('\n').filter(line => line.includes(out) && /^\s*\d+ \S*node /.test(line))
    assert.equal(ranks.length, 3)
    for (const line of ranks) process.kill(Number.parseInt(line, 10), 'SIGTERM')
    const { code, stderr } = await ending
    assert.equal(code, 130, stderr)
    assert.equal(stderr.match(/finishing this step and writing a checkpoint/g)?.length, 1, stderr)
    assert.equal(stderr.match(/stopped after step/g)?.length, 1, stderr)
    const steps = (await readMetrics(out)).filter(({ kind }) => kind === 'step').length
    const checkpoints = await readdir(join(out, 'checkpoints'))
    assert.ok(checkpoints.includes(`step-${String(steps).padStart(6, '0')}`), `${steps}: ${checkpoints}`)
  })

  it('a command that is the work of one process is refused', async () => {
    const args = ['tokenizer', 'train', '--data', data, '--out', path('tokenizer.json')]
    const { code, stdout, stderr } = await runRanks(2, pathToFileURL(cli).href, args)
    assert.equal(code, 2, stderr)
    assert.equal(stdout, '')
    assert.equal(stderr.match(/error: /g)?.length, 1, stderr)
    assert.match(stderr, /'tokenizer train' is the work of one process, .* start it without mpirun/)
    assert.ok(!(await readdir(folder)).includes('tokenizer.json'))
  })

  for (const [what, says] of [
    ['koffi', /error: MPI is called through the optional package koffi, .*: npm install koffi/],
    ['MPI', /error: no MPI library was found: install Open MPI \(Debian: openmpi-bin; macOS: brew install open-mpi;/],
  ] as const)
    it(`says what to install where there is no ${what}`, async () => {
      const variables = { OMPI_COMM_WORLD_SIZE: '2', OMPI_COMM_WORLD_RANK: '0', COCAGRAD_MPI: '' }
      const args = [without(what), cli, 'train', '--config', path('settings.json'), '--out', path('never')]
      const child = spawn(process.execPath, args, { env: { ...process.env, ...variables }, stdio: 'pipe' })
      let stderr = ''
      child.stderr.on('data', text => {
        stderr += text
      })
      const code = await new Promise(resolve => child.on('close', resolve))
      assert.match(stderr, says)
      assert.equal(code, 2)
      await rm(path('never'), { recursive: true, force: true })
    })
})
