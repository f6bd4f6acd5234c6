// Every module, loss and model, as a function of its parameters and inputs, with all the tests of an operation.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as models from '../../src/entries/models.ts'
import * as nn from '../../src/nn/index.ts'
import { Module } from '../../src/nn/index.ts'
import { describeOperation } from '../../src/testing/index.ts'
import { fc } from '../support.ts'
import { lossRecords, modelRecords, moduleRecords, wholeOf } from './records/modules.ts'
import { isAsked } from './records.ts'

const namesOf = (entry: object, belongs: (name: string, value: unknown) => boolean) =>
  Object.entries(entry).flatMap(([name, value]) => (belongs(name, value) ? [name] : []))
const isModule = (_: string, value: unknown) =>
  typeof value === 'function' && value.prototype instanceof Module && value !== Module
const sorted = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name).sort()

it('every module, loss and model has a record', () => {
  assert.deepEqual(sorted(moduleRecords), namesOf(nn, isModule).sort())
  assert.deepEqual(sorted(modelRecords), namesOf(models, isModule).sort())
  assert.deepEqual(sorted(lossRecords), namesOf(nn, name => name.endsWith('Loss')).sort())
})

for (const record of [...moduleRecords, ...modelRecords].filter(({ name }) => isAsked(name))) {
  const { f, inputs } = wholeOf(record)
  describeOperation(f, { name: record.name, samples: fc.constant(inputs), directions: 1, numRuns: 1 })
}
for (const { name, inputs, f } of lossRecords.filter(({ name }) => isAsked(name)))
  describeOperation(f, { name, samples: fc.constant(inputs), numRuns: 1 })
