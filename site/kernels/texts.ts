// The text of the kernels of one call, as the device is given it: what it hands to WebGPU and to WebGL, and the functions of its
// WebAssembly module that run.

import { device, scope } from 'cocagrad'
import { callOf, operandsOf } from './call.ts'
import { useNullGpu } from './null-gpu.ts'
import type { Call, KernelText, Language } from './protocol.ts'

/** Runs a call once; `start` is told when everything before it is done. */
function runOnce({ operation, shapes, withGradient }: Call, start: () => void): void {
  scope(() => {
    const xs = operandsOf(operation, shapes)
    // what belongs to the arguments has run
    const call = callOf(operation, xs, withGradient)
    start()
    call()
  })
}

/** Different texts, numbered. */
const numbered = (texts: readonly string[], name: string): KernelText[] =>
  [...new Set(texts)].map((text, i) => ({ name: `${name} ${i + 1}`, text: text.trim() }))

async function wgsl(call: Call): Promise<KernelText[]> {
  const found: string[] = []
  useNullGpu(code => found.push(code))
  await device.use('gpu', { backend: 'webgpu' })
  runOnce(call, () => {
    found.length = 0
  })
  return numbered(found, 'shader')
}

async function glsl(call: Call): Promise<KernelText[]> {
  const found: string[] = []
  const { prototype } = WebGL2RenderingContext
  const own = prototype.shaderSource
  prototype.shaderSource = function (this: WebGL2RenderingContext, shader: WebGLShader, source: string) {
    if (this.getShaderParameter(shader, this.SHADER_TYPE) === this.FRAGMENT_SHADER) found.push(source)
    own.call(this, shader, source)
  }
  await device.use('gpu', { backend: 'webgl2' })
  runOnce(call, () => {
    found.length = 0
  })
  return numbered(found, 'fragment shader')
}

/** The text of a module, function by function: by the index of the function. */
function functionsOf(text: string): Map<number, string> {
  const found = new Map<number, string>()
  let lines: string[] | undefined
  let index = 0
  const end = () => {
    if (lines) found.set(index, lines.join('\n'))
    lines = undefined
  }
  for (const line of text.split('\n')) {
    // a field of the module
    if (line.startsWith('  (')) end()
    const begins = /^ {2}\(func (?:\$\S+ )?\(;(\d+);\)/.exec(line)
    if (begins) {
      index = Number(begins[1])
      lines = []
    }
    lines?.push(line.slice(2))
  }
  end()
  return found
}

/** The text of a function, and of all functions that it calls. */
function withCalled(first: number, functions: ReadonlyMap<number, string>): string[] {
  const found = new Set([first])
  // a set is walked in the order in which it grows
  for (const index of found)
    for (const [, called] of (functions.get(index) ?? '').matchAll(/\(call (\d+)/g)) found.add(Number(called))
  return [...found].flatMap(index => functions.get(index) ?? [])
}

async function wat(call: Call): Promise<KernelText[]> {
  const called = new Set<string>()
  let bytes = new Uint8Array()
  const { Instance, Module } = WebAssembly
  // the functions of the module, each of which tells that it was called
  WebAssembly.Module = class extends Module {
    constructor(source: BufferSource) {
      super(source)
      bytes = new Uint8Array(source as ArrayBuffer)
    }
  }
  WebAssembly.Instance = new Proxy(Instance, {
    construct(target, [module, imports]) {
      const { exports } = new target(module, imports)
      const told = Object.entries(exports).map(([name, value]) => [
        name,
        typeof value !== 'function'
          ? value
          : (...args: unknown[]) => {
              called.add(name)
              return value(...args)
            },
      ])
      return { exports: Object.fromEntries(told) }
    },
  })
  await device.use('cpu', { threads: 1, deterministic: true, memory64: false })
  runOnce(call, () => called.clear())

  const { default: open } = await import('wabt')
  const wabt = await open()
  const module = wabt.readWasm(bytes, { readDebugNames: false, simd: true, threads: true, bulk_memory: true })
  const text = module.toText({ foldExprs: true, inlineExport: false })
  const functions = functionsOf(text)
  const indices = new Map(
    Array.from(text.matchAll(/\(export "([^"]+)" \(func (\d+)\)\)/g), ([, name, index]) => [name, Number(index)]),
  )
  const names = new Map(Array.from(indices, ([name, index]) => [index, name]))
  const nameOf = (index: number) => `$${names.get(index) ?? `f${index}`}`
  const named = (body: string) =>
    body
      .replace(/^\(func \(;(\d+);\)/, (_, index) => `(func ${nameOf(Number(index))}`)
      .replace(/\(call (\d+)/g, (_, index) => `(call ${nameOf(Number(index))}`)
  return [...called].flatMap(name => {
    const index = indices.get(name)
    return index === undefined ? [] : [{ name, text: withCalled(index, functions).map(named).join('\n\n') }]
  })
}

export const textsOf: Record<Language, (call: Call) => Promise<KernelText[]>> = { wgsl, glsl, wat }
