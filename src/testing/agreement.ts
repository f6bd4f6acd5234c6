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
  scope,
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
 * @param name of a device, which is opened if it is not
 * @throws GradientAssertionError where they differ, DeviceError where the device cannot be opened
 * @param options.gradients whether there are gradients to compare; default true
 */
export async function checkDevice(
  f: TensorFunction,
  inputs: readonly Tensor[],
  name: DeviceName,
  { gradients = true }: { readonly gradients?: boolean } = {},
): Promise<void> {
  await device.open(name)
  const memories = await Promise.all(inputs.map(inFloat32))
  // what is read is settled when reading begins: then all of it can be given back
  const compute = (on: DeviceName) =>
    scope(() =>
      device.with(on, () => {
        const moved = inputs.map((x, i) => sameView(x, memories[i], device.get(on)))
        const results = valueAndGradients(f, moved, gradients)
        return results.map(x => ({ kind: `${x.dtype} ${show(x.shape)}`, reading: x.data() }))
      }),
    )
  const [actual, expected] = [compute(name), compute('reference')]
  for (const [n, { kind, reading }] of actual.entries()) {
    const what = n === 0 ? 'value' : `gradient ${n - 1}`
    const { kind: right, reading: other } = expected[n]
    assert(kind === right, () => `on ${name} the ${what} is ${kind}, on reference ${right}`)
    const [data, exactly] = [await reading, await other]
    const scale = largest([...exactly].filter(Number.isFinite))
    data.forEach((a, i) => {
      const b = exactly[i]
      const agrees = Object.is(a, b) || a === b || Math.abs(a - b) <= singlePrecision * scale
      assert(agrees, () => `on ${name} element ${i} of the ${what} is ${a}, on reference ${b}`)
    })
  }
}

function valueAndGradients(f: TensorFunction, inputs: readonly Tensor[], gradients: boolean): Tensor[] {
  if (!gradients) return [f(...inputs)]
  const floats = inputs.filter(x => isFloating(x.dtype))
  const [y, pullback] = vjp((...changed) => f(...inputs.map(x => changed[floats.indexOf(x)] ?? x)), ...floats)
  return [y, ...pullback(y.mul(0.5).add(0.25))]
}

/** The whole memory of a tensor, with floating numbers rounded to float32. */
async function inFloat32(x: Tensor): Promise<TypedArray> {
  const memory = await deviceOf(x).read(new Tensor(x.storage, [x.storage.length]))
  return isFloating(x.dtype) ? Float32Array.from(memory) : memory
}

/** A tensor with other memory, on another device. */
const sameView = ({ shape, strides, offset }: Tensor, memory: TypedArray, on: Device): Tensor =>
  new Tensor(fromData(memory, [memory.length], on).storage, shape, strides, offset)
