// How long a call takes on a device.

import { type CpuDevice, device, scope, type Tensor } from 'cocagrad'
import { callOf, operandsOf } from './call.ts'
import type { Call, Place, Timing } from './protocol.ts'

/** Milliseconds in which a call is repeated before its result is waited for. */
const ROUND = 60
const ROUNDS = 5
const SAMPLE = 512

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]

/** Waits until a tensor is computed. */
const wait = async (x: Tensor): Promise<void> => {
  await x
    .reshape([-1])
    .slice([{ stop: 1 }])
    .data()
}

export async function timeOn(place: Place, { operation, shapes, withGradient }: Call): Promise<Timing> {
  if (place === 'reference') await device.use('reference')
  else if (place === 'cpu') {
    await device.use('cpu')
    await (device.get() as CpuDevice).ready
  } else await device.use('gpu', { backend: place })
  const xs = operandsOf(operation, shapes)
  const call = callOf(operation, xs, withGradient)

  /** Milliseconds of several calls, with one wait at their end. */
  const measure = async (times: number): Promise<number> => {
    const began = performance.now()
    for (let i = 1; i < times; i++) scope(() => void call())
    const last = scope(call)
    await wait(last)
    const took = performance.now() - began
    return took
  }
  // kernels are compiled in the first calls
  await measure(2)
  const one = await measure(1)
  const times = Math.max(2, Math.min(500, Math.round(ROUND / Math.max(one, 0.02))))
  const rounds: number[] = []
  // a wait costs a GPU more than a small kernel: it is taken off
  for (let i = 0; i < ROUNDS; i++) {
    const alone = await measure(1)
    rounds.push(Math.max(0, (await measure(times)) - alone) / (times - 1))
  }
  const y = scope(call)
  const values = await y.data()
  const stride = Math.max(1, Math.floor(values.length / SAMPLE))
  const sample = Float64Array.from({ length: Math.ceil(values.length / stride) }, (_, i) => values[i * stride])
  return { milliseconds: median(rounds), description: device.description, sample, shape: y.shape }
}
