// Mutation testing: small faults are put into the rules of gradients, the tape, the kernels and the masks of CoCa, one at a
// time, and the tests of that code are run. A fault that no test notices is listed: it shows a missing test.
//
//     npm run mutants -- [--only rules|tape|kernels|masks] [--match TEXT] [--sample N] [--jobs N] [--list]

import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { equivalents } from './equivalents.ts'
import { mutantsOfKernels } from './kernels.ts'
import { type Mutant, nameOf } from './mutant.ts'
import { type Fate, noticers, Place } from './place.ts'
import { mutantsByReplacement } from './replacements.ts'
import { mutantsOfRules } from './rules.ts'

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    /** only mutants whose name contains this text */
    match: { type: 'string', default: '' },
    /** number of mutants of each group, evenly spread */
    sample: { type: 'string' },
    jobs: { type: 'string', default: `${availableParallelism()}` },
    list: { type: 'boolean', default: false },
  },
})
const project = fileURLToPath(new URL('../..', import.meta.url))
const groups = ['rules', 'tape', 'kernels', 'masks'] as const
if (flags.only !== undefined && !groups.some(group => group === flags.only))
  throw new Error(`--only ${flags.only}: it must be one of ${groups.join(', ')}`)

const all = [...mutantsOfRules(project), ...mutantsByReplacement(project), ...mutantsOfKernels(project)]
const isEquivalent = (mutant: Mutant) =>
  equivalents.some(
    ({ file, operation, fault }) =>
      mutant.file.endsWith(file) && mutant.operation === operation && mutant.fault.includes(fault),
  )
const chosen = groups.flatMap(group => {
  const candidates = all.filter(
    mutant =>
      mutant.group === group &&
      (flags.only ?? group) === group &&
      nameOf(mutant).includes(flags.match) &&
      !isEquivalent(mutant),
  )
  const step = flags.sample === undefined ? 1 : Math.max(1, candidates.length / Number(flags.sample))
  return candidates.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step))
})

if (flags.list) for (const mutant of chosen) console.log(nameOf(mutant))
else await judgeAll()

/** Checks that the tests pass without a fault. */
async function checkTests(): Promise<void> {
  const files = [...new Set(chosen.flatMap(({ stages }) => stages.flatMap(stage => stage.files)))]
  const place = await Place.make(project)
  try {
    // each file separately: the time limit is that of one stage
    for (const file of files) {
      const failed = await place.firstFailure({ files: [file] })
      if (failed !== undefined) throw new Error(`a test fails without a fault: ${file}: ${failed.says}`)
    }
  } finally {
    await place.remove()
  }
}

async function judgeAll(): Promise<void> {
  const waiting = [...chosen]
  await checkTests()
  const fates = new Map<Mutant, Fate>()
  let done = 0
  const work = async () => {
    const place = await Place.make(project)
    try {
      for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
        const fate = await place.judge(mutant)
        fates.set(mutant, fate)
        console.log(
          `${++done}/${chosen.length} ${nameOf(mutant)} — ${fate.killed ? `noticed by ${fate.says}` : 'NOT NOTICED'}`,
        )
      }
    } finally {
      await place.remove()
    }
  }
  await Promise.all(Array.from({ length: Number(flags.jobs) }, work))
  console.log('')
  for (const group of groups) {
    const judged = [...fates].filter(([mutant]) => mutant.group === group)
    const lives = judged.filter(([, fate]) => !fate.killed)
    const counts = noticers
      .map(by => [by, judged.filter(([, fate]) => fate.killed && fate.by === by).length] as const)
      .filter(([, count]) => count > 0)
      .map(([by, count]) => `${by} ${count}`)
    if (judged.length === 0) continue
    console.log(
      `${group}: ${judged.length - lives.length} of ${judged.length} noticed (${counts.join(', ') || 'by nothing'})`,
    )
    for (const [mutant] of lives) console.log(`  not noticed: ${nameOf(mutant)}`)
  }
  if ([...fates.values()].some(fate => !fate.killed)) process.exitCode = 1
}
