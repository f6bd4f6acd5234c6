// The internal parts of GPU.js that gpujs.ts uses. If this fails after an update, read that file first.

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

test('a WebGPU kernel builds in _buildAsync, after translation', () => {
  const { build, _buildAsync, run, _runInternal, _ensureOutputBuffer } = gpujs.WebGPUKernel
    .prototype as unknown as Record<string, unknown>
  assert.match(text(build), /this\.paramsLayout = .*\n.*this\.compiledSource = [\s\S]*this\._buildAsync\(\)/)
  for (const field of [
    'bindGroupLayout',
    'computePipeline',
    'paramsBuffer',
    'paramsMirror',
    'paramsU32',
    'paramsI32',
    'paramsF32',
    'constantBuffers',
    'bindGroupDirty',
    'built',
  ])
    assert.match(text(_buildAsync), new RegExp(`this\\.${field} = `), field)
  // nothing else is set there that a kernel without array constants and graphics needs
  const set = new Set(Array.from(text(_buildAsync).matchAll(/this\.(\w+) = /g), match => match[1]))
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
  assert.match(text(run), /return this\._runInternal\(snapshot\)/)
  assert.match(text(_runInternal), /queue\.submit/)
  assert.match(text(_ensureOutputBuffer), new RegExp(`usage: ${0x84}\\b`), 'storage and copy source')
  assert.match(text(_ensureOutputBuffer), /this\.immutable && this\.pipeline && this\.outputBuffer/)
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
