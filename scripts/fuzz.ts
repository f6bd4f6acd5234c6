// Fuzzes the readers of files for longer than the tests do: npm run fuzz -- --help

import { Command, InvalidArgumentError } from 'commander'
import { inLines } from '../src/io/index.ts'
import { type Fault, fuzz, replayOf, Tallies, type Task } from '../test/fuzz/fuzz.ts'
import { readers } from '../test/fuzz/readers.ts'

const names = Object.keys(readers)

const count = (given: string): number => {
  if (!/^\d+$/.test(given) || !Number.isSafeInteger(Number(given)))
    throw new InvalidArgumentError(`'${given}' is not a whole number of 0 or more.`)
  return Number(given)
}
const reader = (given: string, before: readonly string[] = []): string[] => {
  if (!names.includes(given)) throw new InvalidArgumentError(`the readers are ${names.join(', ')}.`)
  return [...before, given]
}

interface Flags {
  readonly seconds: number
  readonly cases?: number
  readonly seed: number
  readonly case?: number
  readonly reader: readonly string[]
  readonly keep?: string
}

const program = new Command('npm run fuzz --')
  .description(
    'Reads mutated files in a child process. Each must be refused by an error that names it, or accepted, within 5 seconds and 1 GB. Ends with 1 if one was not.',
  )
  .option('--seconds <n>', 'stop after so long', count, 60)
  .option('--cases <n>', 'stop after so many cases of each reader, however long it takes', count)
  .option('--seed <n>', 'the seed of all random choices', count, Math.floor(Math.random() * 2 ** 31))
  .option('--case <n>', 'run only this case', count)
  .option('--reader <name>', `read only files of this kind; may be repeated: ${names.join(', ')}`, reader)
  .option('--keep <folder>', 'keep the files of faults in this folder')
const { seconds, cases, seed, reader: chosen = names, keep, case: only } = program.parse().opts<Flags>()

const tallies = new Tallies()
const onCase = (found: Fault) => {
  tallies.add(found)
  if (only !== undefined) console.log(inLines(`${found.outcome}: ${found.message}`))
  if (found.outcome === 'accepted' || found.outcome === 'refused') return
  const where = found.message.split('\n').slice(0, 6).join('\n  ')
  console.log(inLines(`${found.reader} ${found.number} ${found.outcome}\n  ${where}`))
  console.log(`  ${replayOf(found, seed)}`)
}
const some = (from: number, to: number): Task[] => chosen.map(name => ({ reader: name, from, to }))

console.log(`seed ${seed}`)
const faults: Fault[] = []
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
const run = async (from: number, to: number) =>
  faults.push(...(await fuzz(some(from, to), { seed, keep, onCase, signal: stop.signal })))
if (only !== undefined) await run(only, only + 1)
else if (cases !== undefined) await run(0, cases)
else {
  setTimeout(() => stop.abort(), seconds * 1000).unref()
  for (let from = 0, size = 200; !stop.signal.aborted; from += size, size = Math.min(2 * size, 3000))
    await run(from, from + size)
}
console.log(String(tallies))
if (faults.length > 0) {
  console.log(`\n${faults.length} faults with seed ${seed}`)
  process.exitCode = 1
}
