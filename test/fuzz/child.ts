// Runs cases of a fuzz test in a process that may be killed, and prints a line of JSON for each.

import { writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { device } from '../../src/tensor/index.ts'
import { Cases } from './cases.ts'
import type { Report, Work } from './fuzz.ts'

const { seed, folder, tasks, limit, readers = './readers.ts' } = JSON.parse(process.argv[2]) as Work

// written at once, so that what was printed before a crash arrives
const report = (line: Report) => writeSync(1, `${JSON.stringify(line)}\n`)

await device.use('reference')
const cases = new Cases((await import(readers)).readers)
for (const { reader, from, to } of tasks) {
  const samples = await cases.samples(reader, folder)
  report({ reader, samples: samples.length })
  for (let number = from; number < to; number++) {
    const place = join(folder, `${reader}-${number}`)
    const file = await cases.write(reader, seed, number, place)
    const { outcome, message = '' } = await cases.read(reader, file, place)
    if (outcome !== 'crashed') await rm(place, { recursive: true, force: true })
    const isLarge = process.resourceUsage().maxRSS * 1024 > limit
    report({ reader, number, outcome, message: message.slice(0, 4000), isLarge })
    // the peak of a process never falls
    if (isLarge) process.exit()
  }
}
