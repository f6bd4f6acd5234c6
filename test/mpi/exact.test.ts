// Losses, gradients and parameters of several processes against those of one process that has the whole batch.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { answerOf, mpich, openMpi, runRanks } from './ranks.ts'

interface Differences {
  readonly sameBits: boolean
  readonly isAtSamePosition: boolean
  /** absent where no encoder is counted */
  readonly hasPasses?: boolean
  readonly [name: string]: number | boolean | undefined
}

interface Answer {
  readonly curve: number
  readonly fell: number
  readonly [title: string]: number | Differences
}

for (const [count, mpi, title] of [
  [2, openMpi, 'Open MPI'],
  [3, openMpi, 'Open MPI'],
  [4, openMpi, 'Open MPI'],
  [2, mpich, 'MPICH'],
] as const)
  describe(`${count} processes of ${title} with unequal parts of a batch`, { skip: mpi.skip }, async () => {
    const answer = mpi.skip ? undefined : answerOf<Answer>(await runRanks(count, 'exact.program.ts', [], {}, mpi))
    const { curve, fell, ...cases } = answer ?? { curve: 1, fell: 1 }
    for (const [title, found] of Object.entries(cases as Record<string, Differences>))
      it(`have the losses and gradients of the whole: ${title}`, () => {
        const { sameBits, isAtSamePosition, hasPasses = true, ...differences } = found
        const bound = title.startsWith('cpu') ? 1e-6 : 1e-12
        for (const [name, difference] of Object.entries(differences))
          assert.ok((difference as number) <= bound, `${name}: ${difference} > ${bound}`)
        assert.ok(sameBits, 'the processes have the same bits')
        assert.ok(hasPasses, 'the images pass the encoder once, and in several parts twice')
        assert.ok(isAtSamePosition, 'they have drawn as many random numbers')
      })

    it('have the losses of 50 steps of one process', () => {
      assert.ok(curve <= 1e-5, `${curve}`)
      assert.ok(fell < 0.9, `the loss falls, to ${fell} of the first`)
    })
  })
