// The device whose kernels run through GPU.js: on WebGPU, on WebGL 2 if there is no WebGPU, and, if requested by name,
// on a CPU, to test the same kernels on any machine. All elements are stored as float32; results stay on the device
// until they are read.

import type { Device, Kernels } from '../device.ts'
import {
  type ActivationDType,
  type CompileProgress,
  DeviceError,
  type DeviceReport,
  type GpuBackend,
  type OpenOptions,
  type Tiles,
  type Tuning,
} from '../device.ts'
import { allocate, missingDType } from '../dtype.ts'
import { given } from '../given.ts'
import { isContiguous, sizeOf } from '../shape.ts'
import { backendNames, openEngine, probeBackend } from './backends.ts'
import { gpuKernels } from './kernels.ts'
import { map } from './map.ts'
import { type Handle, Runtime, type Strided } from './runtime.ts'
import { checkTiles, withoutTiles } from './tile-choices.ts'
import { tune } from './tune.ts'

export interface GpuDevice extends Device {
  readonly backend: GpuBackend
  /** Whether there was an error after which no result can be trusted; reading a value reports it. */
  readonly hasFailed: boolean
  /** The tiles of products that were measured or given. Setting them throws DeviceError for an entry that is wrong. */
  tiles: Tiles
  /** How values are stored that only a tape keeps. Setting it throws DeviceError on another backend than webgpu. */
  activations: ActivationDType
  /** Called after each kernel that was compiled. */
  onCompile: ((progress: CompileProgress) => void) | undefined
  /** Measures the tiles of the products that ran, for about so many seconds. */
  tune(seconds: number): Promise<Tuning>
  /** Frees everything; tensors on this device can no longer be used. */
  close(): void
}

function checkListener(listener: unknown): void {
  if (listener !== undefined && typeof listener !== 'function')
    throw new DeviceError(`gpu: onCompile must be a function, not ${given(listener)}`, 'gpu')
}

const activationDTypes: readonly unknown[] = ['float32', 'float16'] satisfies ActivationDType[]

function checkActivations(asked: unknown): void {
  if (asked !== undefined && !activationDTypes.includes(asked))
    throw new DeviceError(`gpu: activations must be 'float32' or 'float16', not ${given(asked)}`, 'gpu')
}

/**
 * Opens webgpu, or webgl2 if there is no webgpu; or only the given backend.
 * Throws DeviceError that says what was tried and why it could not be opened.
 */
export async function openGpu(options: OpenOptions = {}): Promise<GpuDevice> {
  const { backend } = options
  if (backend !== undefined && !backendNames.includes(backend))
    throw new DeviceError(`gpu has no backend "${backend}"; the backends are ${backendNames.join(', ')}`, 'gpu')
  if (options.tiles !== undefined) checkTiles(options.tiles)
  checkListener(options.onCompile)
  checkActivations(options.activations)
  const engine = await openEngine(backend === undefined ? ['webgpu', 'webgl2'] : [backend])
  const runtime = new Runtime(engine)
  let activations: ActivationDType = 'float32'

  const device: GpuDevice & { kernels: Kernels } = {
    name: 'gpu',
    backend: engine.backend,
    description: engine.description,
    dtypes: ['float32', 'int32', 'bool'],
    kernels: undefined as never,

    upload(data) {
      if (data instanceof Float32Array) return runtime.upload(data)
      if (data instanceof Float64Array) throw missingDType('gpu', device.dtypes, 'float64')
      return runtime.upload(Float32Array.from(data), data instanceof Int32Array ? data.slice() : undefined)
    },

    async read({ storage, shape, strides, offset: first }) {
      const own = storage.handle as Handle
      const offset = first + (own.start ?? 0)
      const view: Strided = { handle: own, shape, strides, offset }
      const size = sizeOf(shape)
      const whole = size === 0 || isContiguous(shape, strides)
      const handle = whole ? view.handle : map(runtime, 'read', shape, [view], 'x0')
      try {
        const values = await runtime.read(handle, whole ? offset : 0, size)
        if (storage.dtype === 'float32') return values
        const converted = allocate(storage.dtype, shape, 'read')
        converted.set(values)
        return converted
      } finally {
        if (!whole) runtime.free(handle)
      }
    },

    free: handle => runtime.free(handle as Handle),
    pack(handle) {
      if (activations === 'float16') runtime.pack(handle as Handle)
    },
    get activations() {
      return activations
    },
    set activations(asked) {
      checkActivations(asked)
      if (asked === 'float16' && !engine.shaders)
        throw new DeviceError(
          `gpu: activations: 'float16' needs webgpu; ${engine.backend} keeps them in float32`,
          'gpu',
        )
      activations = asked
    },
    memory: runtime.memory,
    get tiles() {
      return runtime.tiles.all
    },
    set tiles(tiles) {
      const checked = checkTiles(tiles)
      if (!engine.shaders) throw withoutTiles(engine.backend)
      runtime.tiles.replace(checked)
    },
    get onCompile() {
      return engine.compilations.listener
    },
    set onCompile(listener) {
      checkListener(listener)
      engine.compilations.listener = listener
    },
    tune: seconds => tune(runtime, seconds),
    get hasFailed() {
      return engine.hasFailed()
    },
    close: () => runtime.close(),
  }
  device.kernels = gpuKernels(runtime, device)
  device.onCompile = options.onCompile
  try {
    if (options.tiles !== undefined) device.tiles = options.tiles
    if (options.activations !== undefined) device.activations = options.activations
  } catch (error) {
    device.close()
    throw error
  }
  return device
}

/** One line for every backend: what it runs on here, or why it is not available. */
export const probeGpu = (): Promise<DeviceReport[]> =>
  Promise.all(
    backendNames.map(
      async (backend): Promise<DeviceReport> => ({ name: 'gpu', backend, ...(await probeBackend(backend)) }),
    ),
  )
