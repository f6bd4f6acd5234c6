// The accuracy of the functions that are composed of others, measured in units in the last place of float32 against JavaScript's
// functions of float64, over all sizes of numbers. (test/tensor/cpu/functions.test.ts measures those with a kernel of their own.)

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import '../../src/autograd/index.ts'
import { type Device, device, fromData, scope, type Tensor } from '../../src/tensor/index.ts'
import '../support.ts'

/** Every step-th float32: all exponents, both signs, numbers too small to be normal, infinities and NaN. */
const allKinds = (step: number): Float32Array =>
  new Float32Array(Uint32Array.from({ length: Math.floor(2 ** 32 / step) }, (_, i) => i * step).buffer)

/** Distance from an exact value in units of the last place of a float32 of its size. */
function ulps(value: number, exact: number): number {
  const rounded = Math.fround(exact)
  if (Object.is(value, rounded) || value === rounded) return 0
  if (!Number.isFinite(value) || !Number.isFinite(rounded)) return Infinity
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(exact))))
  return Math.abs(value - exact) / 2 ** (exponent - 23)
}

const toEven = (x: number) => {
  const up = Math.round(x)
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up
}
const divisor = Math.fround(0.7)
const beside = Math.fround(-0.3)
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

interface Measured {
  readonly f: (x: Tensor) => Tensor
  readonly exact: (x: number) => number
  /** the largest error */
  readonly limit: number
  /** which numbers are measured; default all */
  readonly from?: (x: number) => boolean
}

const functions: Readonly<Record<string, Measured>> = {
  // sine and cosine of a gpu are accurate up to some thousands
  tan: { f: x => x.tan(), exact: Math.tan, limit: 2.5, from: x => Math.abs(x) < 1.5 },
  asin: { f: x => x.asin(), exact: Math.asin, limit: 3 },
  acos: { f: x => x.acos(), exact: Math.acos, limit: 3 },
  sinh: { f: x => x.sinh(), exact: Math.sinh, limit: 5 },
  cosh: { f: x => x.cosh(), exact: Math.cosh, limit: 3.5 },
  asinh: { f: x => x.asinh(), exact: Math.asinh, limit: 3.5 },
  acosh: { f: x => x.acosh(), exact: Math.acosh, limit: 3.5 },
  atanh: { f: x => x.atanh(), exact: Math.atanh, limit: 4 },
  atan2: { f: x => x.atan2(beside), exact: x => Math.atan2(x, beside), limit: 1.5 },
  hypot: { f: x => x.hypot(beside), exact: x => Math.hypot(x, beside), limit: 2 },
  exp2: { f: x => x.exp2(), exact: x => 2 ** x, limit: 0.6 },
  cube: { f: x => x.cube(), exact: x => x ** 3, limit: 1.5 },
  reciprocal: { f: x => x.reciprocal(), exact: x => 1 / x, limit: 0.6 },
  logaddexp: { f: x => x.logaddexp(divisor), exact: x => divisor + softplus(x - divisor), limit: 2.5 },
  logSigmoid: { f: x => x.logSigmoid(), exact: x => -softplus(-x), limit: 3 },
  elu: { f: x => x.elu(), exact: x => (x > 0 ? x : Math.expm1(x)), limit: 1.5 },
  // below, it is too small to be a normal number
  mish: { f: x => x.mish(), exact: x => x * Math.tanh(softplus(x)), limit: 4, from: x => x > -80 },
  softsign: { f: x => x.softsign(), exact: x => x / (1 + Math.abs(x)), limit: 2 },
  floor: { f: x => x.floor(), exact: Math.floor, limit: 0 },
  ceil: { f: x => x.ceil(), exact: Math.ceil, limit: 0 },
  trunc: { f: x => x.trunc(), exact: Math.trunc, limit: 0 },
  round: { f: x => x.round(), exact: toEven, limit: 0 },
  fmod: { f: x => x.fmod(divisor), exact: x => x % divisor, limit: 0 },
  remainder: {
    f: x => x.remainder(divisor),
    exact: x => Math.fround((x % divisor) + (x % divisor < 0 ? divisor : 0)),
    limit: 0,
  },
}

function measure(on: () => Device, step: number): void {
  for (const [name, { f, exact, limit, from = () => true }] of Object.entries(functions))
    test(`${name} is within ${limit} units in the last place`, async () => {
      const inputs = allKinds(step).filter(from)
      const values = await scope(async () => f(fromData(inputs, [inputs.length], on())).data())
      values.forEach((value, i) => {
        const error = ulps(value, exact(inputs[i]))
        assert.ok(error <= limit, `${name}(${inputs[i]}) is ${value} instead of ${exact(inputs[i])}: ${error} units`)
      })
    })
}

describe('on cpu', () => measure(() => device.get('cpu'), 100003))

for (const backend of ['cpu', 'webasm'] as const)
  describe(`on the gpu device in ${backend}`, () => {
    before(() => device.open('gpu', { backend }))
    measure(() => device.get('gpu'), 400009)
  })
