// Two ways to compute one thing: a fused operation and its definition, a function and its checkpoint, a device and the
// reference. A check throws when they differ and says where.

import { checkpoint, grad, type TensorFunction, vjp } from '../autograd/index.ts'
import {
  type Device,
  type DeviceName,
  device,
  deviceOf,
  fromData,
  isFloating,
  show,
  Tensor,
  type TypedArray,
} from '../tensor/index.ts'
import { assert, directions, exactly, largest, numbers } from './exactly.ts'

/**
 * Value, gradient and second derivatives of two functions are the same, in float64 on `reference`.
 * @param tolerance relative to the largest number compared
 */
export function checkSame(
  f: TensorFunction,
  expected: TensorFunction,
  inputs: readonly Tensor[],
  tolerance = 1e-9,
): void {
  exactly(f, inputs, (g, xs) =>
    exactly(expected, inputs, h => {
      for (const [what, derive] of derivatives(xs)) {
        const [actual, right] = [derive(g), derive(h)]
        const scale = largest(numbers(right))
        actual.forEach((x, n) => {
          const [own, other] = [numbers([x]), numbers([right[n]])]
          assert(
            show(x.shape) === show(right[n].shape),
            () => `the ${what} has shape ${show(x.shape)}, and the other's ${show(right[n].shape)}`,
          )
          own.forEach((a, i) => {
            const agrees = Object.is(a, other[i]) || Math.abs(a - other[i]) <= tolerance * scale
            assert(agrees, () => `element ${i} of the ${what} is ${a}, and the other's ${other[i]}`)
          })
        })
      }
    }),
  )
}

type Derive = (f: TensorFunction) => Tensor[]

function derivatives(xs: readonly Tensor[]): [what: string, derive: Derive][] {
  const wrt = xs.map((_, i) => i)
  const gradient = (f: TensorFunction, ...ys: Tensor[]) => {
    const [value, pullback] = vjp(f, ...ys)
    return pullback(directions([value], 1)[0])
  }
  // cubed, so that products of everything with everything count
  const cubed =
    (f: TensorFunction): TensorFunction =>
    (...ys) =>
      f(...ys)
        .pow(3)
        .sum()
  const slope =
    (f: TensorFunction): TensorFunction =>
    (...ys) =>
      grad(cubed(f), { wrt })(...ys)
        .map(g => g.square().sum())
        .reduce((a, b) => a.add(b))
  return [
    ['value', f => [f(...xs)]],
    ['gradient', f => gradient(f, ...xs)],
    ['second derivative', f => grad(slope(f), { wrt })(...xs)],
  ]
}

/** `checkpoint(f)` is f: nothing of the inside is kept, and nothing changes. */
export const checkCheckpoint = (f: TensorFunction, inputs: readonly Tensor[]): void =>
  checkSame(checkpoint(f), f, inputs, 1e-12)

/** What a device should come to within, of the largest number: float32 arithmetic. */
const singlePrecision = 1e-5

/**
 * Value and gradient on a device are those on `reference`, for inputs in float32 with the layout in memory that they have.
 * @param name of a device that is open
 * @param options.gradients whether there are gradients to compare; default true
 */
export async function checkDevice(
  f: TensorFunction,
  inputs: readonly Tensor[],
  name: DeviceName,
  { gradients = true }: { readonly gradients?: boolean } = {},
): Promise<void> {
  const compute = async (on: DeviceName) => {
    const moved = await Promise.all(inputs.map(x => toFloat32(x, device.get(on))))
    const results = device.with(on, () => valueAndGradients(f, moved, gradients))
    return Promise.all(results.map(async x => ({ x, data: await x.data() })))
  }
  const [actual, expected] = [await compute(name), await compute('reference')]
  actual.forEach(({ x, data }, n) => {
    const what = n === 0 ? 'value' : `gradient ${n - 1}`
    const { x: right, data: other } = expected[n]
    assert(
      x.dtype === right.dtype && show(x.shape) === show(right.shape),
      () => `on ${name} the ${what} is ${x.dtype} ${show(x.shape)}, on reference ${right.dtype} ${show(right.shape)}`,
    )
    const scale = largest([...other].filter(Number.isFinite))
    data.forEach((a, i) => {
      const agrees = Object.is(a, other[i]) || a === other[i] || Math.abs(a - other[i]) <= singlePrecision * scale
      assert(agrees, () => `on ${name} element ${i} of the ${what} is ${a}, on reference ${other[i]}`)
    })
  })
}

function valueAndGradients(f: TensorFunction, inputs: readonly Tensor[], gradients: boolean): Tensor[] {
  if (!gradients) return [f(...inputs)]
  const floats = inputs.filter(x => isFloating(x.dtype))
  const [y, pullback] = vjp((...changed) => f(...inputs.map(x => changed[floats.indexOf(x)] ?? x)), ...floats)
  return [y, ...pullback(y.mul(0.5).add(0.25))]
}

/** The same view of the same memory on another device, with floating numbers rounded to float32. */
async function toFloat32(x: Tensor, on: Device): Promise<Tensor> {
  const memory: TypedArray = await deviceOf(x).read(new Tensor(x.storage, [x.storage.length]))
  const rounded = isFloating(x.dtype) ? Float32Array.from(memory) : memory
  return new Tensor(fromData(rounded, [rounded.length], on).storage, x.shape, x.strides, x.offset)
}
