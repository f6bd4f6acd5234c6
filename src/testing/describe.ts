// Declares all tests of an operation in one line, with any test runner.

import type fc from 'fast-check'
import { checkArguments } from '../tensor/arguments.ts'
import { type DeviceName, isFloating, type Tensor, tensor as tensorOf } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, type Settled, settle } from '../tensor/options.ts'
import { checkCheckpoint, checkDevice, checkLayout, checkSame } from './agreement.ts'
import { AWAY, tensor, type ValueOptions, valueOptions } from './arbitraries/tensors.ts'
import { assert } from './exactly.ts'
import { checkAdjoint, checkGradients, checkLinear, checkRepeatable, checkSymmetric } from './laws.ts'
import {
  type Check,
  checkSamples,
  type DefinitionCheck,
  type Operation,
  type Samples,
  type SourceCall,
} from './report.ts'
import { runner, type TestRunner } from './runner.ts'
import { sourceOf } from './source-text.ts'

/** A call that must throw an error of a class, whose message contains a text. */
export type Refusal = readonly [f: () => unknown, error: abstract new (...args: never[]) => Error, text: string]

/** What `describeOperation` needs to know of an operation. */
export interface OperationDescription<A extends readonly unknown[]> extends ValueOptions, Samples {
  /** name of the tests; default the name of the function */
  readonly name?: string
  /** the operation in a printed program; default its name, or its source if it is an arrow function without a name */
  readonly expression?: string
  /**
   * arguments to call it with; the tensors among them, also in lists and plain objects, are differentiated. Default: one tensor
   * of any shape, with values by `domain`, `awayFrom` and `distinct`; the first sample is 0, if they allow it, because many
   * functions have a kink there
   */
  readonly samples?: fc.Arbitrary<Readonly<A>>
  /** calls that must throw */
  readonly errors?: readonly Refusal[]
  /**
   * highest order of gradients; 0 for an operation that cannot be differentiated; default 2. Below 2, second derivatives and their
   * symmetry are not checked
   */
  readonly order?: 0 | 1 | 2 | 3
  /** for large inputs: number of random directions per input instead of every element; see GradcheckOptions */
  readonly directions?: number
  /** devices that must agree with `reference`, which are opened if they are not open; default cpu */
  readonly devices?: readonly DeviceName[]
  /** the module that a printed program imports it from, such as './swish.ts' */
  readonly from?: string
  /** `describe` and `it` of a test runner; default the global functions, or those of node:test */
  readonly test?: TestRunner
}
const describeOptions = {
  ...valueOptions,
  name: is.optional(is.text),
  expression: is.optional(is.text),
  samples: undefined,
  errors: [],
  order: 2,
  directions: undefined,
  devices: is.byDefault<readonly DeviceName[]>(['cpu'], is.list as is.Kind<readonly DeviceName[]>),
  from: is.optional(is.text),
  test: undefined,
  numRuns: 10,
  seed: undefined,
  path: undefined,
} satisfies Settings<OperationDescription<readonly unknown[]>>

type Description<A extends readonly unknown[]> = Settled<OperationDescription<A>, typeof describeOptions>

/**
 * Declares the tests of an operation: gradients against finite differences, the laws of gradients, layouts in memory, `checkpoint`,
 * every device against `reference`, a fused operation against its definition, and the calls that must throw.
 *
 *     describeOperation(swish)
 *     describeOperation(logit, { domain: [1 / 8, 7 / 8], errors: [[() => logit(), TypeError, 'needs a tensor']] })
 *     describeOperation(rotate, { samples: fc.tuple(tensor({ shape: [2] }), fc.double({ min: 0, max: 6 })) })
 *
 * A test that fails prints a program that fails with the smallest input found.
 */
export function describeOperation<A extends readonly unknown[] = [Tensor]>(
  op: Operation<A>,
  options?: OperationDescription<A>,
): void {
  const call = 'describeOperation(op, options)'
  checkArguments(call, [is.callback], [op])
  const description: Description<A> = settle(call, options, describeOptions)
  const { errors, name = op.name, seed, path, numRuns, order, dtype, domain, awayFrom, distinct } = description
  checkDescription(name, numRuns, order)
  const { describe, it } = runner(description.test)
  const values = { dtype, domain, awayFrom, distinct }
  const samples = description.samples ?? (tensor(values).map(x => [x]) as unknown as fc.Arbitrary<Readonly<A>>)
  const examples = description.samples ? [] : (zeroOf(values) as unknown as Readonly<A>[])
  describe(name, () => {
    for (const [says, check] of checksOf(op, description))
      it(says, () => checkSamples(op, callOf(op, name, description), check, samples, { seed, path, numRuns, examples }))
    for (const refusal of errors) it(`refuses: ${refusal[2]}`, () => checkRefusal(refusal))
  })
}

function checkDescription(name: string, numRuns: number, order: number): void {
  if (name === '') throw new TypeError("describeOperation: the function has no name; give it one with { name: '…' }")
  if (!(Number.isInteger(numRuns) && numRuns > 0))
    throw new RangeError(
      `${name}: numRuns must be a positive integer, not ${numRuns}: without samples nothing is checked`,
    )
  if (![0, 1, 2, 3].includes(order)) throw new RangeError(`${name}: the order must be 0, 1, 2 or 3, not ${order}`)
}

/** The first sample is 0: random samples contain 0 only by chance, so a kink there would fail only sometimes. */
function zeroOf({ dtype = 'float64', domain: [min, max] = [-2, 2], awayFrom = [] }: ValueOptions): [Tensor][] {
  const isDrawn = min <= 0 && max >= 0 && awayFrom.every(kink => Math.abs(kink) >= AWAY)
  return isDrawn && isFloating(dtype) ? [[tensorOf(0, { dtype, device: 'reference' })]] : []
}

/** The source that calls an operation in a printed program. */
function callOf<A extends readonly unknown[]>(
  op: Operation<A>,
  name: string,
  { expression = op.name === '' ? `(${op})` : name, from }: Description<A>,
): SourceCall {
  const imported = /^[\w$]+/.exec(expression)?.[0]
  return { expression, imports: from && imported ? [`import { ${imported} } from '${from}'`] : [] }
}

function checksOf<A extends readonly unknown[]>(
  { definition }: Operation<A>,
  { order, directions, devices }: Description<A>,
): [says: string, check: Check | DefinitionCheck][] {
  const valuesOnly = order === 0 ? ['{ gradients: false }'] : []
  const onDevices = devices.map((device): [string, Check] => [
    `${device} agrees with reference`,
    {
      name: 'checkDevice',
      opens: device,
      options: [sourceOf(device), ...valuesOnly].join(', '),
      run: (f, inputs) => checkDevice(f, inputs, device, { gradients: order > 0 }),
    },
  ])
  const inMemory: [string, Check] = [
    'the layout in memory changes nothing',
    {
      name: 'checkLayout',
      options: valuesOnly.join(),
      run: (f, inputs) => checkLayout(f, inputs, { gradients: order > 0 }),
    },
  ]
  if (order === 0) return [inMemory, ...onDevices]
  const firstOnly = order === 1 ? '{ order: 1 }' : ''
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
    ['gives the same for the same', { name: 'checkRepeatable', run: checkRepeatable }],
    inMemory,
    [
      'is not changed by checkpoint',
      { name: 'checkCheckpoint', options: firstOnly, run: (f, xs) => checkCheckpoint(f, xs, { order }) },
    ],
  ]
  if (order > 1)
    laws.splice(3, 0, ['its second derivatives are symmetric', { name: 'checkSymmetric', run: checkSymmetric }])
  if (definition)
    laws.push([
      order === 1 ? 'is what its definition says, the gradient too' : 'is what its definition says, derivatives too',
      { name: 'checkSame', options: firstOnly, runBoth: (f, g, xs) => checkSame(f, g, xs, { order }) },
    ])
  return [...laws, ...onDevices]
}

function checkRefusal([f, expected, text]: Refusal): void {
  let thrown: unknown
  try {
    f()
  } catch (error) {
    thrown = error
  }
  assert(thrown !== undefined, () => `${expected.name} with "${text}" was expected, but nothing was thrown`)
  const found = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
  assert(thrown instanceof expected, () => `${expected.name} was expected, but ${found} was thrown`)
  assert(
    (thrown as Error).message.includes(text),
    () => `"${text}" was expected in the message, but ${found} was thrown`,
  )
}
