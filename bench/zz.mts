import { device, randn, scope, ones } from '../src/index.ts'
const threads = Number(process.env.T ?? 1)
await device.use('cpu', { threads })
const k = device.get().kernels
const x = randn([4096, 256]), g = randn([4096,256]), w = randn([256])
function time(name: string, f: () => unknown) {
  const times: number[] = []
  for (let i = 0; i < 40; i++) { const t = performance.now(); scope(() => { f() }); times.push(performance.now() - t) }
  times.sort((a,b)=>a-b); console.log(name.padEnd(24), times[20].toFixed(3), times[0].toFixed(3))
}
time('exp', () => k.unary('exp', x)); time('log', () => k.unary('log', x)); time('tanh', () => k.unary('tanh', x)); time('erf', () => k.unary('erf', x))
time('add', () => k.binary('add', x, g, 'float32')); time('copy', () => k.copy(x))
time('gelu', () => k.gelu!(x)); time('geluGradient', () => k.geluGradient!(g, x))
time('softmax', () => k.softmax!(x)); time('softmaxGradient', () => k.softmaxGradient!(g, x))
time('layerNorm', () => k.layerNorm!(x, w, w, 1e-5)); time('layerNormGradient', () => k.layerNormGradient!(g, x, w, 1e-5)); time('sum columns', () => k.reduce('sum', x, [0])); time('sum rows', () => k.reduce('sum', x, [1]))
time('scaleGradient', () => k.layerNormScaleGradient!(g, x, 1e-5)); time('standardize', () => k.standardize!(x, 1e-5))
