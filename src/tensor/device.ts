// Which devices there are, which one new tensors go to, and what really runs on it. Nothing falls back silently: a
// device that cannot open says what was tried.

import type { Device } from './kernels.ts'
import { reference } from './reference/index.ts'
import type { DeviceName } from './scope.ts'

/** A device that is unknown, or that did not open; `reasons` says what was tried. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError'
  readonly device: string
  readonly reasons: readonly string[]

  constructor(message: string, device: string, reasons: readonly string[] = []) {
    super([message, ...reasons].join('\n  '))
    this.device = device
    this.reasons = reasons
  }
}

/** Backends of the gpu device: GPU.js modes. The last two run the same kernels on a CPU, for tests. */
export type GpuBackend = 'webgpu' | 'webgl2' | 'webasm' | 'cpu'

export interface OpenOptions {
  /** gpu only: open this backend and no other (default: webgpu, then webgl2) */
  readonly backend?: GpuBackend
}

/** One line of `device.list()`. */
export interface DeviceReport {
  readonly name: DeviceName
  readonly backend?: GpuBackend
  readonly available: boolean
  /** what it is, or why it is not there */
  readonly detail: string
}

const names: readonly DeviceName[] = ['reference', 'gpu']

function checkName(name: string): asserts name is DeviceName {
  if (!(names as readonly string[]).includes(name))
    throw new DeviceError(`there is no device "${name}"; the devices are ${names.join(', ')}`, name)
}

const opened = new Map<DeviceName, Device>([['reference', reference]])
let current: Device = reference

async function open(name: DeviceName, options: OpenOptions): Promise<Device> {
  const already = opened.get(name)
  if (already && options.backend === undefined) return already
  const { openGpu } = await import('./gpu/index.ts')
  const device = await openGpu(options)
  opened.set(name, device)
  return device
}

export const device = {
  /** The device that new tensors go to. */
  get current(): DeviceName {
    return current.name
  },

  /** What really runs on a device: backend, adapter, version. */
  get description(): string {
    return current.description
  },

  /** Opens a device and makes it the one that new tensors go to. Throws DeviceError. */
  async use(name: DeviceName, options: OpenOptions = {}): Promise<void> {
    checkName(name)
    current = await open(name, options)
  },

  /** Runs `f` with new tensors going to a device that is open already. */
  with<T>(name: DeviceName, f: () => T): T {
    const outer = current
    current = device.get(name)
    try {
      return f()
    } finally {
      current = outer
    }
  },

  /** An open device, the current one by default. Throws DeviceError. */
  get(name: DeviceName = current.name): Device {
    checkName(name)
    const found = opened.get(name)
    if (!found) throw new DeviceError(`device ${name} is not open; call await device.use('${name}') first`, name)
    return found
  },

  /** Everything that could be used here, and why the rest cannot. Opens nothing for good. */
  async list(): Promise<DeviceReport[]> {
    const { probeGpu } = await import('./gpu/index.ts')
    return [{ name: 'reference', available: true, detail: reference.description }, ...(await probeGpu())]
  },
}
