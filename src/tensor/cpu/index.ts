// The device whose kernels are SIMD WebAssembly, written in AssemblyScript (assembly/) and compiled ahead of time
// (module.ts). Tensors are stored in one linear memory, where kernels and the system's BLAS work in place, on several
// threads. Reading a value copies it out of this memory.

import { compileModule } from '../compile.ts'
import type { Device, Kernels } from '../device.ts'
import { type CpuOptions, DeviceError, type DeviceReport } from '../device.ts'
import { bytesPerElement, dtypes, type TypedArray } from '../dtype.ts'
import { checkFilled } from '../fill.ts'
import { given } from '../given.ts'
import { askNode, environment } from '../host.ts'
import { processorsHere } from '../processors.ts'
import { isContiguous, sizeOf } from '../shape.ts'
import type { View } from '../storage.ts'
import { openBlas } from './blas.ts'
import { CapturedFunction } from './captured.ts'
import { patched } from './difference.ts'
import type { CpuModule } from './exports.ts'
import { type Block, Heap } from './heap.ts'
import { cpuKernels } from './kernels.ts'
import { machineCalls, withoutMachineCode } from './machine/call.ts'
import { openMachineCode } from './machine/memory.ts'
import { hasWideMemory, openMemory } from './memory.ts'
import * as module32 from './module.ts'
import { KernelThreads, withoutThreads } from './threads.ts'
import { Workspace } from './workspace.ts'

/** The cpu device, with a description of what it runs on. */
export interface CpuDevice extends Device {
  /** the instructions that its kernels use */
  readonly instructions: 'SIMD' | 'relaxed SIMD'
  /** number of threads, this one included */
  readonly threads: number
  /** whether results do not depend on the number of threads and on the processor */
  readonly isDeterministic: boolean
  /** the number of bits of an address in its memory */
  readonly addresses: 32 | 64
  /** the instructions of its machine code, or null if it has none */
  readonly machineCode: 'AVX-512' | 'AVX2' | null
  /** the BLAS that computes matrix products, those of float64 only where machine code computes the others; null if there is none */
  readonly blas: string | null
  /** resolves when all threads have started, or cannot start; in Node they start at once */
  readonly ready: Promise<void>
  /**
   * The options that this device does not meet, of those that are asked for; `threads` is met by `useThreads`, the others by another
   * device only. Throws DeviceError for an option that is wrong.
   */
  unmet(options: CpuOptions): (keyof CpuOptions)[]
  /** Computes with this number of threads from now on. */
  useThreads(count: number): Promise<void>
  /** Ends its threads. */
  close(): void
}

/** (func (param v128 v128 v128) (result v128) ...) with f32x4.relaxed_madd: valid where relaxed SIMD is. */
// biome-ignore format: one section a line
const relaxedProbe = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0,
  1, 8, 1, 96, 3, 123, 123, 123, 1, 123,
  3, 2, 1, 0,
  10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 253, 133, 2, 11,
)

/** The compiled kernels for one width of addresses: module.ts or module64.ts. */
export interface Binaries {
  readonly simdModule: string
  readonly relaxedDifference: string
}

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), c => c.charCodeAt(0))

/** Whether a product plus a sum can be one instruction. Node 20 has it behind a flag, which can be set at run time. */
function hasRelaxedSimd(): boolean {
  if (WebAssembly.validate(relaxedProbe)) return true
  askNode(node => node.getBuiltinModule('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd'))
  return WebAssembly.validate(relaxedProbe)
}

/**
 * The module that this engine supports, or undefined.
 * @param isDeterministic whether relaxed SIMD must not be used: it rounds a product before the sum on some processors only
 */
function choose(
  { simdModule, relaxedDifference }: Binaries,
  isDeterministic: boolean,
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly instructions: CpuDevice['instructions'] } | undefined {
  if (typeof WebAssembly === 'undefined') return undefined
  const bytes = bytesOf(simdModule)
  if (!isDeterministic && hasRelaxedSimd())
    return { bytes: patched(bytes, bytesOf(relaxedDifference)), instructions: 'relaxed SIMD' }
  return WebAssembly.validate(bytes) ? { bytes, instructions: 'SIMD' } : undefined
}

/** why a function that does it is not captured */
const READS = 'it reads values of tensors (item, data)'

const missing = 'this engine has no WebAssembly SIMD (Node has it since 16.4, browsers since 2021, Safari since 16.4)'

/** The number of threads that was requested, or the best one. Throws DeviceError for an invalid number. */
function threadsWanted(asked: number | undefined): number {
  const value = asked ?? environment('COCAGRAD_THREADS')
  if (value === undefined) return Math.min(16, processorsHere())
  const count = Number(value)
  if (!Number.isInteger(count) || count < 1 || count > 256)
    throw new DeviceError(
      `cpu: the number of threads (threads, or COCAGRAD_THREADS) must be an integer from 1 to 256, not ${value}`,
      'cpu',
    )
  return count
}

/** A setting that is yes or no, or undefined. Throws DeviceError for another value. */
function yesOrNo(name: string, variable: string, asked: boolean | undefined): boolean | undefined {
  const value = asked ?? environment(variable)
  if (value === undefined || typeof value === 'boolean') return value
  if (!['0', '1', 'false', 'true'].includes(value))
    throw new DeviceError(`cpu: ${name} must be true or false (${variable}: 1 or 0), not ${given(value)}`, 'cpu')
  return value === '1' || value === 'true'
}

/** Whether results must be deterministic. Throws DeviceError for another value than yes or no. */
const deterministicWanted = (asked: boolean | undefined): boolean =>
  yesOrNo('deterministic', 'COCAGRAD_DETERMINISTIC', asked) ?? false

/**
 * Whether the memory is to have 64-bit addresses. Throws DeviceError for another value than yes or no, and if they are asked for
 * where the engine does not have them.
 */
export function wideWanted(asked: boolean | undefined): boolean {
  const wanted = yesOrNo('memory64', 'COCAGRAD_MEMORY64', asked)
  if (wanted === false) return false
  const has = hasWideMemory()
  if (wanted && !has)
    throw new DeviceError(
      'cpu: this engine has no memory with 64-bit addresses (Node has it since 24, Chromium since 133, Firefox since 134), or the system cannot reserve more than 4 GiB; leave memory64 (COCAGRAD_MEMORY64) out',
      'cpu',
    )
  return has
}

/** The BLAS to look for. Throws DeviceError if results must be deterministic and one is named. */
function blasWanted(asked: string | undefined, isDeterministic: boolean): string | undefined {
  const name = asked ?? environment('COCAGRAD_BLAS')
  if (!isDeterministic) return name
  if (name !== undefined && name !== 'off')
    throw new DeviceError(
      `cpu: deterministic results are not possible with a BLAS, but ${given(name)} is named (blas, or COCAGRAD_BLAS); leave it out, or write 'off'`,
      'cpu',
    )
  return 'off'
}

/** The machine code to use: none if results must be deterministic. Throws DeviceError if they must, and some is named. */
function machineCodeWanted(asked: string | undefined, isDeterministic: boolean): string | undefined {
  const name = asked ?? environment('COCAGRAD_MACHINE_CODE')
  if (!isDeterministic) return name
  if (name !== undefined && name !== 'off')
    throw new DeviceError(
      `cpu: deterministic results are not possible with machine code, but ${given(name)} is named (machineCode, or COCAGRAD_MACHINE_CODE); leave it out, or write 'off'`,
      'cpu',
    )
  return 'off'
}

/**
 * What the device runs on here, or why it is not available.
 * @param wide loads module64.ts, if it is to be used
 */
export async function probeCpu(wide: () => Promise<Binaries | undefined>): Promise<DeviceReport> {
  try {
    const device = openCpu({}, await wide())
    const { description } = device
    device.close()
    return { name: 'cpu', available: true, detail: description }
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error
    return { name: 'cpu', available: false, detail: error.message }
  }
}

/**
 * Opens the device, with its own memory.
 * @param wide module64.ts, for a memory with 64-bit addresses
 * @throws DeviceError if there is no WebAssembly SIMD
 */
export function openCpu(options: CpuOptions = {}, wide?: Binaries): CpuDevice {
  const isDeterministic = deterministicWanted(options.deterministic)
  const chosen = choose(wide ?? module32, isDeterministic)
  if (!chosen) throw new DeviceError(`cpu: ${missing}`, 'cpu')
  const count = threadsWanted(options.threads)
  const addresses = wide ? 64 : 32
  const { memory, pages } = openMemory(addresses)
  const machine = openMachineCode(machineCodeWanted(options.machineCode, isDeterministic))
  const machineCode = typeof machine === 'string' ? undefined : machine
  const library = blasWanted(options.blas, isDeterministic)
  /** a BLAS that is named is used for all products */
  const multiplies = machineCode !== undefined && (library === undefined || library === 'off')
  const blas = openBlas(library, memory)
  const found = typeof blas === 'string' ? undefined : blas
  const module = compileModule(chosen.bytes, 'cpu', "compute on gpu or reference: await device.use('gpu')")
  const calls = machineCode && machineCalls(machineCode, memory)
  const instance = new WebAssembly.Instance(module, {
    env: { memory },
    math: Math as unknown as WebAssembly.ModuleImports,
    blas: found ? { ...found.products } : { sgemm() {}, dgemm() {} },
    machine: calls?.imports ?? withoutMachineCode,
  })
  const own = instance.exports as unknown as CpuModule
  const code = calls?.kernels(own) ?? own
  code.useBlas(found !== undefined)
  code.useMachineCode(multiplies)
  const heap = new Heap(memory, pages, addresses)
  const threads = new KernelThreads(
    { index: 0, code, scratch: heap.take(code.scratchBytes()).pointer },
    isDeterministic,
  )
  /** the reason for fewer threads than are wanted */
  let alone = withoutThreads()
  let wanted = 1
  const useThreads = async (count: number): Promise<void> => {
    wanted = count
    if (!alone) alone = await threads.use(count, { heap, module, code, blas: found?.found, machineCode, multiplies })
  }
  const ready = useThreads(count)

  const device: CpuDevice & { kernels: Kernels } = {
    name: 'cpu',
    dtypes,
    kernels: undefined as never,
    instructions: chosen.instructions,
    isDeterministic,
    addresses,
    machineCode: machineCode?.instructions ?? null,
    blas: found ? found.name : null,
    ready,
    useThreads,

    unmet(asked) {
      const isMet: Record<keyof CpuOptions, boolean> = {
        threads: asked.threads === undefined || threadsWanted(asked.threads) === wanted,
        blas: asked.blas === undefined || asked.blas === (found?.found.library ?? 'off'),
        machineCode: asked.machineCode === undefined || asked.machineCode === (machineCode?.instructions ?? 'off'),
        deterministic:
          asked.deterministic === undefined || deterministicWanted(asked.deterministic) === isDeterministic,
        memory64: asked.memory64 === undefined || wideWanted(asked.memory64) === (addresses === 64),
      }
      return (Object.keys(isMet) as (keyof CpuOptions)[]).filter(name => !isMet[name])
    },

    get threads() {
      return threads.count
    },

    get description() {
      const lanes = `${threads.count} thread${threads.count === 1 ? '' : 's'}${alone && wanted > threads.count ? ` (${alone})` : ''}`
      const own = typeof machine === 'string' ? ` (${machine})` : `, machine code with ${machine.instructions}`
      const products = multiplies ? 'matrix products of float64' : 'matrix products'
      const by = typeof blas === 'string' ? `of its own (${blas})` : `by ${blas.name}`
      return `WebAssembly with ${chosen.instructions}${own}, ${lanes}${isDeterministic ? ', deterministic' : ''}, up to ${heap.limit / 2 ** 30} GiB, ${products} ${by}`
    },

    upload(data) {
      const block = heap.take(data.byteLength)
      workspace.put(block.pointer, data)
      return block
    },

    uploadPieces(dtype, length, pieces) {
      const block = heap.take(length * bytesPerElement(dtype))
      try {
        let at = block.pointer
        let filled = 0
        for (const piece of pieces) {
          filled += piece.length
          if (filled > length) continue
          workspace.put(at, piece)
          at += piece.byteLength
        }
        checkFilled(length, filled)
        return block
      } catch (error) {
        heap.give(block)
        throw error
      }
    },

    read: async view => readSync(view),
    readSync: view => readSync(view),
    capture: f => new CapturedFunction(f, workspace),
    elements(view) {
      threads.log?.refuse(READS)
      return elementsAt(workspace.address(view), view)
    },
    free: handle => heap.give(handle as Block),
    memory: () => ({ bytes: heap.bytes, buffers: heap.buffers }),
    memoryLimit: heap.limit,
    tensorLimit: heap.largest,
    close: () => threads.close(),
  }
  const workspace = new Workspace(device, heap, threads)
  // memory of the device itself does not count as tensors
  heap.bytes = 0
  heap.buffers = 0

  function readSync(x: View): TypedArray {
    threads.log?.refuse(READS)
    const isDense = sizeOf(x.shape) === 0 || isContiguous(x.shape, x.strides)
    const values = elementsAt(isDense ? workspace.address(x) : workspace.dense(x), x).slice()
    workspace.done()
    return values
  }

  function elementsAt(pointer: number, { shape, storage: { dtype } }: View): TypedArray {
    const memory = { float32: heap.f32, float64: heap.f64, int32: heap.i32, bool: heap.u8 }[dtype]
    const first = pointer / bytesPerElement(dtype)
    return memory.subarray(first, first + sizeOf(shape))
  }

  device.kernels = cpuKernels(workspace)
  return device
}
