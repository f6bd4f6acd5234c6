// Which devices there are, which one new tensors go to (cpu, until another is chosen), and what really runs on it. Nothing
// falls back silently: a device that cannot open says what was tried.

import { checkArguments } from './arguments.ts'
import { type CpuDevice, openCpu, probeCpu } from './cpu/index.ts'
import { type Device, DeviceError, type DeviceReport, type OpenOptions } from './device.ts'
import { given } from './given.ts'
import type { GpuDevice } from './gpu/index.ts'
import * as is from './kinds.ts'
import { nearest } from './nearest.ts'
import { type Settings, settle } from './options.ts'
import { reference } from './reference/index.ts'
import type { DeviceName } from './storage.ts'

const names: readonly DeviceName[] = ['reference', 'cpu', 'gpu']

function checkName(name: string): asserts name is DeviceName {
  if ((names as readonly string[]).includes(name)) return
  const near = nearest(String(name), names)
  throw new DeviceError(
    `there is no device ${given(name)}; the devices are ${names.join(', ')}${near ? `; write '${near}'` : ''}`,
    name,
  )
}

/** What is wrong with them is said by the device that is opened. */
const openOptions = { threads: undefined, blas: undefined, backend: undefined } satisfies Settings<OpenOptions>

const opened = new Map<DeviceName, Device>([['reference', reference]])
let current: DeviceName = 'cpu'

async function open(name: DeviceName, options: OpenOptions): Promise<void> {
  checkName(name)
  if (name === 'gpu') await openGpuOnce(options)
  if (name === 'cpu') await openCpuOnce(options).ready
}

let cpu: CpuDevice | undefined

/** The cpu device, whose memory all who ask for it share; options count for the one who is first. */
function openCpuOnce(options: OpenOptions = {}): CpuDevice {
  cpu ??= openCpu(options)
  opened.set('cpu', cpu)
  return cpu
}

let gpu: GpuDevice | undefined

/** The gpu device that is open, unless another backend is asked for or it has failed: then it is closed first. */
async function openGpuOnce(options: OpenOptions): Promise<void> {
  if (gpu && !gpu.hasFailed && (options.backend === undefined || options.backend === gpu.backend)) return
  const { openGpu } = await import('./gpu/index.ts')
  const fresh = await openGpu(options)
  gpu?.close()
  gpu = fresh
  opened.set('gpu', fresh)
}

/** Where tensors are held and computed: `reference` and `cpu` everywhere, `gpu` where there is one. */
export const device = {
  /** The device that new tensors go to. */
  get current(): DeviceName {
    return current
  },

  /** What really runs on a device: backend, adapter, version. */
  get description(): string {
    return device.get().description
  },

  /** Opens a device and makes it the one that new tensors go to. Throws DeviceError. */
  async use(name: DeviceName, options?: OpenOptions): Promise<void> {
    await open(name, settle('device.use(name, options)', options, openOptions))
    current = name
  },

  /** Opens a device beside the current one: for `with`, or to move values to. Throws DeviceError. */
  async open(name: DeviceName, options?: OpenOptions): Promise<void> {
    await open(name, settle('device.open(name, options)', options, openOptions))
  },

  /** Runs `f` with new tensors going to a device that is open already. */
  with<T>(name: DeviceName, f: () => T): T {
    checkArguments('device.with(name, f)', [is.text, is.callback], [name, f])
    const outer = current
    current = device.get(name).name
    try {
      return f()
    } finally {
      current = outer
    }
  },

  /** An open device, the current one by default; cpu opens by itself. Throws DeviceError. */
  get(name: DeviceName = current): Device {
    checkName(name)
    const found = opened.get(name) ?? (name === 'cpu' ? openCpuOnce() : undefined)
    if (!found) throw new DeviceError(`device ${name} is not open; call await device.use('${name}') first`, name)
    return found
  },

  /** Everything that could be used here, and why the rest cannot. Opens nothing for good. */
  async list(): Promise<DeviceReport[]> {
    const { probeGpu } = await import('./gpu/index.ts')
    return [{ name: 'reference', available: true, detail: reference.description }, probeCpu(), ...(await probeGpu())]
  },
}
