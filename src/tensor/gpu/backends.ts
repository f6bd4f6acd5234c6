// Detects what the machine has: a WebGPU adapter, a WebGL 2 context. If one is not available, the error says why and
// what would help.

import { DeviceError, type GpuBackend } from '../device.ts'
import { askNode } from '../host.ts'
import type { Engine } from './engine.ts'
import { loadGpuJs, version } from './gpujs.ts'
import { hostEngine } from './host-engine.ts'
import { webgl2Engine } from './webgl2-engine.ts'
import { webgpuEngine } from './webgpu-engine.ts'

interface Backend {
  /** Describes the hardware; throws a DeviceError that says why it is not available. */
  probe(): Promise<string>
  open(): Promise<Engine>
}

const withVersion = (what: string) => `${what}, gpu.js ${version}`
const isNode = (): boolean => askNode(({ versions }) => versions.node) !== undefined

/** Dawn's entry point; it must stay referenced while its devices are in use. */
let dawn: GPU | undefined

/** navigator.gpu, or in Node the same from the optional package. */
async function webgpu(): Promise<GPU> {
  const inBrowser = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu
  if (inBrowser) return inBrowser
  if (!isNode())
    throw new DeviceError(
      'this browser has no navigator.gpu: it is too old, or the page is not served over https',
      'gpu',
    )
  if (dawn) return dawn
  // in parts, so that no bundler follows it: a page does not need 130 MB of Dawn
  const packageName = ['web', 'gpu'].join('')
  let loaded: { create(flags: string[]): GPU }
  try {
    loaded = await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName)
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw new DeviceError(
      `the optional package webgpu does not load (npm install webgpu, about 130 MB; Node has no WebGPU without it): ${why}`,
      'gpu',
    )
  }
  dawn = loaded.create([])
  return dawn
}

export async function webgpuAdapter(): Promise<GPUAdapter> {
  const gpu = await webgpu()
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter) return adapter
  const help = isNode()
    ? 'a driver for Vulkan (and libvulkan.so.1), Metal or Direct3D 12 is needed; for software rendering point VK_ICD_FILENAMES at the vk_swiftshader_icd.json that comes with Chromium'
    : 'WebGPU is available but has no GPU: see chrome://gpu, or start a headless browser with --enable-unsafe-webgpu'
  throw new DeviceError(`requestAdapter found no adapter: ${help}`, 'gpu')
}

function describeAdapter({ info }: GPUAdapter): string {
  const name = [info.vendor, info.architecture, info.description].filter(Boolean).join(' ')
  return `webgpu on ${name || 'an adapter without a name'}`
}

function webglContext(): WebGL2RenderingContext {
  if (typeof OffscreenCanvas === 'undefined')
    throw new DeviceError(
      isNode() ? 'OffscreenCanvas is not available: WebGL 2 needs a browser' : 'this browser has no OffscreenCanvas',
      'gpu',
    )
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2', {
    alpha: false,
    depth: false,
    antialias: false,
    powerPreference: 'high-performance',
  })
  if (!gl) throw new DeviceError('the browser cannot create a WebGL 2 context: see chrome://gpu', 'gpu')
  if (!gl.getExtension('EXT_color_buffer_float'))
    throw new DeviceError('WebGL 2 cannot write float32 here (no EXT_color_buffer_float)', 'gpu')
  return gl
}

function describeContext(gl: WebGL2RenderingContext): string {
  const names = gl.getExtension('WEBGL_debug_renderer_info')
  return `webgl2 on ${gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER)}`
}

const backends: Record<GpuBackend, Backend> = {
  webgpu: {
    probe: async () => describeAdapter(await webgpuAdapter()),
    async open() {
      const adapter = await webgpuAdapter()
      const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits
      const { maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize } = adapter.limits
      const device = await adapter.requestDevice({
        // to measure which tiles are fast; without it times are those of the host
        requiredFeatures: adapter.features.has('timestamp-query') ? ['timestamp-query'] : [],
        requiredLimits: {
          ...{ maxStorageBufferBindingSize, maxBufferSize },
          ...{ maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize },
        },
      })
      return webgpuEngine(await loadGpuJs(), adapter, device, withVersion(describeAdapter(adapter)))
    },
  },
  webgl2: {
    async probe() {
      const gl = webglContext()
      const found = describeContext(gl)
      gl.getExtension('WEBGL_lose_context')?.loseContext()
      return found
    },
    async open() {
      const gl = webglContext()
      return webgl2Engine(await loadGpuJs(), gl, withVersion(describeContext(gl)))
    },
  },
  webasm: host('webasm', 'WebAssembly on the CPU, for tests'),
  cpu: host('cpu', 'JavaScript on the CPU, for tests'),
}

function host(backend: 'webasm' | 'cpu', what: string): Backend {
  return {
    async probe() {
      if (backend === 'webasm' && typeof WebAssembly === 'undefined')
        throw new DeviceError('WebAssembly is not available', 'gpu')
      return `${what}; only when requested by name`
    },
    open: async () => hostEngine(await loadGpuJs(), backend, withVersion(`${backend}: ${what}`)),
  }
}

export const backendNames = Object.keys(backends) as readonly GpuBackend[]

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What a backend runs on, or why it is not available. */
export async function probeBackend(backend: GpuBackend): Promise<{ available: boolean; detail: string }> {
  try {
    return { available: true, detail: await backends[backend].probe() }
  } catch (error) {
    return { available: false, detail: reason(error) }
  }
}

/** Opens the first available backend of a list. Throws DeviceError with every reason. */
export async function openEngine(order: readonly GpuBackend[]): Promise<Engine> {
  const reasons: string[] = []
  for (const backend of order) {
    try {
      return await backends[backend].open()
    } catch (error) {
      reasons.push(`${backend}: ${reason(error)}`)
    }
  }
  throw new DeviceError(`no gpu is available: ${order.join(' and ')} did not open`, 'gpu', reasons)
}
