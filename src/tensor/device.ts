// What a device is, how one is opened, and the error of one that did not open. Apart from devices.ts, which opens them, so
// that the files of a device can import it.

import type { DType } from './dtype.ts'
import type { FusedKernels } from './fused-kernels.ts'
import type { Primitives } from './primitives.ts'
import type { DeviceName, Memory } from './storage.ts'
import type { Tensor } from './tensor.ts'

export type Kernels = Primitives & Partial<FusedKernels>

/** Bytes and buffers that are alive on a device. */
export interface MemoryUse {
  readonly bytes: number
  readonly buffers: number
}

/** Where tensors live and are computed. */
export interface Device extends Memory {
  /** What really runs, for people: backend, adapter, version. */
  readonly description: string
  readonly dtypes: readonly DType[]
  readonly kernels: Kernels
  memory(): MemoryUse
  /** bytes that it could have in use at most, where that is known */
  readonly memoryLimit?: number
}

/** The device of a tensor. Storage knows only its memory; every memory is part of a device. */
export const deviceOf = (x: Tensor): Device => x.storage.device as Device

/** Backends of the gpu device: GPU.js modes. The last two run the same kernels on a CPU, for tests. */
export type GpuBackend = 'webgpu' | 'webgl2' | 'webasm' | 'cpu'

/** How the cpu device is opened. */
export interface CpuOptions {
  /** threads to compute on; default: the environment's COCAGRAD_THREADS, or as many as the machine runs at once, up to 16 */
  readonly threads?: number
  /**
   * the BLAS for matrix products: a library's name or path, or `off` for the device's own products; default: the environment's
   * COCAGRAD_BLAS, or the first that is found of OpenBLAS, Accelerate, MKL and BLIS
   */
  readonly blas?: string
}

export interface OpenOptions extends CpuOptions {
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

/** A device that is unknown, did not open or stopped working; `reasons` says what was tried or what happened. */
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
