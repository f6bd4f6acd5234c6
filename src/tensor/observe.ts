// Observers of a device's kernels. While there are any, the device has other kernels, which run its own and tell of them; without
// an observer nothing of this is in the way.

import type { Device, Kernels } from './device.ts'

/** One run of a kernel. */
export interface KernelCall {
  /** of the kernel, with the function that it computes where it has several: `matmul`, `unary exp` */
  readonly kernel: string
  readonly result: unknown
  /** until it returned; on gpu it may go on computing */
  readonly milliseconds: number
}

export type KernelObserver = (call: KernelCall) => void

interface Observed {
  readonly own: Kernels
  readonly observers: Set<KernelObserver>
}

const observed = new Map<Device, Observed>()

/** Kernels whose first argument names what they compute. */
const severalFunctions = new Set(['unary', 'binary', 'compare', 'reduce'])

type AnyKernel = (...args: unknown[]) => unknown

/** The same kernels, which tell observers of each call. One that leaves the work to another, by returning undefined, did not run. */
function telling(own: Kernels, observers: ReadonlySet<KernelObserver>): Kernels {
  const kernels = Object.entries(own as unknown as Record<string, AnyKernel>).map(([name, kernel]) => {
    const told: AnyKernel = (...args) => {
      const began = performance.now()
      const result = kernel(...args)
      const milliseconds = performance.now() - began
      if (result === undefined) return undefined
      const call = { kernel: severalFunctions.has(name) ? `${name} ${args[0]}` : name, result, milliseconds }
      for (const observer of observers) observer(call)
      return result
    }
    return [name, told] as const
  })
  return Object.fromEntries(kernels) as unknown as Kernels
}

/** Tells an observer of every kernel that a device runs from now on. The function that is returned ends this. */
export function observeKernels(device: Device, observer: KernelObserver): () => void {
  const target: { kernels: Kernels } = device
  let found = observed.get(device)
  if (!found) {
    found = { own: device.kernels, observers: new Set() }
    observed.set(device, found)
    target.kernels = telling(found.own, found.observers)
  }
  const { own, observers } = found
  observers.add(observer)
  return () => {
    observers.delete(observer)
    if (observers.size > 0 || observed.get(device)?.observers !== observers) return
    observed.delete(device)
    target.kernels = own
  }
}
