// The layer between the kernel builders and a backend: each kernel is written once for its signature, compiled once for its
// text and kept while it is used, memory is counted, empty tensors are never passed to the backend, and errors name the operation and shapes
// they come from.

import type { MemoryUse } from '../device.ts'
import { DeviceError } from '../device.ts'
import { OutOfMemoryError } from '../out-of-memory.ts'
import { uncollectedBytes } from '../pressure.ts'
import { MOST_ELEMENTS, show, tooManyElements } from '../shape.ts'
import { Code } from './code.ts'
import type { BackendMemory, Compiled, CompiledShader, Engine, Launch } from './engine.ts'
import { canPack, pack, unpack } from './halves.ts'
import type { Handle, Strided } from './handle.ts'
import type { Shader } from './shader.ts'
import { TileChoices } from './tile-choices.ts'

export type { Handle, Strided } from './handle.ts'

/** All elements of a memory of its own. */
export const wholeOf = (handle: Handle): Strided => ({ handle, shape: [handle.length], strides: [1], offset: 0 })

/** One kernel call: the computation and its inputs. */
export interface Call {
  /** the operation, for errors */
  readonly name: string
  /** everything that the source depends on; the layouts of the inputs are added */
  readonly signature: string
  /** elements of the result, at least one */
  readonly length: number
  readonly inputs: readonly Strided[]
  /** numbers, which are rounded to float32; default none */
  readonly scalars?: readonly number[]
  /** default 1 */
  readonly width?: 1 | 4
  /** Writes the body, with a0, a1, … as the inputs' arrays and s0, s1, … as the scalars. */
  readonly body: (code: Code, starts: readonly (string | undefined)[]) => void
}

/** One call of a shader: its arrays and numbers, and what is computed. */
export interface ShaderCall {
  /** the operation, for errors */
  readonly name: string
  readonly shader: Shader
  readonly inputs: readonly Strided[]
  readonly floats?: readonly number[]
  readonly integers?: readonly number[]
  /** elements of the result, at least one */
  readonly length: number
  /** number of workgroups along three axes */
  readonly groups: readonly [number, number, number]
  /** memory to write into; default: new memory */
  readonly into?: Handle
}

/** Bytes that a loop may leave to the garbage collector without letting it run. */
const UNCOLLECTED = 2 ** 30

/** A kernel with the sizes of one signature. */
interface Plan extends Launch {
  readonly kernel: Kernel
  /** its Integer arguments that are sizes */
  readonly sizes: readonly number[]
}

interface Kernel {
  readonly text: string
  readonly compiled: Compiled
  /** the number of plans that use it */
  plans: number
}

export class Runtime {
  readonly engine: Engine
  /** of matrix products */
  readonly tiles = new TileChoices()
  readonly #cacheSize: number
  /** by signature and length, the least recently used first */
  #plans = new Map<string, Plan>()
  /** by source and whatever else is constant in it */
  #kernels = new Map<string, Kernel>()
  /** the texts are few: none is forgotten */
  readonly #shaders = new Map<string, CompiledShader>()
  #bytes = 0
  #buffers = 0
  #closed = false

  /** @param cacheSize number of signatures that are kept, each with its kernel; a training step has a few hundred */
  constructor(engine: Engine, cacheSize = 4000) {
    this.engine = engine
    this.#cacheSize = cacheSize
  }

  memory = (): MemoryUse => ({ bytes: this.#bytes, buffers: this.#buffers })

  /** The number of compiled kernels. */
  get kernels(): number {
    return this.#kernels.size
  }

  upload(data: Float32Array, host?: Int32Array): Handle {
    this.#assertOpen(data.length)
    return this.#own(data.length === 0 ? null : this.engine.upload(data), data.length, host)
  }

  empty = (): Handle => this.#own(null, 0)

  async read(handle: Handle, start: number, length: number): Promise<Float32Array> {
    this.#assertOpen()
    if (length === 0) return new Float32Array(0)
    return this.engine.read(this.#memoryOf(handle), start, length)
  }

  free(handle: Handle): void {
    if (this.#closed) return
    const { packed } = handle
    if (packed) {
      handle.packed = undefined
      this.free(packed)
      return
    }
    this.#bytes -= handle.length * 4
    this.#buffers -= 1
    if (handle.memory) this.engine.free(handle.memory)
    handle.memory = null
  }

  /** Stores the elements in 16 bits each until they are needed again, if that makes the memory smaller. They are rounded. */
  pack(handle: Handle): void {
    if (this.#closed || handle.packed || !canPack(handle)) return
    const packed = pack(this, handle)
    this.free(handle)
    handle.packed = packed
  }

  /** Computes into a new handle. */
  run(call: Call): Handle {
    const { inputs, scalars = [], length } = call
    this.#assertOpen(length)
    if (length > MOST_ELEMENTS) throw tooManyElements(label(call), length, ...inputs.map(({ shape }) => shape))
    const args: (BackendMemory | number)[] = inputs.map(({ handle }) => this.#memoryOf(handle))
    let key = `${call.signature}|${length}`
    if (!this.engine.shared)
      inputs.forEach(({ handle, offset }, i) => {
        key += `|${this.engine.layout(args[i] as BackendMemory, handle.length)}${offset === 0 ? '' : '+'}`
      })
    try {
      let plan = this.#plans.get(key)
      if (!plan) {
        plan = this.#plan(call, key)
        this.#plans.set(key, plan)
      } else if (this.#plans.size > this.#cacheSize / 2) {
        // the order counts only when the cache will be full
        this.#plans.delete(key)
        this.#plans.set(key, plan)
      }
      for (const scalar of scalars) args.push(Math.fround(scalar))
      for (const { offset } of inputs) if (this.engine.shared || offset !== 0) args.push(offset)
      for (const size of plan.sizes) args.push(size)
      return this.#own(plan.kernel.compiled.run(args, plan), length)
    } catch (error) {
      this.#kernels.delete(this.#plans.get(key)?.kernel.text ?? '')
      this.#plans.delete(key)
      throw failed(call, error)
    }
  }

  /** Computes by a shader, into a new handle or into a given one, which it returns. */
  shade(call: ShaderCall): Handle {
    const { shader, inputs, length, groups, floats = [], integers = [], into } = call
    this.#assertOpen(into ? 0 : length)
    if (length > MOST_ELEMENTS) throw tooManyElements(label(call), length, ...inputs.map(({ shape }) => shape))
    try {
      let compiled = this.#shaders.get(shader.key)
      if (!compiled) {
        const counts = { arrays: inputs.length, floats: floats.length, integers: integers.length }
        compiled = this.engine.shaders!.compile({ label: shader.key, ...shader, ...counts, wgsl: shader.text() })
        this.#shaders.set(shader.key, compiled)
      }
      const memories = inputs.map(({ handle }) => this.#memoryOf(handle))
      const dispatch = {
        get label() {
          return label(call)
        },
        ...{ length, groups, into: into && this.#memoryOf(into) },
      }
      const memory = compiled.run([...memories, ...floats.map(Math.fround), ...integers], dispatch)
      return into ?? this.#own(memory, length)
    } catch (error) {
      throw failed(call, error)
    }
  }

  /** Memory that a shader writes besides its result. */
  blank(length: number, shader: Shader): Handle {
    this.#assertOpen(length)
    return this.#own(this.engine.shaders!.blank(length, shader), length)
  }

  /** Makes handles whose values were copied into a memory share it: each starts at a given element. */
  moveInto(memory: Handle, handles: readonly (readonly [handle: Handle, start: number])[]): void {
    const home = {}
    for (const [handle, start] of handles) {
      this.engine.free(this.#memoryOf(handle))
      handle.memory = this.engine.shaders!.share(this.#memoryOf(memory))
      handle.start = start
      handle.home = home
    }
    this.free(memory)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#plans.clear()
    this.#kernels.clear()
    this.#shaders.clear()
    this.engine.close()
  }

  /** The memory of a handle, whose elements are unpacked if they are packed. */
  #memoryOf(handle: Handle): BackendMemory {
    const { packed, length } = handle
    if (packed) {
      handle.memory = unpack(this, packed, length).memory
      handle.packed = undefined
      this.free(packed)
    }
    if (handle.memory === null) throw new Error('memory that is empty or was freed has no elements to compute with')
    return handle.memory
  }

  #own(memory: BackendMemory | null, length: number, host?: Int32Array): Handle {
    this.#bytes += length * 4
    this.#buffers += 1
    return { memory, length, host }
  }

  /** Writes the kernel of a call, and compiles it unless another call has the same. */
  #plan(call: Call, key: string): Plan {
    if (this.#plans.size >= this.#cacheSize) this.#forgetOldest()
    const { inputs, length, width = 1 } = call
    const { shared } = this.engine
    const code = new Code(shared)
    let start = 0
    const starts = inputs.map(({ offset }) => (shared || offset !== 0 ? `o${start++}` : undefined))
    call.body(code, starts)
    const floats = call.scalars?.length ?? 0
    const integers = start + code.sizes.length
    const names = (letter: string, n: number) => Array.from({ length: n }, (_, i) => `${letter}${i}`)
    const parameters = [
      ...names('a', inputs.length),
      ...names('s', floats),
      ...names('o', start),
      ...names('d', code.sizes.length),
    ]
    const source = `function(${parameters}){\n${code.lines.join('\n')}\n}`
    const text = shared ? source : `${source}${key}`
    let kernel = this.#kernels.get(text)
    if (!kernel) {
      const program = { label: label(call), source, length, arrays: inputs.length, floats, integers, width }
      kernel = { text, compiled: this.engine.compile(program), plans: 0 }
      this.#kernels.set(text, kernel)
    }
    kernel.plans++
    return { label: label(call), length, kernel, sizes: code.sizes }
  }

  #forgetOldest(): void {
    const [key, { kernel }] = this.#plans.entries().next().value!
    this.#plans.delete(key)
    if (--kernel.plans > 0) return
    this.#kernels.delete(kernel.text)
    kernel.compiled.destroy()
  }

  /** @param length number of elements to allocate */
  #assertOpen(length = 0): void {
    if (this.#closed)
      throw new DeviceError(
        'gpu: this device and its tensors were closed when another backend was opened; create the tensors again',
        'gpu',
      )
    const uncollected = uncollectedBytes()
    if (length > 0 && uncollected > UNCOLLECTED)
      throw new OutOfMemoryError({ device: 'gpu', bytes: 4 * length, used: this.#bytes, uncollected })
  }
}

const label = (call: Pick<Call, 'name' | 'inputs'>): string =>
  `${call.name} of ${call.inputs.map(input => show(input.shape)).join(' and ')}`

function failed(call: Pick<Call, 'name' | 'inputs'>, error: unknown): DeviceError {
  if (error instanceof DeviceError) return error
  return new DeviceError(`gpu: ${label(call)} failed`, 'gpu', [error instanceof Error ? error.message : `${error}`])
}
