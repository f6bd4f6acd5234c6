// A WebGPU that computes nothing: whatever it is asked for, it gives an object that takes every call. The device writes its shaders
// for it, so that their text can be read on a machine without WebGPU.

/** Limits of a common GPU, by which kernels choose their form. */
const limits = {
  maxStorageBufferBindingSize: 2 ** 31 - 4,
  maxBufferSize: 2 ** 32,
  maxStorageBuffersPerShaderStage: 10,
  maxComputeWorkgroupStorageSize: 32768,
  maxComputeWorkgroupsPerDimension: 65535,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxComputeWorkgroupSizeY: 1024,
  maxUniformBufferBindingSize: 65536,
  minUniformBufferOffsetAlignment: 256,
  minStorageBufferOffsetAlignment: 256,
}

/** An object with some properties; every other one is a method that gives another such object. */
function nothing(own: Record<string, unknown> = {}): object {
  return new Proxy(own, {
    get: (target, name) => (name in target || name === 'then' ? target[name as string] : () => nothing()),
  })
}

const usages = [
  'MAP_READ',
  'MAP_WRITE',
  'COPY_SRC',
  'COPY_DST',
  'INDEX',
  'VERTEX',
  'UNIFORM',
  'STORAGE',
  'INDIRECT',
  'QUERY_RESOLVE',
]

/** Makes `navigator.gpu` of this thread one that computes nothing, and tells of the text of every shader. */
export function useNullGpu(onShader: (code: string) => void): void {
  const createBuffer = ({ size, usage }: GPUBufferDescriptor) =>
    nothing({ size, usage, mapAsync: () => Promise.resolve(), getMappedRange: () => new ArrayBuffer(size) })
  const device = nothing({
    limits,
    features: new Set(),
    lost: new Promise(() => undefined),
    queue: nothing({ onSubmittedWorkDone: () => Promise.resolve() }),
    createBuffer,
    createShaderModule({ code }: GPUShaderModuleDescriptor) {
      onShader(code)
      return nothing({ getCompilationInfo: () => Promise.resolve({ messages: [] }) })
    },
    createComputePipelineAsync: () => Promise.resolve(nothing()),
    popErrorScope: () => Promise.resolve(null),
  })
  const adapter = { limits, features: new Set(), info: {}, requestDevice: () => Promise.resolve(device) }
  const gpu = { requestAdapter: () => Promise.resolve(adapter), getPreferredCanvasFormat: () => 'bgra8unorm' }
  Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true })
  const scope = globalThis as unknown as Record<string, unknown>
  scope.GPUBufferUsage ??= Object.fromEntries(usages.map((name, i) => [name, 2 ** i]))
  scope.GPUMapMode ??= { READ: 1, WRITE: 2 }
  scope.GPUShaderStage ??= { VERTEX: 1, FRAGMENT: 2, COMPUTE: 4 }
}
