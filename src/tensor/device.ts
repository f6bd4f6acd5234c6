// The interface of a device, the options to open one, and its error. Separate from devices.ts, which opens devices, so that
// the files of a device can import it.

import type { DType } from './dtype.ts'
import type { FusedKernels } from './fused-kernels.ts'
import type { Primitives } from './primitives.ts'
import type { DeviceName, Memory } from './storage.ts'
import type { Tensor } from './tensor.ts'

/** The kernels of a device: every primitive, and the fused operations for which it has one. */
export type Kernels = Primitives & Partial<FusedKernels>

/** Bytes and buffers in use on a device. */
export interface MemoryUse {
  /** number of bytes */
  readonly bytes: number
  /** number of buffers */
  readonly buffers: number
}

/** A device, which stores tensors and computes with them. */
export interface Device extends Memory {
  /** description of what runs the kernels: backend, adapter, version */
  readonly description: string
  /** the dtypes of tensors on it */
  readonly dtypes: readonly DType[]
  /** the operations that it computes */
  readonly kernels: Kernels
  /** Bytes and buffers in use. */
  memory(): MemoryUse
  /** A function that runs the kernels of another one again, if the device can; see `capture`. */
  capture?(f: (...inputs: readonly Tensor[]) => unknown): Replayable
  /** maximum number of bytes in use, if known */
  readonly memoryLimit?: number
  /** maximum number of bytes of one tensor, if less than that */
  readonly tensorLimit?: number
}

/** A function whose kernels a device can run again. */
export interface Replayable {
  /** The result of the function. */
  call(inputs: readonly Tensor[]): unknown
  /** whether the last call ran the kernels without the function */
  readonly isReplay: boolean
  /** why the kernels are not run without the function, if it cannot be done */
  readonly reason: string | undefined
  /** Frees its memory. */
  release(): void
}

/** The device of a tensor. A storage has the type of its memory only; every memory is a device. */
export const deviceOf = (x: Tensor): Device => x.storage.device as Device

/** Backends of the gpu device: GPU.js modes. The last two run the same kernels on a CPU, for tests. */
export type GpuBackend = 'webgpu' | 'webgl2' | 'webasm' | 'cpu'

/** Options of the cpu device. */
export interface CpuOptions {
  /** number of threads; default: the environment variable COCAGRAD_THREADS, or the processors of this process, up to 16: those of the machine or, under mpirun, its share of them */
  readonly threads?: number
  /**
   * instructions of the machine code that the device makes for its most frequent kernels, `AVX-512` or `AVX2`, or `off` for WebAssembly
   * alone; default: the environment variable COCAGRAD_MACHINE_CODE, or the best that the processor has, in Node on Linux and
   * x86-64 with the optional package koffi
   */
  readonly machineCode?: 'AVX-512' | 'AVX2' | 'off'
  /**
   * BLAS library for matrix products: its name or path, or `off` for the device's own products; default: the environment
   * variable COCAGRAD_BLAS, or the first library found among OpenBLAS, Accelerate, MKL and BLIS, which then computes only those
   * products that machine code does not
   */
  readonly blas?: string
  /**
   * whether results are bitwise equal for any number of threads and on every processor, without BLAS and more slowly; default:
   * whether the environment variable COCAGRAD_DETERMINISTIC is 1
   */
  readonly deterministic?: boolean
  /**
   * whether the memory has 64-bit addresses, and up to 16 GiB instead of 4; default: the environment variable COCAGRAD_MEMORY64 (1
   * or 0), or whether the engine has such memory: Node 24, Chromium 133, Firefox 134. A device that opens without `device.use` or
   * `device.open`, with the first tensor, has 32-bit addresses
   */
  readonly memory64?: boolean
}

/** Options of `device.use` and `device.open`. */
export interface OpenOptions extends CpuOptions {
  /** gpu only: the backend to open; default webgpu, or webgl2 if webgpu is not available */
  readonly backend?: GpuBackend
  /**
   * gpu on webgpu only: the tiles that compute matrix products, as `device.tiles` had them after `device.tune()`; all others are
   * chosen by the sizes alone. On a device that is open they replace those that it has; default: as they are
   */
  readonly tiles?: Tiles
  /**
   * gpu only: called after each kernel that was compiled. On webgpu kernels are compiled while the program goes on, and what is read
   * waits for them: a page can show `compiled` of `asked`. Elsewhere an operation compiles its kernel itself. Given for a device that
   * is open, it takes the place of the one before
   */
  readonly onCompile?: (progress: CompileProgress) => void
  /**
   * gpu on webgpu only: how values are stored that only a tape keeps, from the end of the `forward` that made them until the backward pass
   * needs them: in half of the memory with float16. Losses stay the same, bit for bit; gradients have relative errors of about 2^-11. On
   * a device that is open it holds from now on; default float32, or as it is
   */
  readonly activations?: ActivationDType
}

/**
 * How the gpu device stores activations, the values that only a tape keeps for its backward pass: `float32`, or `float16`, 16 bits each and
 * an exponent for every 512.
 */
export type ActivationDType = 'float32' | 'float16'

/** The kernels that were compiled since the gpu device was opened. */
export interface CompileProgress {
  /** the operation and the shapes for which this one was asked first, such as `matmul of [8, 16] and [16, 4]` */
  readonly kernel: string
  /** how many are compiled */
  readonly compiled: number
  /** how many are compiled or wait for it */
  readonly asked: number
}

/**
 * Which tile of the result a workgroup computes, by class of matrix products: `{ '256x64x512': '64x64' }` for [m, k] times [k, n],
 * where m, n and k have these next powers of two, and `'8*64x64x32'` for stacks of products. The order of sums depends on it, and so
 * do the last digits of results.
 */
export type Tiles = Readonly<Record<string, string>>

/** How fast the tiles were for one class of products, see `device.tune`. */
export interface ProductTiming {
  /** the class, as in `Tiles` */
  readonly products: string
  /** the tile that computes them from now on */
  readonly tile: string
  /** the tile that would without a measurement */
  readonly rule: string
  /** of the first product of the class that ran, by tile */
  readonly milliseconds: Readonly<Record<string, number>>
}

/** What `device.tune` measured, the largest products first. */
export interface Tuning {
  /** the classes of products that were measured */
  readonly measured: readonly ProductTiming[]
  /** the number of classes for which there was no time; the next call measures them */
  readonly left: number
}

/** One entry of `device.list()`. */
export interface DeviceReport {
  /** name of the device */
  readonly name: DeviceName
  /** backend of the gpu device */
  readonly backend?: GpuBackend
  /** whether it can be used here */
  readonly available: boolean
  /** description of the device, or the reason why it is not available */
  readonly detail: string
}

/** A device that is unknown, did not open or stopped working; `reasons` lists what was tried or what happened. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError'
  /** name of the device */
  readonly device: string
  /** what was tried, or what happened */
  readonly reasons: readonly string[]

  constructor(message: string, device: string, reasons: readonly string[] = []) {
    super([message, ...reasons].join('\n  '))
    this.device = device
    this.reasons = reasons
  }
}
