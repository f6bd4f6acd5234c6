// Compares a device with the reference for everything that has a record: operations, fused operations, modules, losses, models,
// and random programs. It is separate from the test files because it runs in Node and, bundled, in a browser.

import fc from 'fast-check'
import type { Tensor } from '../../src/tensor/index.ts'
import { checkDevice, type OperationCases, operations } from '../../src/testing/index.ts'
import { checkSamples, type Operation } from '../../src/testing/report.ts'
import type { Check } from '../tensor/gpu/suite.ts'
import { fusedRecords } from './records/fused.ts'
import { lossRecords, modelRecords, moduleRecords, wholeOf } from './records/modules.ts'
import { programs } from './records/programs.ts'

const agreement = <A extends readonly unknown[]>(
  name: string,
  op: Operation<A>,
  samples: fc.Arbitrary<Readonly<A>>,
  { gradients = true, once = false } = {},
): Check => ({
  name,
  async run(on, runs) {
    const check = {
      name: 'checkDevice',
      run: (f: (...xs: Tensor[]) => Tensor, xs: readonly Tensor[]) => checkDevice(f, xs, on.name, { gradients }),
    }
    await checkSamples(op, { expression: name, imports: [] }, check, samples, { numRuns: once ? 1 : runs })
  },
})

const ofOperations = Object.entries<OperationCases>(operations).flatMap(([name, cases]) =>
  Object.entries(cases)
    // gpu does not have float64
    .filter(([, { result }]) => result !== 'float64')
    .map(([says, { f, samples, order }]) => agreement(`${name}: ${says}`, f, samples, { gradients: order > 0 })),
)

const ofFused = fusedRecords.map(({ name, op, samples }) => agreement(`fused ${name}`, op, samples))

const ofModules = [...moduleRecords, ...modelRecords].map(record => {
  const { f, inputs } = wholeOf(record)
  return agreement(record.name, f, fc.constant(inputs), { once: true })
})

const ofLosses = lossRecords.map(({ name, f, inputs }) => agreement(name, f, fc.constant(inputs), { once: true }))

const ofPrograms = agreement(
  'random programs',
  ({ f }: { readonly f: (...xs: Tensor[]) => Tensor }, ...inputs: Tensor[]) => f(...inputs),
  programs.map(({ options, inputs }) => [options, ...inputs] as const),
)

export const agreements: readonly Check[] = [...ofOperations, ...ofFused, ...ofModules, ...ofLosses, ofPrograms]
