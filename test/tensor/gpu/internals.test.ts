// The internal parts of GPU.js that gpujs.ts and the engines use. If this fails after an update, read those files first.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { loadGpuJs, version } from '../../../src/tensor/gpu/gpujs.ts'

const gpujs = await loadGpuJs()
const text = (f: unknown): string => Function.prototype.toString.call(f)
const source = (path: string): string =>
  readFileSync(createRequire(import.meta.url).resolve(`gpu.js/src/${path}`), 'utf8')

test('GPU.js has the expected version', () => {
  const { version: installed } = createRequire(import.meta.url)('gpu.js/package.json') as { version: string }
  assert.equal(installed, version)
  const own = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  assert.equal(own.devDependencies['gpu.js'], version, 'pinned exactly')
})

test('the classes are exported', () => {
  for (const name of [
    'GPU',
    'WebGPUContext',
    'WebGPUKernel',
    'WebGPUBufferResult',
    'WebGL2Kernel',
    'WebAssemblyKernel',
    'CPUKernel',
  ] as const)
    assert.equal(typeof gpujs[name], 'function', name)
})

test('a WebGPU kernel builds in _buildAsync, after translation, and runs in run', () => {
  const methods = gpujs.WebGPUKernel.prototype as unknown as Record<string, unknown>
  assert.match(text(methods.build), /this\.paramsLayout = .*\n.*this\.compiledSource = [\s\S]*this\._buildAsync\(\)/)
  // what is set there is used in methods that are replaced, but for `built`, and for these, which the queue has
  const set = new Set(Array.from(text(methods._buildAsync).matchAll(/this\.(\w+) = /g), match => match[1]))
  assert.deepEqual([...set].sort(), [
    '_device',
    'bindGroupDirty',
    'bindGroupLayout',
    'built',
    'computePipeline',
    'constantBuffers',
    'context',
    'paramsBuffer',
    'paramsF32',
    'paramsI32',
    'paramsMirror',
    'paramsU32',
  ])
  assert.match(text(methods.run), /return this\._runInternal\(snapshot\)/)
  assert.match(text(methods._runInternal), /queue\.submit/)
  for (const method of ['_checkBufferSize', '_computeDispatch', 'translateSource', 'assembleWGSL'])
    assert.equal(typeof methods[method], 'function', method)
})

test('a WebGPU kernel has its numbers where the queue writes them', () => {
  const { computeParamsLayout, assembleWGSL, _runInternal } = gpujs.WebGPUKernel.prototype as unknown as Record<
    string,
    unknown
  >
  const layout = text(computeParamsLayout)
  assert.match(layout, /let offset = 16;/)
  assert.match(
    layout,
    /dimsOffset: offset,[\s\S]*offset \+= 16;[\s\S]*scalarArgs\[i\]\.offset = offset;\s*offset \+= 4;/,
  )
  assert.match(text(assembleWGSL), /outputX : u32[\s\S]*outputY : u32[\s\S]*outputZ : u32[\s\S]*dispatchWidth : u32/)
  assert.match(
    text(assembleWGSL),
    /@binding\(0\)[\s\S]*@binding\(\$\{\s*1 \+ i\s*\}\)[\s\S]*outBinding = 1 \+ arrayArgs\.length/,
  )
  assert.match(text(_runInternal), /paramsU32\[base \+ 3\] = dims\[0\] \* dims\[1\] \* dims\[2\]/)
})

test('a WebGPU handle counts its buffer and destroys it after the last owner', () => {
  let destroyed = 0
  const buffer = { _refs: 0, destroy: () => void destroyed++ }
  const settings = { buffer: buffer as never, output: [1], componentCount: 1, context: {}, kernel: {} }
  const one = new gpujs.WebGPUBufferResult(settings)
  assert.equal(buffer._refs, 1)
  const two = new gpujs.WebGPUBufferResult(settings)
  one.delete()
  assert.equal(destroyed, 0)
  two.delete()
  assert.equal(destroyed, 1)
})

test('a WebGL 2 result is a counted texture, and a kernel makes a new one while it is shared', () => {
  const texture = source('backend/gl/texture/index.js')
  assert.match(texture, /beforeMutate\(\) \{\s*if \(this\.texture\._refs > 1\) \{\s*this\.newTexture\(\)/)
  assert.match(texture, /newTexture\(\) \{\s*this\.texture\._refs--/)
  assert.match(source('backend/gl/texture/memory-optimized.js'), /this\.type = 'MemoryOptimizedNumberTexture'/)
  assert.match(source('backend/web-gl/kernel.js'), /this\.buffer/)
})
