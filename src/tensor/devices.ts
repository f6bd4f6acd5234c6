// Opens and lists devices, and keeps the current one, where new tensors are created (cpu by default). There is no silent
// fallback: the error of a device that cannot open lists what was tried.

import { checkArguments } from './arguments.ts'
import { type Binaries, type CpuDevice, openCpu, probeCpu, wideWanted } from './cpu/index.ts'
import {
  type CpuOptions,
  type Device,
  DeviceError,
  type DeviceReport,
  type OpenOptions,
  type Tiles,
  type Tuning,
} from './device.ts'
import { given } from './given.ts'
import type { GpuDevice } from './gpu/index.ts'
import * as is from './kinds.ts'
import { nearest } from './nearest.ts'
import { type Settings, settle } from './options.ts'
import { reference } from './reference/index.ts'
import { currentCount } from './stand-ins.ts'
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

/** The device that is opened checks the values. */
const openOptions = {
  threads: undefined,
  machineCode: undefined,
  blas: undefined,
  deterministic: undefined,
  memory64: undefined,
  backend: undefined,
  tiles: undefined,
  onCompile: undefined,
  activations: undefined,
} satisfies Settings<OpenOptions>

/** The device that each option is about. */
const owners: Readonly<Record<keyof OpenOptions, DeviceName>> = {
  threads: 'cpu',
  machineCode: 'cpu',
  blas: 'cpu',
  deterministic: 'cpu',
  memory64: 'cpu',
  backend: 'gpu',
  tiles: 'gpu',
  onCompile: 'gpu',
  activations: 'gpu',
}

const opened = new Map<DeviceName, Device>([['reference', reference]])
let current: DeviceName = 'cpu'

async function open(name: DeviceName, options: OpenOptions): Promise<void> {
  checkName(name)
  for (const option of Object.keys(options) as (keyof OpenOptions)[])
    if (options[option] !== undefined && owners[option] !== name)
      throw new DeviceError(`${option} is an option of ${owners[option]}; ${name} has nothing of the kind`, name)
  if (name === 'gpu') await openGpuOnce(options)
  if (name === 'cpu') await openCpuWith(options)
}

let cpu: CpuDevice | undefined
/** what was asked of the cpu device, since it was opened first */
let cpuOptions: CpuOptions = {}

/** The kernels for 64-bit addresses, a module that is loaded only where it is used. Throws DeviceError for an option that is wrong. */
const wideModule = async (memory64?: boolean): Promise<Binaries | undefined> =>
  wideWanted(memory64) ? import('./cpu/module64.ts') : undefined

/** Opens the cpu device, which takes the place of the one that is open. */
function openCpuNow(options: CpuOptions, wide?: Binaries): CpuDevice {
  const fresh = openCpu(options, wide)
  cpu?.close()
  cpu = fresh
  cpuOptions = options
  opened.set('cpu', fresh)
  return fresh
}

/**
 * Opens the cpu device, or changes the one that is open. The number of threads can change at any time. With other options it is opened
 * again with a memory of its own, so no tensor may be stored in the old one.
 * @throws DeviceError if tensors are stored, and leaves the device as it is
 */
async function openCpuWith(options: OpenOptions): Promise<void> {
  const { threads, machineCode, blas, deterministic, memory64 } = options
  const asked = Object.fromEntries(
    Object.entries({ threads, machineCode, blas, deterministic, memory64 } satisfies CpuOptions).filter(
      ([, value]) => value !== undefined,
    ),
  )
  const wide = await wideModule(memory64 ?? (cpu && cpu.addresses === 64))
  if (!cpu) return openCpuNow(asked, wide).ready
  const unmet = cpu.unmet(asked)
  const fixed = unmet.filter(name => name !== 'threads')
  if (fixed.length === 0) {
    cpuOptions = { ...cpuOptions, ...asked }
    return unmet.length === 0 ? cpu.ready : cpu.useThreads(Number(threads))
  }
  const { buffers } = cpu.memory()
  if (buffers > 0)
    throw new DeviceError(
      `cpu is open with another value of ${fixed.join(' and ')}, and stores ${buffers} tensor${buffers === 1 ? '' : 's'}; ` +
        'call device.use before the first tensor is created, or free all tensors first',
      'cpu',
      [`what is open: ${cpu.description}`],
    )
  await openCpuNow({ ...cpuOptions, ...asked }, wide).ready
}

let gpu: GpuDevice | undefined

function openedGpu(what: string): GpuDevice {
  if (gpu) return gpu
  throw new DeviceError(`${what} is about gpu, which is not open; call await device.use('gpu') first`, 'gpu')
}

/** Opens the gpu device, unless it is open with the requested backend and has not failed. A device open before is closed. */
async function openGpuOnce(options: OpenOptions): Promise<void> {
  if (gpu && !gpu.hasFailed && (options.backend === undefined || options.backend === gpu.backend)) {
    if (options.tiles !== undefined) gpu.tiles = options.tiles
    if (options.onCompile !== undefined) gpu.onCompile = options.onCompile
    if (options.activations !== undefined) gpu.activations = options.activations
    return
  }
  const { openGpu } = await import('./gpu/index.ts')
  const fresh = await openGpu(options)
  gpu?.close()
  gpu = fresh
  opened.set('gpu', fresh)
}

/** Whether a device stores what only a tape keeps in less memory. */
export const packsActivations = (): boolean => gpu?.activations === 'float16'

/** The devices that store tensors and compute with them: `reference` and `cpu` everywhere, `gpu` if available. */
export const device = {
  /** Name of the current device, where new tensors are created. */
  get current(): DeviceName {
    return current
  },

  /** Description of what runs the kernels of the current device: backend, adapter, version. */
  get description(): string {
    return device.get().description
  },

  /**
   * Opens a device and makes it the current device. What is asked of a device that is open takes effect: the number of threads of cpu
   * at any time, its other options while it stores no tensor.
   * @throws DeviceError if the device is not available, has no such option, or stores tensors that do not let an option change
   */
  async use(name: DeviceName, options?: OpenOptions): Promise<void> {
    await open(name, settle('device.use(name, options)', options, openOptions))
    current = name
  },

  /** Opens a device without making it the current one: for `with`, or to move values to it. Throws DeviceError. */
  async open(name: DeviceName, options?: OpenOptions): Promise<void> {
    await open(name, settle('device.open(name, options)', options, openOptions))
  },

  /** Runs `f` with an open device as the current one. Throws DeviceError if it is not open. */
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

  /** An open device, the current one by default; cpu opens automatically. Throws DeviceError. */
  get(name: DeviceName = current): Device {
    checkName(name)
    const counting = currentCount()?.device
    if (counting?.name === name) return counting as Device
    const found = opened.get(name) ?? (name === 'cpu' ? openCpuNow({}) : undefined)
    if (!found) throw new DeviceError(`device ${name} is not open; call await device.use('${name}') first`, name)
    return found
  },

  /**
   * Measures which tile computes the matrix products that ran on gpu so far the fastest, and uses it from then on: run a step, then
   * tune. Only webgpu has tiles. Classes of products that have a choice are not measured again.
   *
   * The order of sums depends on the tile, and so do the last digits of results: they are equal between two runs if both are given
   * the same `tiles`. Nothing else uses the device meanwhile, or the times are wrong.
   *
   * @param options.seconds after which no further class is measured; default 1
   * @returns the times in milliseconds
   * @throws DeviceError if gpu is not open, has no tiles, or computed no product yet
   * @example
   * const { measured } = await device.tune()
   * console.table(measured)
   * const tiles = JSON.stringify(device.tiles) // later: device.use('gpu', { tiles: JSON.parse(tiles) })
   */
  async tune(options?: { readonly seconds?: number }): Promise<Tuning> {
    const { seconds } = settle('device.tune(options)', options, { seconds: is.byDefault(1, is.positive) })
    return openedGpu('device.tune()').tune(seconds)
  },

  /** The tiles of matrix products on gpu that were measured or given, by class of products. Throws DeviceError if gpu is not open. */
  get tiles(): Tiles {
    return openedGpu('device.tiles').tiles
  },

  /** All devices and backends, with the reason for each that is not available. No device is open afterwards that was not before. */
  async list(): Promise<DeviceReport[]> {
    const { probeGpu } = await import('./gpu/index.ts')
    return [
      { name: 'reference', available: true, detail: reference.description },
      await probeCpu(() => wideModule()),
      ...(await probeGpu()),
    ]
  },
}
