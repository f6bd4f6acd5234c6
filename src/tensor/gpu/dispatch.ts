// Kernel calls on a WebGPU device. A call by itself takes a bind group, a write of its numbers, an encoder, a pass and a submit,
// most of the time of a small operation. Here calls wait until there are many, and become one write, one pass and one submit;
// bind groups are kept. Whoever uses the queue or a buffer in another way flushes the calls that wait first.
//
// Kernels are compiled while the host goes on: a call whose kernel is not compiled yet holds back everything after it, in order.

import type { Pipeline } from './pipeline.ts'

/** Offsets of uniforms are multiples of this on every device. */
const SLOT = 256
const UNIFORM_BYTES = 2 ** 16
/** The number of calls in one submit. */
const MANY = 64
/** The number of bind groups that are kept. */
const GROUPS = 8192
/** The number of calls that may be held back. After so many, a loop that never waits has their kernels compiled at once. */
export const HELD = 4096

/** What all kernels with the same number of arguments share. */
export interface Binding {
  readonly name: string
  readonly layout: GPUBindGroupLayout
  readonly pipelineLayout: GPUPipelineLayout
}

/** One call of a kernel whose numbers were written where `numbers` said. */
export interface QueuedCall {
  readonly pipeline: Pipeline
  readonly binding: Binding
  /** what the kernel reads */
  readonly inputs: readonly GPUBuffer[]
  readonly output: GPUBuffer
  readonly groups: readonly [x: number, y: number, z: number]
}

/** What is held back, and the kernel that it needs. */
interface Held {
  readonly pipeline?: Pipeline
  run(): void
}

export class DispatchQueue {
  readonly #device: GPUDevice
  readonly #bindings = new Map<string, Binding>()
  readonly #uniforms: GPUBuffer
  readonly #words = new Uint32Array(UNIFORM_BYTES / 4)
  /** the numbers of the calls that wait, as integers and as floats */
  readonly integers = new Int32Array(this.#words.buffer)
  readonly floats = new Float32Array(this.#words.buffer)
  #encoder: GPUCommandEncoder | undefined
  #pass: GPUComputePassEncoder | undefined
  #pipeline: GPUComputePipeline | undefined
  #waiting = 0
  /** how often each call is made: more than once to measure it */
  #times = 1
  #bytes = 0
  /** the place of the numbers of the next call */
  #slot = 0
  #slotBytes = 0
  /** by their buffers, the least recently used first */
  #groups = new Map<string, GPUBindGroup>()
  readonly #ids = new WeakMap<GPUBuffer, { readonly id: number; usedIn: number }>()
  #nextId = 0
  /** the number of the submit that is being collected */
  #round = 0
  #scheduled = false
  #held: Held[] = []

  constructor(device: GPUDevice) {
    this.#device = device
    this.#uniforms = device.createBuffer({ size: UNIFORM_BYTES, usage: 0x48 })
  }

  /**
   * Binding 0 is the numbers, then come the arrays, then the result.
   * @param writes the number of arrays that are written too, which come first
   */
  binding(arrays: number, writes: number): Binding {
    const name = `${arrays} ${writes}`
    const binding = this.#bindings.get(name) ?? this.#makeBinding(name, arrays, writes)
    this.#bindings.set(name, binding)
    return binding
  }

  /** Makes room for the numbers of the next call and returns its start in `integers` and `floats`. */
  numbers(bytes: number): number {
    this.#slotBytes = Math.ceil(bytes / SLOT) * SLOT
    if (this.#bytes + this.#slotBytes > UNIFORM_BYTES) this.flush()
    this.#slot = this.#bytes
    return this.#slot / 4
  }

  add(call: QueuedCall): void {
    const { pipeline } = call
    if (!this.isHolding && pipeline.compiled) {
      this.#encode(call, pipeline.compiled)
      return
    }
    // the device refused the kernel, which the next read says
    if (!this.isHolding && pipeline.compiled === null) return
    const words = this.#words.slice(this.#slot / 4, (this.#slot + this.#slotBytes) / 4)
    const run = () => {
      if (!pipeline.compiled) return
      this.#words.set(words, this.numbers(words.byteLength))
      this.#encode(call, pipeline.compiled)
    }
    if (this.#held.push({ pipeline, run }) < HELD) return
    for (const held of this.#held) held.pipeline?.force()
    this.drain()
  }

  /** Whether calls wait for their kernels. */
  get isHolding(): boolean {
    return this.#held.length > 0
  }

  /** Uses the queue or a buffer in another way: at once, or after the calls that wait for their kernels. */
  inOrder(run: () => void): void {
    if (this.isHolding) this.#held.push({ run })
    else run()
  }

  /** Resolves when the calls that wait for their kernels are made, and this after them. */
  after(run: () => void): Promise<void> {
    return new Promise(resolve =>
      this.inOrder(() => {
        run()
        resolve()
      }),
    )
  }

  /** Makes the calls that were held back, up to one whose kernel is not compiled yet. */
  drain(): void {
    let n = 0
    try {
      while (n < this.#held.length) {
        const { pipeline, run } = this.#held[n]
        if (pipeline && pipeline.compiled === undefined) break
        n++
        run()
      }
    } finally {
      this.#held.splice(0, n)
    }
  }

  #encode({ binding, inputs, output, groups: [x, y, z] }: QueuedCall, pipeline: GPUComputePipeline): void {
    const group = this.#group(binding, inputs, output)
    if (!this.#pass) {
      this.#encoder = this.#device.createCommandEncoder()
      this.#pass = this.#encoder.beginComputePass()
      this.#schedule()
    }
    if (this.#pipeline !== pipeline) this.#pass.setPipeline(pipeline)
    this.#pipeline = pipeline
    this.#pass.setBindGroup(0, group, [this.#slot])
    for (let i = 0; i < this.#times; i++) this.#pass.dispatchWorkgroups(x, y, z)
    this.#bytes = this.#slot + this.#slotBytes
    if (++this.#waiting >= MANY) this.flush()
  }

  /** Submits the calls that wait. */
  flush(): void {
    if (!this.#pass) return
    this.#pass.end()
    const { queue } = this.#device
    queue.writeBuffer(this.#uniforms, 0, this.#words, 0, this.#bytes / 4)
    queue.submit([this.#encoder!.finish()])
    this.#pass = this.#encoder = this.#pipeline = undefined
    this.#waiting = this.#bytes = 0
    this.#round++
  }

  /** Submits the calls that wait if one of them uses this buffer, which the caller will write or destroy. */
  release(buffer: GPUBuffer): void {
    if (this.#pass && this.#ids.get(buffer)?.usedIn === this.#round) this.flush()
  }

  /**
   * Submits what a work calls, with every call made several times, as one pass.
   * @param timestampWrites where the device writes when it began and when it ended
   */
  submit(work: () => void, times: number, timestampWrites?: GPUComputePassTimestampWrites): void {
    this.flush()
    this.#encoder = this.#device.createCommandEncoder()
    this.#pass = this.#encoder.beginComputePass({ timestampWrites })
    this.#times = times
    try {
      work()
    } finally {
      this.#times = 1
      this.flush()
    }
  }

  /** What was held back goes on without the calls whose kernels were not compiled, so that nobody waits for it forever. */
  destroy(): void {
    for (const { run } of this.#held.splice(0)) run()
    this.flush()
    this.#uniforms.destroy()
  }

  /** Calls do not wait longer than the current task. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.flush()
    })
  }

  /** The kept bind group for these buffers, or a new one. */
  #group(binding: Binding, inputs: readonly GPUBuffer[], output: GPUBuffer): GPUBindGroup {
    let key = `${binding.name} ${this.#slotBytes}`
    for (const buffer of inputs) key += `,${this.#use(buffer)}`
    key += `,${this.#use(output)}`
    const kept = this.#groups.get(key)
    if (kept) {
      if (this.#groups.size > GROUPS / 2) {
        this.#groups.delete(key)
        this.#groups.set(key, kept)
      }
      return kept
    }
    const group = this.#device.createBindGroup({
      layout: binding.layout,
      entries: [
        { binding: 0, resource: { buffer: this.#uniforms, size: this.#slotBytes } },
        ...[...inputs, output].map((buffer, i) => ({ binding: 1 + i, resource: { buffer } })),
      ],
    })
    if (this.#groups.size >= GROUPS) this.#groups.delete(this.#groups.keys().next().value!)
    this.#groups.set(key, group)
    return group
  }

  /** Notes that the next submit uses a buffer, and returns its number. */
  #use(buffer: GPUBuffer): number {
    let known = this.#ids.get(buffer)
    if (known) known.usedIn = this.#round
    else {
      known = { id: this.#nextId++, usedIn: this.#round }
      this.#ids.set(buffer, known)
    }
    return known.id
  }

  #makeBinding(name: string, arrays: number, writes: number): Binding {
    const entry = (binding: number, buffer: GPUBufferBindingLayout) => ({ binding, visibility: 4, buffer })
    const layout = this.#device.createBindGroupLayout({
      entries: [
        entry(0, { type: 'uniform', hasDynamicOffset: true }),
        ...Array.from({ length: arrays }, (_, i) =>
          entry(1 + i, { type: i < writes ? 'storage' : 'read-only-storage' }),
        ),
        entry(1 + arrays, { type: 'storage' }),
      ],
    })
    return { name, layout, pipelineLayout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }) }
  }
}
