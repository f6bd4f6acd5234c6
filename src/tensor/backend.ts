// What can be said about a device before it is open: the names of backends, a line of report, and the errors of devices.
// Apart from device.ts, so that a device's own room can throw them; and they need no types of a page or of Node.

import type { DeviceName } from './scope.ts'

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

/** More memory than one WebAssembly memory can have, or than the machine gives. Sizes are in bytes. */
export class OutOfMemoryError extends Error {
  override readonly name = 'OutOfMemoryError'
  /** bytes that were asked for */
  readonly bytes: number
  /** bytes that live tensors hold */
  readonly used: number
  readonly limit: number

  constructor(bytes: number, used: number, limit: number) {
    const mebibytes = (n: number) => `${(n / 2 ** 20).toFixed(1)} MiB`
    super(
      `cpu: no room for ${mebibytes(bytes)}: ${mebibytes(used)} are in use, and one WebAssembly memory holds ${mebibytes(limit)} ` +
        'at most. Inside scope() or a tape, memory is given back as soon as it is not needed',
    )
    this.bytes = bytes
    this.used = used
    this.limit = limit
  }
}
