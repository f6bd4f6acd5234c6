// Observers of a device's kernels. While there are observers, the kernels of the device are replaced by wrappers that notify
// them; without observers there is no overhead.

import type { Device, Kernels } from './device.ts'

/** One run of a kernel. */
export interface KernelCall {
  /** name of the kernel, with its function if it has several: `matmul`, `unary exp` */
  readonly kernel: string
  readonly result: unknown
  /** time until it returned; on gpu it may continue to compute */
  readonly milliseconds: number
}

export type KernelObserver = (call: KernelCall) => void

interface Observed {
  readonly own: Kernels
  readonly observers: Set<KernelObserver>
}

const observed = new Map<Device, Observed>()

/** Kernels whose first argument is the name of their function. */
const severalFunctions = new Set(['unary', 'binary', 'compare', 'reduce'])

type AnyKernel = (...args: unknown[]) => unknown

/** The same kernels, which notify observers of each call. A kernel that returns undefined did not run. */
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

/** Whether something observes the kernels of a device. */
export const isObserved = (device: Device): boolean => observed.has(device)

/** Calls an observer after every kernel that a device runs from now on. Returns a function that ends this. */
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
