// The device whose kernels are SIMD WebAssembly, written in AssemblyScript (assembly/) and compiled ahead of time
// (module.ts). Tensors live in one linear memory, where kernels work in place; reading a value is a copy out of it.

import { DeviceError, type DeviceReport } from '../backend.ts'
import type { TypedArray } from '../dtype.ts'
import type { Device, Kernels } from '../kernels.ts'
import type { View } from '../scope.ts'
import { isContiguous, sizeOf } from '../shape.ts'
import type { CpuModule } from './exports.ts'
import { type Block, Heap } from './heap.ts'
import { cpuKernels } from './kernels.ts'
import { relaxedModule, simdModule } from './module.ts'
import { noFloat64, Room } from './room.ts'

export { OutOfMemoryError } from './heap.ts'

/** (func (param v128 v128 v128) (result v128) ...) with f32x4.relaxed_madd: valid where relaxed SIMD is. */
// biome-ignore format: one section a line
const relaxedProbe = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0,
  1, 8, 1, 96, 3, 123, 123, 123, 1, 123,
  3, 2, 1, 0,
  10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 253, 133, 2, 11,
)

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), c => c.charCodeAt(0))

/** The module that this engine takes, or undefined. */
function choose(): { readonly bytes: Uint8Array<ArrayBuffer>; readonly instructions: string } | undefined {
  if (typeof WebAssembly === 'undefined') return undefined
  if (WebAssembly.validate(relaxedProbe)) return { bytes: bytesOf(relaxedModule), instructions: 'relaxed SIMD' }
  const bytes = bytesOf(simdModule)
  return WebAssembly.validate(bytes) ? { bytes, instructions: 'SIMD' } : undefined
}

const describe = (instructions: string): string =>
  `WebAssembly with ${instructions}, 1 thread, matrix products of its own`
const missing = 'this engine has no WebAssembly SIMD (Node has it since 16.4, browsers since 2021, Safari since 16.4)'

/** What the device would run on here, or why it would not. */
export function probeCpu(): DeviceReport {
  const chosen = choose()
  return { name: 'cpu', available: chosen !== undefined, detail: chosen ? describe(chosen.instructions) : missing }
}

/** Opens the device, with a memory of its own. Throws DeviceError where there is no WebAssembly SIMD. */
export async function openCpu(): Promise<Device> {
  const chosen = choose()
  if (!chosen) throw new DeviceError(`cpu: ${missing}`, 'cpu')
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 })
  const { instance } = await WebAssembly.instantiate(chosen.bytes, {
    env: { memory },
    math: Math as unknown as WebAssembly.ModuleImports,
  })
  const heap = new Heap(memory)

  const device: Device & { kernels: Kernels } = {
    name: 'cpu',
    description: describe(chosen.instructions),
    dtypes: ['float32', 'int32', 'bool'],
    kernels: undefined as never,

    upload(data) {
      if (data instanceof Float64Array) throw noFloat64()
      const block = heap.take(data.byteLength)
      heap.u8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), block.pointer)
      return block
    },

    read: async view => readSync(view),
    readSync: view => readSync(view),
    free: handle => heap.give(handle as Block),
    memory: () => ({ bytes: heap.bytes, buffers: heap.buffers }),
  }
  const room = new Room(device, heap, instance.exports as unknown as CpuModule)

  function readSync(x: View): TypedArray {
    const size = sizeOf(x.shape)
    const { dtype } = x.storage
    const pointer = size === 0 || isContiguous(x.shape, x.strides) ? room.address(x) : room.dense(x)
    const from = dtype === 'float32' ? heap.f32 : dtype === 'int32' ? heap.i32 : heap.u8
    const first = dtype === 'bool' ? pointer : pointer / 4
    const values = from.slice(first, first + size)
    room.done()
    return values
  }

  device.kernels = cpuKernels(room)
  return device
}
