// Index arithmetic in the least accurate way that a GPU may use: named values are float32, estimates of quotients are off by one.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Code, helpersIn, joinAxes, thread } from '../../../src/tensor/gpu/code.ts'
import { contiguousStrides, sizeOf } from '../../../src/tensor/index.ts'

/** Runs generated statements for one thread. */
function evaluate(code: Code, result: string, thread: number, error: number): number {
  const body = code.lines.map(line => line.replace(/const (\w+)=(.*);/, 'const $1=exact($2);')).join('\n')
  const exact = (value: number) => {
    assert.equal(Math.fround(value), value, `float32 cannot hold ${value}`)
    return value
  }
  const sizes = code.sizes.map((size, i) => `const d${i}=${size};`).join('')
  const run = new Function(
    'exact',
    'mulAdd',
    'mulSub',
    'add2',
    'divEst',
    'divFix',
    `${sizes}${body}\nreturn ${result}`,
  ) as (this: object, ...helpers: ((...n: number[]) => number)[]) => number
  return run.call(
    { thread: { x: thread } },
    exact as (...n: number[]) => number,
    (a, b, c) => a * b + c,
    (a, b, c) => c - a * b,
    (a, b) => a + b,
    (i, n) => Math.floor(i / n) + error,
    (i, n, q) => (q * n > i ? q - 1 : q * n + n <= i ? q + 1 : q),
  )
}

const bigShapes = fc
  .array(fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 70000 })), { minLength: 1, maxLength: 6 })
  .filter(shape => sizeOf(shape) < 2 ** 31)

describe('positions', () => {
  test('are exact for any shape below 2³¹ elements and any rounding of a division', () => {
    const cases = bigShapes.chain(shape =>
      fc.tuple(
        fc.constant(shape),
        fc.integer({ min: 0, max: sizeOf(shape) - 1 }),
        fc.constantFrom(-1, 0, 1),
        fc.shuffledSubarray(contiguousStrides(shape), { minLength: shape.length }),
        fc.boolean(),
      ),
    )
    fc.assert(
      fc.property(cases, ([shape, i, error, strides, shared]) => {
        const code = new Code(shared)
        const at = code.coordinates(thread(sizeOf(shape)), shape)
        const position = code.position(at, strides)
        let expected = 0
        let rest = i
        contiguousStrides(shape).forEach((inner, axis) => {
          const coordinate = Math.floor(rest / inner)
          expected += coordinate * strides[axis]
          rest -= coordinate * inner
        })
        assert.equal(evaluate(code, position, i, error), expected)
      }),
      { numRuns: 500 },
    )
  })

  test('run backwards with negative strides', () => {
    const code = new Code()
    const at = code.coordinates(thread(12), [3, 4])
    assert.equal(evaluate(code, code.position(at, [-4, 1]), 11, 0), -8 + 3)
    assert.equal(evaluate(code, code.position(at, [-4, -1]), 5, 0), -4 - 1)
  })

  test('have one text for all sizes in a shared kernel', () => {
    const text = (shape: readonly number[], strides: readonly number[]) => {
      const code = new Code(true)
      const position = code.position(code.coordinates(thread(sizeOf(shape)), shape), strides, 'o0')
      return [...code.lines, position].join('\n')
    }
    assert.equal(text([3, 4, 5], [20, 1, 4]), text([60, 7, 2], [900, 1, 70]))
    assert.notEqual(text([3, 4, 5], [20, 1, 4]), text([3, 4, 5], [20, 0, 4]))
  })

  test('of contiguous memory are the thread index', () => {
    assert.deepEqual(joinAxes([2, 1, 3, 4], [contiguousStrides([2, 1, 3, 4])]).shape, [24])
    assert.deepEqual(
      joinAxes(
        [2, 3, 4],
        [
          [12, 4, 1],
          [0, 4, 1],
        ],
      ),
      {
        shape: [2, 12],
        strides: [
          [12, 1],
          [0, 1],
        ],
        axes: [0, 1],
      },
    )
  })
})

test('a source includes exactly the helpers that it calls', () => {
  const names = helpersIn('function(a0){ return mulAdd(1,2,errorFunction(a0[0])); }').map(
    ({ source }) => /function (\w+)/.exec(source)![1],
  )
  assert.deepEqual(names, ['mulAdd', 'errorFunction'])
})
