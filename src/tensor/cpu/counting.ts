// A cpu device that computes nothing. Its kernels run as those of cpu do, with the same results, copies and temporary memory, except
// that no compiled code is called and an address means nothing: what they take and give back is counted.

import type { Device, Kernels } from '../device.ts'
import { bytesPerElement, type TypedArray, zeroed } from '../dtype.ts'
import { sizeOf } from '../shape.ts'
import type { View } from '../storage.ts'
import type { CpuModule } from './exports.ts'
import { type Block, Heap } from './heap.ts'
import { cpuKernels } from './kernels.ts'
import { KernelThreads, type Lane } from './threads.ts'
import { Workspace } from './workspace.ts'

/** A device that counts. */
export interface CountingDevice extends Device {
  /** bytes at the highest point, with all of those from before */
  readonly peak: number
  /** bytes of storages from before */
  readonly before: number
  /** Memory of a storage from before, which counts from the beginning. */
  adopt(bytes: number): unknown
  reserve(bytes: number): unknown
}

const PAGE = 65536

class CountingHeap extends Heap {
  before = 0
  /** the most bytes beyond those from before */
  override most = 0

  constructor() {
    // kernels write a few numbers into it: operands, and descriptions of their arguments
    super(new WebAssembly.Memory({ initial: 2, maximum: 2 }), 2)
  }

  override take(bytes: number): Block {
    this.bytes += bytes
    this.buffers += 1
    this.most = Math.max(this.most, this.bytes - this.before)
    return { pointer: PAGE, bytes }
  }

  override give({ bytes }: Block): void {
    this.bytes -= bytes
    this.buffers -= 1
  }
}

class IdleThreads extends KernelThreads {
  override share(): void {}
}

/** Compiled code that is not called, or does nothing. */
const nothing = new Proxy({}, { get: () => () => 0 }) as CpuModule

/**
 * The device that counts what another device would need, under its name. It has the kernels that the other device has; for a device other
 * than cpu, their temporary memory is that of cpu.
 */
export function countingDevice(of: Device): CountingDevice {
  const { threads: count = 1, isDeterministic = false } = of as { threads?: number; isDeterministic?: boolean }
  const heap = new CountingHeap()
  const lane: Lane = { index: 0, code: nothing, scratch: 0 }
  const threads = new IdleThreads(lane, isDeterministic)
  for (let index = 1; index < count; index++) threads.lanes.push({ ...lane, index })

  const readSync = ({ shape, storage: { dtype } }: View): TypedArray => zeroed(dtype, sizeOf(shape)).fill(1)
  const device: CountingDevice & { kernels: Kernels } = {
    name: of.name,
    isManaged: true,
    description: `a count of the memory that ${of.name} would need`,
    dtypes: of.dtypes,
    kernels: undefined as never,
    get peak() {
      return heap.before + heap.most
    },
    get before() {
      return heap.before
    },
    adopt(bytes) {
      heap.before += bytes
      return heap.take(bytes)
    },
    reserve: bytes => heap.take(bytes),
    upload: data => heap.take(data.byteLength),
    read: async view => readSync(view),
    ...(of.readSync && { readSync }),
    free: handle => heap.give(handle as Block),
    memory: () => ({ bytes: heap.bytes, buffers: heap.buffers }),
  }
  const workspace = new Workspace(device, heap, threads)
  heap.bytes = 0
  heap.buffers = 0
  heap.most = 0
  const kernels: Kernels = {
    ...cpuKernels(workspace),
    // float64 is computed in JavaScript there
    unary: (_, x) => workspace.tensor(x.dtype, x.shape, () => {}),
  }
  device.kernels = Object.fromEntries(
    Object.entries(kernels).filter(([name]) => name in of.kernels),
  ) as unknown as Kernels
  return device
}

/** Bytes of a storage. */
export const bytesOf = ({ dtype, length }: Pick<View['storage'], 'dtype' | 'length'>): number =>
  length * bytesPerElement(dtype)
