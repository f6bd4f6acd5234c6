// All tests of an operation in one line, under whatever runs tests.

import type fc from 'fast-check'
import type { DeviceName, Tensor } from '../tensor/index.ts'
import { checkCheckpoint, checkDevice, checkSame } from './agreement.ts'
import { tensor, type ValueOptions } from './arbitraries/tensors.ts'
import { assert } from './exactly.ts'
import { checkAdjoint, checkGradients, checkLinear, checkRepeatable, checkSymmetric } from './laws.ts'
import { type Check, checkSamples, type DefinitionCheck, type Operation, type Samples } from './report.ts'
import { runner, type TestRunner } from './runner.ts'
import { sourceOf } from './source.ts'

/** Something that must be refused, with an error of a class whose message contains a text. */
export type Refusal = readonly [f: () => unknown, error: abstract new (...args: never[]) => Error, text: string]

export interface OperationDescription<A extends readonly unknown[]> extends ValueOptions, Samples {
  /** what its tests are called; default the function's own name */
  readonly name?: string
  /** how a printed program calls it; default its name */
  readonly expression?: string
  /**
   * arguments to call it with; the tensors among them are differentiated. Default: one tensor of any shape, with values by
   * `domain`, `awayFrom` and `distinct`
   */
  readonly samples?: fc.Arbitrary<Readonly<A>>
  /** what it must refuse */
  readonly errors?: readonly Refusal[]
  /** highest order of gradients; 0 for an operation that cannot be differentiated; default 2 */
  readonly order?: 0 | 1 | 2 | 3
  /** for large inputs: so many random directions through each, instead of every element; see GradcheckOptions */
  readonly directions?: number
  /** devices that must agree with `reference`; opened if they are not. Default cpu */
  readonly devices?: readonly DeviceName[]
  /** the module that the program imports it from, './swish.ts' say */
  readonly from?: string
  /** `describe` and `it` of a test runner; default the global ones, or node:test's */
  readonly test?: TestRunner
}

/**
 * Declares the tests of an operation: gradients against finite differences, every law, `checkpoint`, every device against
 * `reference`, a fused operation against its definition, and what it must refuse.
 *
 *     describeOperation(swish)
 *     describeOperation(logit, { domain: [1 / 8, 7 / 8], errors: [[() => logit(), TypeError, 'needs a tensor']] })
 *     describeOperation(rotate, { samples: fc.tuple(tensor({ shape: [2] }), fc.double({ min: 0, max: 6 })) })
 *
 * A test that fails prints its smallest input as a program that fails again.
 */
export function describeOperation<A extends readonly unknown[] = [Tensor]>(
  op: Operation<A>,
  options: OperationDescription<A> = {},
): void {
  const { errors = [], name = op.name, expression = name, from, seed, path, numRuns = 10 } = options
  const { describe, it } = runner(options.test)
  const samples = options.samples ?? (tensor(options).map(x => [x]) as unknown as fc.Arbitrary<Readonly<A>>)
  const imports = from === undefined ? [] : [`import { ${expression.replace(/[^\w$].*$/, '')} } from '${from}'`]
  describe(name, () => {
    for (const [says, check] of checksOf(op, options))
      it(says, () => checkSamples(op, { expression, imports }, check, samples, { seed, path, numRuns }))
    for (const refusal of errors) it(`refuses: ${refusal[2]}`, () => checkRefusal(refusal))
  })
}

function checksOf<A extends readonly unknown[]>(
  { definition }: Operation<A>,
  { order = 2, directions, devices = ['cpu'] }: OperationDescription<A>,
): [says: string, check: Check | DefinitionCheck][] {
  const onDevices = devices.map((device): [string, Check] => [
    `${device} agrees with reference`,
    {
      name: 'checkDevice',
      opens: device,
      options: [sourceOf(device), ...(order === 0 ? ['{ gradients: false }'] : [])].join(', '),
      run: (f, inputs) => checkDevice(f, inputs, device, { gradients: order > 0 }),
    },
  ])
  if (order === 0) return onDevices
  const laws: [string, Check | DefinitionCheck][] = [
    [
      'its gradients agree with finite differences',
      {
        name: 'checkGradients',
        options: sourceOf({ order, ...(directions === undefined ? {} : { directions }) }),
        run: (f, xs) => checkGradients(f, xs, { order, directions }),
      },
    ],
    ['its gradient is linear in the one it is given', { name: 'checkLinear', run: checkLinear }],
    ['its derivatives forwards and backwards agree', { name: 'checkAdjoint', run: checkAdjoint }],
    ['its second derivatives are symmetric', { name: 'checkSymmetric', run: checkSymmetric }],
    ['gives the same for the same', { name: 'checkRepeatable', run: checkRepeatable }],
    ['is not changed by checkpoint', { name: 'checkCheckpoint', run: checkCheckpoint }],
  ]
  if (definition) laws.push(['is what its definition says, derivatives too', { name: 'checkSame', runBoth: checkSame }])
  return [...laws, ...onDevices]
}

function checkRefusal([f, expected, text]: Refusal): void {
  let thrown: unknown
  try {
    f()
  } catch (error) {
    thrown = error
  }
  assert(thrown !== undefined, () => `nothing was thrown, and ${expected.name} with "${text}" was expected`)
  const found = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
  assert(thrown instanceof expected, () => `${expected.name} was expected, and thrown was ${found}`)
  assert((thrown as Error).message.includes(text), () => `"${text}" was expected, and thrown was ${found}`)
}
