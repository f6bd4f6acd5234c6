// Every module, loss and model, as a function of its parameters and inputs together, against everything that an operation is
// tested with.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as models from '../../src/models/index.ts'
import * as nn from '../../src/nn/index.ts'
import { Module, withParameters } from '../../src/nn/index.ts'
import { Generator, randn, type Tensor } from '../../src/tensor/index.ts'
import { describeOperation } from '../../src/testing/index.ts'
import { fc } from '../support.ts'
import { lossRecords, type ModuleRecord, modelRecords, moduleRecords } from './records/modules.ts'
import { isAsked } from './records.ts'

const namesOf = (room: object, belongs: (name: string, value: unknown) => boolean) =>
  Object.entries(room).flatMap(([name, value]) => (belongs(name, value) ? [name] : []))
const isModule = (_: string, value: unknown) =>
  typeof value === 'function' && value.prototype instanceof Module && value !== Module
const sorted = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name).sort()

it('every module, loss and model has a record', () => {
  assert.deepEqual(sorted(moduleRecords), namesOf(nn, isModule).sort())
  assert.deepEqual(sorted(modelRecords), namesOf(models, isModule).sort())
  assert.deepEqual(sorted(lossRecords), namesOf(nn, name => name.endsWith('Loss')).sort())
})

/** Values that make no parameter a special case, as zeros and ones of an initialisation are. */
function stirred(module: Module): Tensor[] {
  const generator = new Generator(1)
  return module
    .parameters()
    .map(({ shape }) => randn(shape, { dtype: 'float64', device: 'reference', generator }).mul(0.5))
}

function describeModule({ name, inputs, make, run }: ModuleRecord): void {
  const module = make()
  const count = inputs.length
  const whole = (...all: Tensor[]): Tensor =>
    withParameters(module, all.slice(count), () => run(module, ...all.slice(0, count)))
  describeOperation(whole, {
    name,
    samples: fc.constant([...inputs, ...stirred(module)]),
    directions: 1,
    numRuns: 1,
  })
}

for (const record of [...moduleRecords, ...modelRecords].filter(({ name }) => isAsked(name))) describeModule(record)
for (const { name, inputs, f } of lossRecords.filter(({ name }) => isAsked(name)))
  describeOperation(f, { name, samples: fc.constant(inputs), numRuns: 1 })
