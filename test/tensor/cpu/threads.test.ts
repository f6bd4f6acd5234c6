// Threads and BLAS affect only the speed: results are equal up to rounding for any number of threads, and bitwise equal for
// the same number.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { CpuModule } from '../../../src/tensor/cpu/exports.ts'
import { Heap } from '../../../src/tensor/cpu/heap.ts'
import { type CpuDevice, openCpu } from '../../../src/tensor/cpu/index.ts'
import { withoutMachineCode } from '../../../src/tensor/cpu/machine/call.ts'
import { simdModule } from '../../../src/tensor/cpu/module.ts'
import { KernelThreads, type Lane } from '../../../src/tensor/cpu/threads.ts'
import { type CpuOptions, DeviceError, fromData, scope } from '../../../src/tensor/index.ts'
import { results } from './results.ts'

const devices: CpuDevice[] = []
const open = (options: CpuOptions): CpuDevice => {
  const device = openCpu(options)
  devices.push(device)
  return device
}
after(() => {
  for (const device of devices) device.close()
})

const alone = results(open({ threads: 1, blas: 'off' }))

describe('the same program', () => {
  for (const options of [{ threads: 2, blas: 'off' }, { threads: 5, blas: 'off' }, {}] as const) {
    const device = open(options)
    test(`gives equal results up to rounding: ${device.description}`, () => {
      results(device).forEach((values, i) => {
        const scale = alone[i].reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30)
        values.forEach((x, j) => {
          assert.ok(Math.abs(x - alone[i][j]) <= 4e-6 * scale, `result ${i}: [${j}] is ${x}, alone ${alone[i][j]}`)
        })
      })
    })

    test(`gives bitwise equal results: ${device.threads} threads`, () => {
      const once = results(device)
      for (let round = 0; round < 5; round++)
        results(device).forEach((values, i) => {
          assert.ok(
            Buffer.compare(Buffer.from(values.buffer), Buffer.from(once[i].buffer)) === 0,
            `result ${i} differs`,
          )
        })
    })
  }
})

describe('an invalid setting throws', () => {
  test('an invalid number of threads', () => {
    for (const threads of [0, 1.5, 1000])
      assert.throws(() => openCpu({ threads }), new RegExp(`must be an integer from 1 to 256, not ${threads}`))
  })

  test('a missing BLAS', () => {
    const fails = () => openCpu({ threads: 1, blas: 'libnosuchthing.so' })
    assert.throws(fails, (error: unknown) => error instanceof DeviceError && /libnosuchthing\.so/.test(error.message))
  })
})

test('environment variables set the number of threads and the BLAS', () => {
  const program = `
    import { device } from './src/index.ts'
    device.use('cpu').then(() => console.log(device.get('cpu').threads, device.get('cpu').blas))`
  const run = (env: Record<string, string>) => {
    const args = ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', program]
    return spawnSync(process.execPath, args, {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      env: { ...process.env, ...env },
      encoding: 'utf8',
    })
  }
  assert.equal(run({ COCAGRAD_THREADS: '3', COCAGRAD_BLAS: 'off' }).stdout, '3 null\n')
  assert.match(
    run({ COCAGRAD_THREADS: 'many' }).stderr,
    /COCAGRAD_THREADS\) must be an integer from 1 to 256, not many/,
  )
  assert.match(run({ COCAGRAD_BLAS: 'libnosuchthing.so' }).stderr, /libnosuchthing\.so cannot be used as BLAS/)
})

test('more calls than a mailbox can hold are sent in parts, each once', () => {
  const numbers = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, kept: 0.99, rate: 0.01, deviation: 0.1 }
  const moved = (device: CpuDevice) =>
    scope(() => {
      const of = (value: number) => fromData(new Float32Array(40).fill(value), [40], device)
      const updates = Array.from({ length: 900 }, (_, i) => ({
        value: of(i),
        gradient: of(1 - i),
        firstMoment: of(0.5),
        secondMoment: of(2),
        numbers,
      }))
      assert.equal(device.kernels.adamwInPlace!(updates), true)
      return updates.flatMap(({ value, firstMoment }) => [...value.dataSync(), ...firstMoment.dataSync()])
    })
  assert.deepEqual(moved(open({ threads: 2 })), moved(open({ threads: 1 })))
})

describe('a kernel that fails on another thread', async () => {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true })
  const heap = new Heap(memory)
  const module = new WebAssembly.Module(Uint8Array.from(atob(simdModule), c => c.charCodeAt(0)))
  const { exports } = new WebAssembly.Instance(module, {
    env: { memory },
    math: Math as unknown as WebAssembly.ModuleImports,
    blas: { sgemm() {}, dgemm() {} },
    machine: withoutMachineCode,
  })
  const code = exports as unknown as CpuModule
  const threads = new KernelThreads({ index: 0, code, scratch: heap.take(code.scratchBytes()).pointer })
  await threads.use(3, { heap, module, code, multiplies: false })
  after(() => threads.close())

  /** Three parts, of which this thread does none and looks on until the others have begun theirs. */
  const share = (work: (lane: Lane) => void): void => {
    const [one, begun] = [heap.take(4).pointer, heap.take(8).pointer]
    heap.i32[one / 4] = 1
    heap.i32.fill(0, begun / 4, begun / 4 + 2)
    threads.share(3, 1, (lane, from) => {
      if (from > 0) {
        lane.code.fill_32(begun + 4 * (from - 1), one, 1)
        work(lane)
      } else while (Atomics.load(heap.i32, begun / 4) + Atomics.load(heap.i32, begun / 4 + 1) < 2);
    })
  }
  const beyond = (lane: Lane) => lane.code.fill_32(memory.buffer.byteLength - 4, 0, 1000)

  test('throws an error with the thread and the reason', () => {
    assert.throws(
      () => share(beyond),
      (error: unknown) =>
        error instanceof DeviceError &&
        /a kernel failed on thread 1\n.*memory access out of bounds/.test(error.message),
    )
  })

  test('does not affect later work', () => {
    assert.throws(() => share(beyond), DeviceError)
    const to = heap.take(12).pointer
    share(({ code, index }) => code.fill_32(to + 4 * index, 0, 1))
    assert.deepEqual([...heap.i32.subarray(to / 4 + 1, to / 4 + 3)], [0, 0])
  })
})

test('a closed device continues on one thread', () => {
  const device = open({ threads: 2 })
  device.close()
  assert.equal(device.threads, 1)
  results(device).forEach((values, i) => {
    assert.equal(values.length, alone[i].length)
  })
})
