// Kernels that compile while the program goes on: everything keeps its order, whatever finishes first, and the progress is told.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { webgpuAdapter } from '../../../src/tensor/gpu/backends.ts'
import { HELD } from '../../../src/tensor/gpu/dispatch.ts'
import { loadGpuJs } from '../../../src/tensor/gpu/gpujs.ts'
import { webgpuEngine } from '../../../src/tensor/gpu/webgpu-engine.ts'
import { type CompileProgress, device, ones, scope } from '../../../src/tensor/index.ts'
import { onBackends } from './swiftshader.ts'

test('an operation of a backend on the CPU compiles its kernel itself, and a repeated one nothing', async () => {
  const seen: CompileProgress[] = []
  await device.use('gpu', { backend: 'cpu', onCompile: progress => void seen.push(progress) })
  const { kernels } = device.get()
  const x = ones([3])
  kernels.binary('add', x, x, 'float32')
  kernels.binary('add', x, x, 'float32')
  kernels.binary('mul', x, x, 'float32')
  await setImmediate()
  assert.deepEqual(seen, [
    { kernel: 'add of [3] and [3]', compiled: 1, asked: 1 },
    { kernel: 'mul of [3] and [3]', compiled: 2, asked: 2 },
  ])
  await device.use('reference')
})

test('a listener that is none, or that of another device, is refused', async () => {
  await assert.rejects(device.use('gpu', { onCompile: 3 as never }), /onCompile must be a function, not 3/)
  await assert.rejects(device.use('cpu', { onCompile: () => undefined }), /onCompile is an option of gpu/)
})

await onBackends(import.meta.url, { webgpu: 1 }, backend =>
  describe(`on ${backend}`, () => {
    /** An engine whose kernels are compiled when the test says so. */
    async function engine() {
      const adapter = await webgpuAdapter()
      const own = await adapter.requestDevice()
      const compile = own.createComputePipelineAsync.bind(own)
      const starts: (() => void)[] = []
      own.createComputePipelineAsync = async descriptor => {
        await new Promise<void>(resolve => starts.push(resolve))
        return compile(descriptor)
      }
      const submits = { count: 0 }
      const submit = own.queue.submit.bind(own.queue)
      own.queue.submit = commands => {
        submits.count++
        submit(commands)
      }
      return { starts, submits, engine: webgpuEngine(await loadGpuJs(), adapter, own, 'webgpu for a test') }
    }
    const program = { label: 'test of [4]', length: 4, arrays: 1, floats: 0, integers: 0, width: 1 } as const
    const plus = (n: number) => ({ ...program, source: `function(a0){ return a0[this.thread.x]+${n}.0; }` })
    const four = (n: number) => Float32Array.of(n, n, n, n)

    test('calls, uploads, reads and freed memory keep their order when the last kernel is compiled first', async () => {
      const { starts, engine: gpu } = await engine()
      const [one, ten] = [gpu.compile(plus(1)), gpu.compile(plus(10))]
      const data = four(5)
      const x = gpu.upload(data)
      const first = one.run([x], program)
      gpu.free(x)
      // takes the memory of x, which a call that waits has yet to read
      const y = gpu.upload(data)
      data.fill(7)
      const z = gpu.upload(data)
      data.fill(0)
      const second = ten.run([y], program)
      const reads = [first, second, z].map(memory => gpu.read(memory, 0, 4))
      gpu.free(first)
      const third = ten.run([z], program)
      reads.push(gpu.read(third, 0, 4))
      assert.equal(starts.length, 2)
      starts[1]()
      await setImmediate()
      starts[0]()
      assert.deepEqual(
        (await Promise.all(reads)).map(values => values[3]),
        [6, 15, 7, 17],
      )
      gpu.close()
    })

    test('a loop that never waits has its kernels compiled at once after many calls', async () => {
      const { starts, submits, engine: gpu } = await engine()
      const one = gpu.compile(plus(1))
      let x = gpu.upload(four(0))
      for (let i = 0; i < HELD + 3; i++) {
        const next = one.run([x], program)
        gpu.free(x)
        x = next
      }
      assert.ok(submits.count >= Math.floor(HELD / 64), `${submits.count} submits`)
      starts[0]()
      assert.deepEqual(await gpu.read(x, 0, 4), four(HELD + 3))
      gpu.close()
    })

    test('closing ends a read that waits for a kernel', async () => {
      const { starts, engine: gpu } = await engine()
      const read = gpu.read(gpu.compile(plus(1)).run([gpu.upload(four(0))], program), 0, 4)
      gpu.close()
      starts[0]()
      await assert.rejects(read)
    })

    test('the progress counts every kernel once, and those that are asked for from the start', async () => {
      const seen: CompileProgress[] = []
      await device.open('gpu', { backend, onCompile: progress => void seen.push(progress) })
      const gpu = device.get('gpu')
      const run = () =>
        scope(async () => {
          const x = gpu.kernels.unary('exp', ones([8], { device: 'gpu' }))
          const y = gpu.kernels.reduce('sum', gpu.kernels.binary('mul', x, x, 'float32'), [0])
          return (await y.data())[0]
        })
      assert.ok(Math.abs((await run()) - 8 * Math.E ** 2) < 1e-4)
      assert.deepEqual(
        seen.map(({ compiled }) => compiled),
        seen.map((_, i) => i + 1),
      )
      assert.ok(seen.length >= 3)
      for (const { asked } of seen) assert.equal(asked, seen.length, 'all were asked for before the first was compiled')
      assert.ok(seen.some(({ kernel }) => kernel === 'exp of [8]'))
      const later: CompileProgress[] = []
      await device.open('gpu', { backend, onCompile: progress => void later.push(progress) })
      await run()
      assert.deepEqual(later, [], 'nothing is compiled again, and the first listener is gone')
      assert.ok(!(gpu as { hasFailed?: boolean }).hasFailed)
    })

    after(() => device.use('reference'))
  }),
)
