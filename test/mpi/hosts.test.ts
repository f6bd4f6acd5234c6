// Trainings over several hosts, which are network namespaces of this machine: the same numbers as one process, on the network that was
// named, and an end on all hosts when one is cut off.

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { CoCa } from '../../src/models/index.ts'
import { readMetrics } from '../../src/train/index.ts'
import { isLong } from '../support.ts'
import { pictures, tinyJson, tinyModel } from '../train/tiny.ts'
import { Hosts, hostsSkip } from './hosts.ts'
import { runRanks } from './ranks.ts'

const CLI = '../../src/cli/main.ts'
/** The most seconds until all processes of all hosts have ended: a host that is cut off is noticed after 3, by the settings in hosts.ts. */
const SECONDS = 20

const lossesOf = async (run: string): Promise<Record<string, number>[]> =>
  (await readMetrics(run)).flatMap(line => (line.kind === 'step' ? [line.losses] : []))

describe('cocagrad train over two hosts', { skip: hostsSkip, timeout: 300_000 }, () => {
  let hosts: Hosts
  let folder: string
  let data: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'over-hosts-'))
    data = await pictures(folder)
    hosts = await Hosts.start(['a', 'b'])
  })
  after(async () => {
    await hosts.close()
    await rm(folder, { recursive: true })
  })

  /** Writes settings and returns the flags of a training. */
  async function flags(run: string, steps: number): Promise<string[]> {
    const others = { device: 'cpu', batchSize: 7, schedule: 'constant', warmup: 0, steps }
    const file = join(folder, `settings-${steps}.json`)
    await writeFile(file, JSON.stringify(tinyJson(data, others)))
    return ['train', '--config', file, '--out', run]
  }

  it('computes what one process computes, and exchanges gradients on the network that was named', async () => {
    const steps = 4
    const [one, two] = [join(folder, 'one'), join(folder, 'two')]
    const alone = await runRanks(1, CLI, await flags(one, steps))
    assert.equal(alone.code, 0, alone.stderr)
    const { code, stderr } = await hosts.run({ a: 2, b: 1 }, CLI, await flags(two, steps)).ended
    assert.equal(code, 0, stderr)
    const [expected, found] = [await lossesOf(one), await lossesOf(two)]
    assert.equal(found.length, steps)
    for (const [i, losses] of found.entries())
      for (const [name, loss] of Object.entries(losses))
        assert.ok(Math.abs(loss / expected[i][name] - 1) <= 1e-5, `${name} of step ${i + 1}: ${loss}`)
    // the other host needs what the gradients of this host add to the sum
    const gradients = 4 * new CoCa(tinyModel).parameters().reduce((sum, { size }) => sum + size, 0)
    for (const name of ['a', 'b']) {
      assert.ok(hosts.sent(name, 0) > steps * gradients, `${name} sent ${hosts.sent(name, 0)} bytes`)
      assert.equal(hosts.sent(name, 1), 0, `${name} sent nothing on the other network`)
    }
  })

  /** mpirun passes the signal on to the other host, so that there is data on the way on its side, and none on the other. */
  const cutOff = (mpirun: ChildProcess) => {
    hosts.cutOff('b')
    mpirun.kill('SIGCONT')
  }

  const later = !isLong && 'npm run test:long; train.test.ts kills a process in the short tests'
  for (const [how, fail, message, rest, skipped] of [
    ['is cut off from the network', cutOff, /ORTE has lost communication with a remote daemon/, 'both', false],
    ['is shut down', () => hosts.kill('b'), /Connection to 10\.99\.1\.2 closed by remote host/, 'the other', later],
  ] as const)
    it(`ends on both hosts when one ${how}, and goes on with ${rest} from the checkpoint`, {
      skip: skipped,
    }, async () => {
      const run = join(folder, how.replaceAll(' ', '-'))
      const { process: mpirun, ended } = hosts.run({ a: 1, b: 1 }, CLI, await flags(run, 1_000_000))
      const steps = async () => (await lossesOf(run).catch(() => [])).length
      while (mpirun.exitCode === null && (await steps()) < 4) await setTimeout(50)
      const began = performance.now()
      fail(mpirun)
      const { code, stderr } = await ended
      assert.notEqual(code, 0, stderr)
      assert.equal(stderr.match(new RegExp(message, 'g'))?.length, 1, stderr)
      const left = () => ['a', 'b'].flatMap(name => hosts.programs(name))
      while (left().length > 0 && performance.now() - began < 1000 * SECONDS) await setTimeout(50)
      assert.deepEqual(left(), [], `processes ${((performance.now() - began) / 1000).toFixed(1)} s later`)
      if (rest === 'both') hosts.connect('b')
      const last = Math.max(...(await readdir(join(run, 'checkpoints'))).map(name => Number(/\d+/.exec(name))))
      const resume = ['train', '--out', run, '--resume', '--steps', `${last + 2}`]
      const resumed = await hosts.run({ a: 1, ...(rest === 'both' ? { b: 1 } : {}) }, CLI, resume).ended
      assert.equal(resumed.code, 0, resumed.stderr)
      assert.equal(await steps(), last + 2, resumed.stderr + resumed.stdout)
    })
})
