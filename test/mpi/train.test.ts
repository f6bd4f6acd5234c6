// Runs of several processes: the same numbers as one process, checkpoints that any number of processes resumes, and an end of all when
// one fails.

import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { readMetrics, type StepMetrics, slowestRank } from '../../src/train/index.ts'
import { greys, writeTar } from '../data/shards/make.ts'
import { pictures, tinyJson, tinyModel } from '../train/tiny.ts'
import { runRanks, skip } from './ranks.ts'

const CLI = '../../src/cli/main.ts'

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0)
  } catch {
    return false
  }
}

/** The processes that fails.program.ts has named. */
function processesOf(stdout: string, count: number): readonly number[] {
  const processes = Array.from(stdout.matchAll(/process (\d+)/g), ([, id]) => Number(id))
  assert.equal(processes.length, count)
  return processes
}

/** mpirun may end a moment before its processes. */
async function end(processes: readonly number[]): Promise<void> {
  const began = Date.now()
  while (processes.some(isRunning) && Date.now() - began < 20_000) await setTimeout(50)
  assert.ok(!processes.some(isRunning), 'all processes have ended')
}

const stepsOf = async (run: string): Promise<StepMetrics[]> =>
  (await readMetrics(run)).filter((line): line is StepMetrics => line.kind === 'step')

describe('cocagrad train under mpirun', { skip }, () => {
  it('trains as one process does, with a divided optimizer too, and is resumed with another number of processes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'))
    const settings = join(folder, 'settings.json')
    const data = await pictures(folder)
    // one that is trained on, whichever it is: it is left out, and another one takes its place
    for (const name of (await readdir(join(data, 'images'))).sort().slice(2, 5))
      await writeFile(join(data, 'images', name), 'no picture')
    const others = {
      device: 'cpu',
      batchSize: 7,
      evaluateEvery: 3,
      equalCaptions: 'positives',
      model: { ...tinyModel, dropout: 0.1 },
      augment: { flip: true, shift: 1 },
      schedule: 'constant',
      warmup: 0,
      steps: 6,
    }
    await writeFile(settings, JSON.stringify(tinyJson(data, others)))
    const [one, two] = [join(folder, 'one'), join(folder, 'two')]
    const alone = await runRanks(1, CLI, ['train', '--config', settings, '--out', one, '--steps', '9'])
    assert.equal(alone.code, 0, alone.stderr)
    const together = await runRanks(2, CLI, ['train', '--config', settings, '--out', two, '--shard-optimizer'])
    assert.equal(together.code, 0, together.stderr)
    assert.equal(together.stdout.trim().split('\n').length, 1, 'one process reports')
    const resumed = await runRanks(3, CLI, ['train', '--out', two, '--resume', '--steps', '9'])
    assert.equal(resumed.code, 0, resumed.stderr)
    const [expected, found] = [await stepsOf(one), await stepsOf(two)]
    assert.equal(found.length, 9)
    for (const [i, { losses, gradientNorm, communication, examplesPerSecond, seconds }] of found.entries()) {
      for (const name of Object.keys(losses))
        assert.ok(Math.abs(losses[name] / expected[i].losses[name] - 1) <= 1e-5, `${name} of step ${i + 1}`)
      assert.ok(Math.abs(gradientNorm / expected[i].gradientNorm - 1) <= 1e-4, `norm of step ${i + 1}`)
      assert.equal(communication?.length, i < 6 ? 2 : 3)
      assert.equal(Math.round(examplesPerSecond! * seconds), 7)
    }
    const evaluationsOf = async (run: string) => (await readMetrics(run)).filter(line => line.kind === 'evaluation')
    const [measured, divided] = [await evaluationsOf(one), await evaluationsOf(two)]
    assert.deepEqual(
      divided.map(({ step }) => step),
      [3, 6, 9],
    )
    for (const [i, { values }] of divided.entries())
      for (const [name, value] of Object.entries(measured[i].values))
        assert.ok(Math.abs(values[name] - value) <= 1e-5 * Math.abs(value), `${name}: ${values[name]}, not ${value}`)
    const skippedOf = async (run: string) => (await readFile(join(run, 'skipped.jsonl'), 'utf8')).split('\n').sort()
    assert.deepEqual(await skippedOf(two), await skippedOf(one))
    assert.ok((await skippedOf(two)).length > 1)
    const stateOf = async (run: string) =>
      JSON.parse(await readFile(join(run, 'checkpoints', 'step-000009', 'state.json'), 'utf8'))
    const [stateOne, stateTwo] = [await stateOf(one), await stateOf(two)]
    assert.deepEqual(stateTwo.batches, stateOne.batches)
    assert.deepEqual(stateTwo.generator, stateOne.generator)
  })

  it('trains on shards as one process does', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'))
    for (let shard = 0; shard < 4; shard++) await writeTar(join(folder, `${shard}.tar`), greys(6 * shard, 6))
    const settings = join(folder, 'settings.json')
    const others = { device: 'cpu', batchSize: 5, window: 2, steps: 5 }
    await writeFile(settings, JSON.stringify(tinyJson(join(folder, '{0..3}.tar'), others)))
    const runs = [1, 2].map(count => join(folder, `of ${count}`))
    for (const [i, run] of runs.entries()) {
      const { code, stderr } = await runRanks(i + 1, CLI, ['train', '--config', settings, '--out', run])
      assert.equal(code, 0, stderr)
    }
    const [expected, found] = [await stepsOf(runs[0]), await stepsOf(runs[1])]
    assert.equal(found.length, 5)
    for (const [i, { losses }] of found.entries())
      for (const name of Object.keys(losses))
        assert.ok(Math.abs(losses[name] / expected[i].losses[name] - 1) <= 1e-5, `${name} of step ${i + 1}`)
  })

  const onLinux = process.platform === 'linux' ? false : 'needs /proc'
  it('refuses a rank with other data, by name', { skip: onLinux }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'))
    // one path, which is another folder on each
    const places = [join(folder, '0'), join(folder, '1')]
    await mkdir(places[0])
    const captions = join(await pictures(places[0]), 'captions.jsonl')
    await cp(places[0], places[1], { recursive: true })
    await writeFile(captions, (await readFile(captions, 'utf8')).replace(/a (small|large)/, 'a'))
    const settings = join(folder, 'settings.json')
    await writeFile(settings, JSON.stringify(tinyJson('/proc/self/cwd/pictures', { device: 'cpu' })))
    const line = ['train', '--config', settings, '--out', join(folder, 'run')]
    const { code, stderr } = await runRanks(2, 'elsewhere.program.ts', [...places, ...line])
    assert.notEqual(code, 0)
    assert.match(stderr, /error: the data: not the same on rank 1 as on rank 0/)
  })

  it('refuses a rank with another version, by name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'))
    const settings = join(folder, 'settings.json')
    await writeFile(settings, JSON.stringify(tinyJson(await pictures(folder), { device: 'cpu' })))
    const line = [folder, folder, 'train', '--config', settings, '--out', join(folder, 'run')]
    const { code, stderr } = await runRanks(2, 'elsewhere.program.ts', line, { VERSION_OF_RANK_1: 'v99.0.0' })
    assert.notEqual(code, 0)
    assert.match(stderr, /error: the version: not the same on rank 1 as on rank 0/)
  })

  it('refuses a rank with other settings, by name', async () => {
    const { code, stderr } = await runRanks(3, 'fails.program.ts', ['differs'])
    assert.notEqual(code, 0)
    assert.match(stderr, /RanksDifferError: the options: not the same on rank 2 as on rank 0/)
    assert.equal(stderr.match(/RanksDifferError:/g)?.length, 1, 'one process reports')
  })

  it('names the rank that the others wait for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'))
    const { code, stderr } = await runRanks(3, 'fails.program.ts', ['lags', folder])
    assert.equal(code, 0, stderr)
    const steps = await stepsOf(folder)
    assert.equal(steps.length, 6)
    const slowest = slowestRank(steps)
    assert.equal(slowest?.rank, 1)
    // the others wait about 200 ms in each step
    for (const { communication } of steps)
      assert.ok(communication![0] > 0.1 && communication![2] > 0.1, `${communication}`)
    assert.ok(slowest!.share > 0.3 && slowest!.share <= 1, `${slowest!.share}`)
    const [first] = steps
    const of = (communication: number[] | undefined) => ({ ...first, seconds: 2, communication })
    assert.deepEqual(slowestRank([of([9, 0]), of([0.2, 1.2, 0.4]), of([0.2, 0.8, 0.4])]), { rank: 0, share: 0.4 })
    assert.equal(slowestRank([of([1, 2]), of(undefined)]), undefined)
  })

  it('ends all ranks after the same step when one gets a signal, with a checkpoint', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'))
    const { code, stdout, stderr } = await runRanks(3, 'fails.program.ts', ['stops', folder])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /from 0 to 4, not finished/)
    const resumed = await runRanks(1, 'fails.program.ts', ['not', folder])
    assert.match(resumed.stdout, /from 4 to 6, finished/)
  })

  it('says what to install where there is no MPI', async () => {
    const { code, stderr } = await runRanks(2, 'fails.program.ts', ['not'], { COCAGRAD_MPI: 'libmissing.so' })
    assert.notEqual(code, 0)
    assert.match(stderr, /MpiUnavailableError: libmissing.so \(COCAGRAD_MPI\) cannot be used as MPI/)
  })

  it('ends when ranks hang, with one message that names them, and goes on from the checkpoint', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'))
    const { code, stdout, stderr } = await runRanks(4, 'fails.program.ts', ['hangs', folder], {
      COCAGRAD_MPI_TIMEOUT: '2',
    })
    assert.notEqual(code, 0)
    const place = /waited \d+ s in MPI_Iallreduce \(exchange \d+, step 5\): /.source
    const ranks = 'ranks 1, 3 do not answer: .*; rank 2 waits there too'
    assert.match(stderr, new RegExp(`rank 0: RanksTimeoutError: ${place}${ranks}`))
    assert.equal(stderr.match(/RanksTimeoutError:/g)?.length, 1, stderr)
    await end(processesOf(stdout, 4))
    const resumed = await runRanks(2, 'fails.program.ts', ['not', folder])
    assert.equal(resumed.code, 0, resumed.stderr)
    assert.match(resumed.stdout, /from 3 to 6/)
  })

  for (const how of ['throws', 'is killed'])
    it(`ends within seconds when a rank ${how}, and goes on from the checkpoint`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'ranks-'))
      const { code, stdout, stderr } = await runRanks(3, 'fails.program.ts', [how, folder])
      assert.notEqual(code, 0)
      const failed = Number(/failed at (\d+)/.exec(stdout)?.[1])
      await end(processesOf(stdout, 3))
      assert.ok(Date.now() - failed < 20_000, 'all processes have ended')
      if (how === 'throws') assert.match(stderr, /rank 1: Error: rank 1 has a mistake/)
      const resumed = await runRanks(2, 'fails.program.ts', ['not', folder])
      assert.equal(resumed.code, 0, resumed.stderr)
      assert.match(resumed.stdout, /from 3 to 6/)
    })
})
