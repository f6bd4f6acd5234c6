import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { listCheckpoints, openRun, resumeTraining, train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { outcome, pictures, tinyConfig, tinyJson } from './tiny.ts'

const child = (run: string, config: string): ChildProcess =>
  spawn(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', join(import.meta.dirname, 'child.ts'), run, config],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )

/** Lets a process train for so many steps and a moment more, and kills it. Returns the last step it told of. */
async function trainAndKill(run: string, config: string, steps: number, moment: number): Promise<number> {
  const killed = child(run, config)
  const exit = once(killed, 'exit')
  let told = 0
  let last = 0
  for await (const line of createInterface({ input: killed.stdout! })) {
    last = Number(line)
    told++
    if (told === steps) void wait(moment).then(() => killed.kill('SIGKILL'))
  }
  const [, signal] = await exit
  assert.equal(signal, 'SIGKILL', 'the process was to be killed while it trained')
  return last
}

test('a run killed at random moments computes the same weights as an uninterrupted one', async t => {
  const folder = await temporaryFolder(t)
  const data = await pictures(folder)
  const settings = { steps: 20, checkpointEvery: 2, evaluateEvery: 8, evaluationExamples: 3 }
  const whole = join(folder, 'whole')
  await train(whole, tinyConfig(data, settings))

  const file = join(folder, 'run.json')
  await writeFile(file, JSON.stringify(tinyJson(data, settings)))
  const run = join(folder, 'run')
  for (const steps of [2, 5]) {
    const moment = Math.random() * 40
    const last = await trainAndKill(run, file, steps, moment)
    t.diagnostic(`killed ${moment.toFixed(1)} ms after ${steps} steps, at step ${last}`)
    const checkpoints = await listCheckpoints(run)
    for (const step of checkpoints) await openRun(run, { step })
    const newest = checkpoints.at(-1) ?? 0
    assert.ok(newest >= last - 2, `the last checkpoint is of step ${newest}, the process was at ${last}`)
  }
  const { finished } = await resumeTraining(run)
  assert.equal(finished, true)
  assert.deepEqual(await outcome(run, 20), await outcome(whole, 20))
})
