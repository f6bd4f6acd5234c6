// Checks for tensors with values that are not finite.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkFinite, NonFiniteWeightsError, type SafetensorsTensor } from '../../src/io/index.ts'

import { fc, runs } from '../support.ts'

const floats = (...values: number[]): SafetensorsTensor => ({
  dtype: 'F32',
  shape: [values.length],
  data: Float32Array.from(values),
})

test('tensors with values that are not finite throw an error that names each of them', () => {
  const list = fc.array(
    fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(NaN, Infinity, -Infinity)),
    {
      maxLength: 6,
    },
  )
  fc.assert(
    fc.property(fc.array(list, { maxLength: 8 }), lists => {
      const tensors = new Map(lists.map((values, i) => [`t${i}`, floats(...values)]))
      const bad = lists.flatMap((values, i) => {
        const index = values.findIndex(x => !Number.isFinite(x))
        return index < 0 ? [] : [{ name: `t${i}`, shape: [values.length], value: values[index], index }]
      })
      if (bad.length === 0) return checkFinite(tensors)
      assert.throws(
        () => checkFinite(tensors, { file: 'weights.safetensors' }),
        error => {
          assert.ok(error instanceof NonFiniteWeightsError, String(error))
          assert.deepEqual(error.tensors, bad)
          assert.equal(error.file, 'weights.safetensors')
          return true
        },
      )
    }),
    runs(200),
  )
})

test('the message names the file, the first few tensors, their number and what to do', () => {
  const tensors = new Map(['a', 'b', 'c', 'd', 'e'].map(name => [name, floats(1, Number.NaN)]))
  tensors.set('b', floats(2))
  assert.throws(() => checkFinite(tensors, { file: 'w.safetensors', advice: 'Take another' }), {
    message:
      'w.safetensors: 4 of 5 tensors have values that are not finite: a [2] has NaN at 1, c [2] has NaN at 1, d [2] has NaN at 1 and 1 more. Take another',
  })
  assert.throws(() => checkFinite(new Map([['scale', { shape: [], data: Float64Array.of(-Infinity) }]])), {
    message: '1 of 1 tensors has values that are not finite: scale [] has -Infinity at 0',
  })
})

test('integers of any size are finite', () => {
  const data = BigInt64Array.of(2n ** 62n)
  checkFinite(new Map([['ids', { shape: [1], data }]]))
})
