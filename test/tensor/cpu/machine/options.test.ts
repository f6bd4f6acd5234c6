// Which machine code the device uses: the best one, the one that is asked for, or none, and then it says why. What a process cannot
// change for itself, such as a package that is missing, is tried in a process of its own.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type CpuDevice, openCpu } from '../../../../src/tensor/cpu/index.ts'
import { type CpuOptions, DeviceError, device, scope, tensor } from '../../../../src/tensor/index.ts'
import '../../../../src/autograd/index.ts'
import { codeWith, everyInstructions, missing } from './support.ts'

const opened: CpuDevice[] = []
const open = (options: CpuOptions): CpuDevice => {
  opened.push(openCpu({ threads: 1, ...options }))
  return opened[opened.length - 1]
}
after(() => {
  for (const each of opened) each.close()
})

const refuses = (f: () => unknown, message: RegExp) =>
  assert.throws(f, (error: unknown) => error instanceof DeviceError && message.test(error.message))

const isSet = process.env.COCAGRAD_MACHINE_CODE !== undefined
const isForHere = process.platform === 'linux' && process.arch === 'x64'
const skip = !isForHere ? 'machine code is for Linux and x86-64' : isSet && 'COCAGRAD_MACHINE_CODE is set'

describe('the option machineCode', () => {
  test('off is without machine code, and the description says so', () => {
    const { machineCode, description } = open({ machineCode: 'off' })
    assert.equal(machineCode, null)
    assert.match(
      description,
      /^WebAssembly with [\w ]+ \(machine code is switched off\), 1 thread, .*, matrix products (of|by)/,
    )
  })

  for (const instructions of everyInstructions) {
    const reason = missing(instructions)
    test(`${instructions} is used where the processor has it`, { skip: reason }, () => {
      const { machineCode, description, blas } = open({ machineCode: instructions })
      assert.equal(machineCode, instructions)
      const says = `^WebAssembly with [\\w ]+, machine code with ${instructions}, 1 thread, .*, matrix products of float64 `
      assert.match(description, new RegExp(`${says}${blas === null ? 'of its own' : 'by '}`))
    })
    test(`${instructions} is an error where it is not possible`, { skip: !reason && 'it is possible' }, () =>
      refuses(() => open({ machineCode: instructions }), new RegExp(`^cpu: no machine code with ${instructions}: .`)),
    )
  }

  test('the best is used if none is named', { skip: skip || missing('AVX2') }, () => {
    const best = everyInstructions.find(name => typeof codeWith(name) !== 'string')
    assert.equal(open({}).machineCode, best)
  })

  test('another name is an error that lists the names', () =>
    refuses(
      () => open({ machineCode: 'avx2' as 'AVX2' }),
      /^cpu: machineCode \(COCAGRAD_MACHINE_CODE\) must be 'AVX-512', 'AVX2' or 'off', not 'avx2'$/,
    ))

  test('a BLAS that is named computes all products, also with machine code', { skip: missing('AVX2') }, t => {
    const { blas, description } = open({ machineCode: 'off' })
    const library = /\((lib[\w.]+)\)$/.exec(description)?.[1]
    if (blas === null || library === undefined) return t.skip('no BLAS here')
    const named = open({ machineCode: 'AVX2', blas: library })
    assert.match(named.description, /, machine code with AVX2, .*, matrix products by /)
    const off = open({ machineCode: 'AVX2', blas: 'off' })
    assert.match(
      off.description,
      /, machine code with AVX2, .*, matrix products of float64 of its own \(BLAS is switched off\)$/,
    )
  })

  test('deterministic results are without it, and a name contradicts them', () => {
    const { machineCode, description } = open({ deterministic: true })
    assert.equal(machineCode, null)
    assert.match(description, /\(machine code is switched off\), 1 thread, deterministic/)
    assert.equal(open({ deterministic: true, machineCode: 'off' }).machineCode, null)
    refuses(
      () => open({ deterministic: true, machineCode: 'AVX2' }),
      /^cpu: deterministic results are not possible with machine code, but 'AVX2' is named \(machineCode, or COCAGRAD_MACHINE_CODE\); leave/,
    )
  })

  test('a device that is open with another one does not meet it', { skip: missing('AVX2') }, () => {
    const [off, avx2] = [open({ machineCode: 'off' }), open({ machineCode: 'AVX2' })]
    assert.deepEqual(off.unmet({ machineCode: 'AVX2' }), ['machineCode'])
    assert.deepEqual(off.unmet({ machineCode: 'off' }), [])
    assert.deepEqual(avx2.unmet({ machineCode: 'off' }), ['machineCode'])
    assert.deepEqual(avx2.unmet({ machineCode: 'AVX2' }), [])
    assert.deepEqual(avx2.unmet({}), [])
  })

  test('device.use opens the device again for it while no tensor is stored', { skip: missing('AVX2') }, async () => {
    await device.use('cpu', { machineCode: 'off' })
    const used = () => (device.get('cpu') as CpuDevice).machineCode
    assert.equal(used(), null)
    await device.use('cpu', { machineCode: 'AVX2' })
    assert.equal(used(), 'AVX2')
    const x = scope(() => tensor([1, 2]))
    await assert.rejects(device.use('cpu', { machineCode: 'off' }), /another value of machineCode, and stores 1 tensor/)
    assert.equal(used(), 'AVX2')
    x.storage.free('the test')
    await assert.rejects(device.use('gpu', { machineCode: 'off' }), /machineCode is an option of cpu; gpu has nothing/)
  })
})

const root = fileURLToPath(new URL('../../../..', import.meta.url))

/** What a process prints that runs `before`, then multiplies on a device with two threads, and describes it. */
async function described(before: string, environment: NodeJS.ProcessEnv = {}): Promise<string> {
  const program = `
    import { createRequire } from 'node:module'
    const { device, fromData } = await import('./src/tensor/index.ts')
    await import('./src/autograd/index.ts')
    const require = createRequire(${JSON.stringify(import.meta.url)})
    ${before}
    try {
      await device.use('cpu', { threads: 2 })
      const x = fromData(new Float32Array(100 * 100).fill(2), [100, 100])
      console.log(new Set(x.matmul(x).dataSync()), device.description)
    } catch (error) {
      console.log(error.name, error.message)
    }`
  const args = ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', program]
  const env = { ...process.env, ...environment }
  return (await promisify(execFile)(process.execPath, args, { cwd: root, env })).stdout
}

/** The sums of the product, and then the description. */
const PRODUCT = 'Set\\(1\\) \\{ 400 \\} WebAssembly with [\\w ]+'

describe('the environment variable COCAGRAD_MACHINE_CODE', () => {
  const withVariable = (value: string) => described('', { COCAGRAD_MACHINE_CODE: value })

  test('off', async () => {
    assert.match(await withVariable('off'), new RegExp(`^${PRODUCT} \\(machine code is switched off\\), `))
  })
  test('AVX2', { skip: missing('AVX2') }, async () => {
    assert.match(await withVariable('AVX2'), new RegExp(`^${PRODUCT}, machine code with AVX2, `))
  })
  test('another name', async () => {
    assert.match(
      await withVariable('SSE'),
      /^DeviceError cpu: machineCode \(COCAGRAD_MACHINE_CODE\) must be .*, not 'SSE'\n/,
    )
  })
})

describe('the device computes without machine code and says why', { skip: skip || missing('AVX2') }, () => {
  /** The instructions of the processor in the file that names them, which cannot be read without any. */
  const processor = (flags?: string) => `
    const fs = require('node:fs')
    const { readFileSync } = fs
    fs.readFileSync = (file, ...options) => {
      if (file !== '/proc/cpuinfo') return readFileSync(file, ...options)
      ${flags ? `return 'flags\\t\\t: ${flags}\\n'` : `throw new Error('refused')`}
    }`
  const says = async (before: string, reason: string, environment?: NodeJS.ProcessEnv) =>
    assert.match(await described(before, environment), new RegExp(`^${PRODUCT} \\(${reason}\\), 2 threads, `))

  const withoutKoffi = `
    const Module = require('node:module')
    const resolve = Module._resolveFilename
    Module._resolveFilename = function (name, ...rest) {
      if (name === 'koffi') throw new Error('Cannot find module')
      return resolve.call(this, name, ...rest)
    }`
  test('without koffi', () => says(withoutKoffi, 'machine code would be faster: npm install koffi'))

  test('without koffi, if it is asked for, not at all', async () => {
    assert.match(
      await described(withoutKoffi, { COCAGRAD_MACHINE_CODE: 'AVX2' }),
      /^DeviceError cpu: no machine code with AVX2: machine code would be faster: npm install koffi\n/,
    )
  })

  test('on a processor that has neither AVX-512 nor AVX2', () =>
    says(processor('sse2 avx fma'), 'this processor does not have AVX2'))

  test('where a part of AVX-512 is missing it uses AVX2', async () => {
    const flags = 'sse2 avx2 fma bmi2 avx512f avx512dq avx512bw'
    assert.match(await described(processor(flags)), new RegExp(`^${PRODUCT}, machine code with AVX2, 2 threads, `))
    assert.match(
      await described(processor(flags), { COCAGRAD_MACHINE_CODE: 'AVX-512' }),
      /^DeviceError cpu: no machine code with AVX-512: this processor does not have AVX-512\n/,
    )
  })

  test('where the instructions are not known', () =>
    says(processor(), 'machine code would be faster: /proc/cpuinfo, .*, cannot be read'))

  test('on a system that does not let a process execute what it wrote', async t => {
    // a filter of system calls (seccomp) refuses mprotect(…, PROT_READ | PROT_EXEC) from here on. V8 asks for memory that it can write to too
    const hardened = `
      const koffi = require('koffi')
      const prctl = koffi.load(null).func('int prctl(int, intptr_t, intptr_t, intptr_t, intptr_t)')
      const LOAD = 0x20, JUMP_EQUAL = 0x15, RETURN = 0x06
      const MPROTECT = 10, NUMBER = 0, PROTECTION = 32, REFUSE = 0x50000 | 13, ALLOW = 0x7fff0000
      const instructions = [
        [LOAD, 0, 0, NUMBER], [JUMP_EQUAL, 0, 3, MPROTECT], [LOAD, 0, 0, PROTECTION], [JUMP_EQUAL, 0, 1, 5], [RETURN, 0, 0, REFUSE], [RETURN, 0, 0, ALLOW],
      ]
      const filter = new DataView(new ArrayBuffer(8 * instructions.length))
      instructions.forEach(([code, yes, no, value], i) => {
        filter.setUint16(8 * i, code, true)
        filter.setUint8(8 * i + 2, yes)
        filter.setUint8(8 * i + 3, no)
        filter.setUint32(8 * i + 4, value, true)
      })
      const whole = new DataView(new ArrayBuffer(16))
      whole.setUint16(0, instructions.length, true)
      whole.setBigUint64(8, BigInt(koffi.address(new Uint8Array(filter.buffer))), true)
      const NO_NEW_PRIVILEGES = 38, SECCOMP = 22
      prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
      if (prctl(SECCOMP, 2, Number(koffi.address(new Uint8Array(whole.buffer))), 0, 0) !== 0) console.log('no filter')`
    const printed = await described(hardened)
    if (printed.startsWith('no filter')) return t.skip('this system does not let a process filter its system calls')
    const reason = 'machine code is not possible: the system does not let this process make code'
    assert.match(printed, new RegExp(`^${PRODUCT} \\(${reason}\\), 2 threads, `))
    assert.match(
      await described(hardened, { COCAGRAD_MACHINE_CODE: 'AVX2' }),
      new RegExp(`^DeviceError cpu: no machine code with AVX2: ${reason}\n`),
    )
  })
})
