// What can be said about a device before it is open: the names of backends, a line of report, and the error of one
// that did not open. Apart from device.ts, so that a device's own room can throw it.

import type { DeviceName } from './scope.ts'

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
