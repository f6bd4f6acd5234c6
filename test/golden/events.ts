// Writes the event files in events/, from which events.py writes events.json.

import { mkdir, rm, stat, truncate } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { MetricsLine } from '../../src/train/index.ts'
import { EventLog } from '../../src/train/tensorboard.ts'

/** Lines of all kinds; the values can be represented in float32. */
export const linesOf = (step: number, extra = 0): MetricsLine[] => [
  {
    kind: 'step',
    step,
    losses: { total: 8 / step + extra, contrastive: 0.5 },
    measures: { scale: 14.5 },
    learningRate: 0.125 * step,
    learningRates: { lowest: 0.0625, highest: 0.25 },
    gradientNorm: 2 ** -step,
    examplesPerSecond: 300,
    seconds: 1,
    waiting: 0,
    skipped: 0,
  },
  { kind: 'evaluation', step, weights: 'average', seconds: 1, values: { 'größe R@1': step / 4 + extra } },
  {
    kind: 'guard',
    step,
    ok: true,
    error: 2 ** -20,
    bound: 0.01,
    tape: 1,
    differences: 1,
    examples: 8,
    seconds: 1,
  },
]

/** Writes the lines of some steps into a new file of a folder. */
export async function writeEvents(folder: string, from: number, to: number, now: number, extra = 0): Promise<string> {
  const log = await EventLog.open(folder, from, now)
  for (let step = from + 1; step <= to; step++)
    for (const line of linesOf(step, extra)) await log.add(line, now + step)
  await log.close()
  return log.path
}

/** Writes all folders of events. */
export async function writeAll(folder: string): Promise<void> {
  for (const name of ['resumed', 'killed']) await mkdir(`${folder}/${name}`, { recursive: true })
  await writeEvents(`${folder}/resumed`, 0, 4, 1_700_000_000.25)
  // within the same second as the file before
  await writeEvents(`${folder}/resumed`, 2, 5, 1_700_000_000.5, 100)
  const killed = await writeEvents(`${folder}/killed`, 0, 3, 1_700_000_000)
  const { size } = await stat(killed)
  await truncate(killed, size - 20)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = fileURLToPath(new URL('events', import.meta.url))
  await rm(folder, { recursive: true, force: true })
  await writeAll(folder)
}
