// GPU.js in our own WebGL 2 context. Results are textures, which kernels are made to release.

import { Compilations } from './compilations.ts'
import type { Engine } from './engine.ts'
import {
  type Argument,
  assertRuns,
  type Counted,
  type GlHandle,
  type GpuJs,
  runs,
  type Shortcut,
  settings,
} from './gpujs.ts'
import { ErrorLatch } from './latch.ts'

const identity = 'function(a0){ return a0[this.thread.x]; }'
const identityFrom = 'function(a0,o0){ return a0[add2(this.thread.x,o0)]; }'

/** WebGL 2 in our own context. Results are textures. */
export function webgl2Engine(gpujs: GpuJs, gl: WebGL2RenderingContext, description: string): Engine {
  // GPU.js resizes its canvas to the largest texture; a plain object accepts that without allocating memory
  const gpu = new gpujs.GPU({ context: gl, canvas: { width: 1, height: 1 } })
  const latch = new ErrorLatch()
  const compilations = new Compilations()

  function look(): void {
    if (gl.isContextLost()) latch.set('the WebGL context was lost')
    else {
      const error = gl.getError()
      if (error === gl.OUT_OF_MEMORY) latch.set('WebGL ran out of memory')
      else if (error !== gl.NO_ERROR) latch.set(`WebGL reports error 0x${error.toString(16)}`)
    }
    latch.check()
  }

  function destroy(shortcut: Shortcut): void {
    // the vertex buffer is shared: without this all other kernels would stop drawing
    shortcut.kernel.buffer = null
    shortcut.destroy()
  }

  /** Runs a kernel and makes it release its result. */
  function take(shortcut: Shortcut, args: readonly Argument[], label: string): GlHandle {
    const result = runs<GlHandle>(shortcut, args, label, compilations)
    assertRuns(shortcut, gpujs.WebGL2Kernel, label)
    const own = shortcut.kernel.texture
    own.texture._refs--
    own.texture = { _refs: 2 } as Counted<WebGLTexture>
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, null, 0)
    return result
  }

  // uploads and reads are kernels too, one for each length
  const transfers = new Map<string, Shortcut>()
  function transfer(key: string, make: () => Shortcut): Shortcut {
    const found = transfers.get(key)
    const shortcut = found ?? make()
    if (found) transfers.delete(key)
    else if (transfers.size >= 256) {
      const [oldest, unused] = transfers.entries().next().value!
      transfers.delete(oldest)
      destroy(unused)
    }
    transfers.set(key, shortcut)
    return shortcut
  }
  const one = { floats: 0, arrays: 1, width: 1 } as const

  // four elements per thread fill a texture whose memory is already in order, if it is given another type
  const probe = gpu.createKernel(identity, {
    ...settings({ ...one, source: identity, length: 4, integers: 0 }),
    optimizeFloatMemory: true,
  })
  const first = probe(new Float32Array(4)) as GlHandle
  assertRuns(probe, gpujs.WebGL2Kernel, 'the first kernel')
  const Packed = first.constructor
  first.delete()

  return {
    backend: 'webgl2',
    description,
    compilations,
    maxArrays: Math.min(15, gl.getParameter(gl.MAX_TEXTURE_IMAGE_UNITS) - 1),
    fourWide: true,
    shared: false,
    layout: (memory, length) => `${(memory as GlHandle).type}${length}`,
    compile(program) {
      const shortcut = gpu.createKernel(program.source, settings(program))
      return {
        run(args) {
          if (gl.isContextLost()) look()
          const result = take(shortcut, args, program.label)
          if (program.width === 1) return result
          const flat = new Packed({ ...result, output: [program.length], dimensions: [program.length, 1, 1] })
          flat.type = 'MemoryOptimizedNumberTexture'
          result.delete()
          return flat
        },
        destroy: () => destroy(shortcut),
      }
    },
    upload(data) {
      const make = () =>
        gpu.createKernel(identity, settings({ ...one, source: identity, length: data.length, integers: 0 }))
      return take(transfer(`to ${data.length}`, make), [data], `an upload of ${data.length} elements`)
    },
    async read(memory, start, length) {
      look()
      const layout = this.layout(memory, (memory as GlHandle).output[0])
      const shortcut = transfer(`from ${layout} ${length}`, () =>
        gpu.createKernel(identityFrom, {
          ...settings({ ...one, source: identityFrom, length, integers: 1 }),
          pipeline: false,
          immutable: false,
          asyncMode: true,
        }),
      )
      const data = await runs<Promise<Float32Array>>(
        shortcut,
        [memory, start],
        `a read of ${length} elements`,
        compilations,
      )
      look()
      return data
    },
    free: memory => (memory as GlHandle).delete(),
    hasFailed: () => latch.isSet || gl.isContextLost(),
    close() {
      void gpu.destroy()
      gl.getExtension('WEBGL_lose_context')?.loseContext()
    },
  }
}
