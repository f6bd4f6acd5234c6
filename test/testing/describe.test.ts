// One line declares all tests of an operation, under node:test and under any pair of describe and it; and what a failure
// prints is a program that fails again.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import '../reference.ts'
import { concat, defineFused, defineOp, split } from '../../src/autograd/index.ts'
import { Linear } from '../../src/nn/index.ts'
import { device, type Kernels, ShapeError, Tensor, tensor as tensorOf } from '../../src/tensor/index.ts'
import { describeOperation, mask, type TestRunner, tensor, tensors } from '../../src/testing/index.ts'
import { runner } from '../../src/testing/runner.ts'
import { fc } from '../support.ts'

const exp = (k: Kernels, x: Tensor) => k.unary('exp', x)
const right = defineOp('right', exp, (g, out) => [() => g.mul(out)])
const wrong = defineOp('wrong', exp, (g, out) => [() => g.mul(out).mul(1.001)])

/** A test runner in a few lines, as jest looks to whoever declares tests: what was declared, and what came of it. */
function jestLike() {
  const tests: { name: string; run: () => void | Promise<void> }[] = []
  const suites: string[] = []
  const globals: TestRunner = {
    describe(name, declare) {
      suites.push(name)
      declare()
      suites.pop()
    },
    it: (name, run) => void tests.push({ name: [...suites, name].join(' > '), run }),
  }
  const failures = async () => {
    const failed = new Map<string, string>()
    for (const { name, run } of tests) {
      try {
        await run()
      } catch (error) {
        failed.set(name, (error as Error).message)
      }
    }
    return failed
  }
  return { globals, tests, failures }
}

const failuresOf = async (declare: (test: TestRunner) => void): Promise<Map<string, string>> => {
  const { globals, failures } = jestLike()
  declare(globals)
  return failures()
}

describe('under a runner like jest', () => {
  it('declares gradients, laws, checkpoint and devices under the name of the operation', () => {
    const { globals, tests } = jestLike()
    describeOperation(right, { test: globals, devices: ['cpu'] })
    assert.deepEqual(
      tests.map(({ name }) => name),
      [
        'right > its gradients agree with finite differences',
        'right > its gradient is linear in the one it is given',
        'right > its derivatives forwards and backwards agree',
        'right > its second derivatives are symmetric',
        'right > gives the same for the same',
        'right > the layout in memory changes nothing',
        'right > is not changed by checkpoint',
        'right > cpu agrees with reference',
      ],
    )
  })

  it('what is right passes all of them', async () =>
    assert.equal((await failuresOf(test => describeOperation(right, { test, order: 3 }))).size, 0))

  it('below the second order nothing is asked of second derivatives', async () => {
    const { globals, tests, failures } = jestLike()
    const once = defineFused('once', {
      definition: (x: Tensor) => x.exp(),
      rule: (g, out) => [() => g.mul(out.stopGradient())],
    })
    describeOperation(once, { test: globals, order: 1 })
    assert.deepEqual(
      tests.map(({ name }) => name),
      [
        'once > its gradients agree with finite differences',
        'once > its gradient is linear in the one it is given',
        'once > its derivatives forwards and backwards agree',
        'once > gives the same for the same',
        'once > the layout in memory changes nothing',
        'once > is not changed by checkpoint',
        'once > is what its definition says, the gradient too',
        'once > cpu agrees with reference',
      ],
    )
    assert.equal((await failures()).size, 0)
    const { globals: others, failures: twice } = jestLike()
    describeOperation(once, { test: others })
    assert.ok((await twice()).has('once > is what its definition says, derivatives too'))
  })

  it('refuses what would check nothing, or has no meaning', () => {
    const { globals: test } = jestLike()
    const refuses = (options: object, name: string, message: RegExp) =>
      assert.throws(() => describeOperation(right, { test, ...options }), { name, message })
    refuses({ numRuns: 0 }, 'RangeError', /right: numRuns must be a positive integer, not 0: without samples nothing/)
    refuses({ order: 4 }, 'RangeError', /right: the order must be 0, 1, 2 or 3, not 4/)
    refuses({ name: '' }, 'TypeError', /the function has no name; give it one with \{ name: '…' \}/)
    assert.throws(() => describeOperation(((x: Tensor) => x.exp()) as never, { test }), /has no name/)
  })

  it('globals are found', async () => {
    const { globals, tests, failures } = jestLike()
    Object.assign(globalThis, globals)
    try {
      describeOperation(right)
    } finally {
      for (const name of Object.keys(globals)) Reflect.deleteProperty(globalThis, name)
    }
    assert.equal(tests.length, 8)
    assert.equal((await failures()).size, 0)
  })
})

describe('what a bug does', () => {
  const failedOf = async (declare: (test: TestRunner) => void) =>
    [...(await failuresOf(declare)).keys()].map(name => name.split(' > ')[1])

  it('a wrong factor fails the differences', async () =>
    assert.deepEqual(await failedOf(test => describeOperation(wrong, { test })), [
      'its gradients agree with finite differences',
    ]))

  it('a gradient that is not linear fails that law', async () => {
    const crooked = defineOp('crooked', exp, (g, out) => [() => g.abs().mul(out)])
    const failed = await failedOf(test => describeOperation(crooked, { test }))
    assert.ok(failed.includes('its gradient is linear in the one it is given'), failed.join())
  })

  it('a state fails repetition and checkpoint', async () => {
    let calls = 0
    const restless = (x: Tensor) => x.mul(++calls)
    const failed = await failedOf(test => describeOperation(restless, { test, name: 'restless' }))
    assert.ok(failed.includes('gives the same for the same'), failed.join())
  })

  it('a rule that is not of its definition fails the comparison with it', async () => {
    const crossed = defineFused('crossed', {
      definition: (x: Tensor) => x.exp(),
      rule: (g, out) => [() => g.mul(out).mul(1.5)],
    })
    const failed = await failedOf(test => describeOperation(crossed, { test }))
    assert.ok(failed.includes('is what its definition says, derivatives too'), failed.join())
  })

  it('a device that computes something else fails', async () => {
    const elsewhere = defineFused('elsewhere', {
      definition: (x: Tensor) => x.exp(),
      kernel: (k, x) => (x.device === 'cpu' ? k.unary('expm1', x) : k.unary('exp', x)),
    })
    assert.deepEqual(await failedOf(test => describeOperation(elsewhere, { test })), ['cpu agrees with reference'])
  })

  it('a function that does not look at strides fails the layout', async () => {
    const careless = defineOp(
      'careless',
      (k, x: Tensor) => k.unary('exp', new Tensor(x.storage, x.shape)),
      (g, out) => [() => g.mul(out)],
    )
    for (const order of [0, 2] as const) {
      const failures = await failuresOf(test => describeOperation(careless, { test, order }))
      const message = failures.get('careless > the layout in memory changes nothing') ?? ''
      const options = order === 0 ? ', { gradients: false }' : ''
      assert.ok(message.includes(`await checkLayout(careless, [tensor(0)]${options})`), message)
    }
  })

  it('a kink at 0 fails every time, and says what to do', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const relu = (x: Tensor) => x.relu()
      const failures = await failuresOf(test => describeOperation(relu, { test, seed, numRuns: 1 }))
      const message = failures.get('relu > its gradients agree with finite differences')
      assert.match(message ?? '', /at a kink[\s\S]*awayFrom: \[0\][\s\S]*checkGradients\(relu, \[tensor\(0\)\]/)
      assert.equal((await failuresOf(test => describeOperation(relu, { test, seed, awayFrom: [0] }))).size, 0)
    }
    // and where 0 is not drawn it is no example
    const log = (x: Tensor) => x.log()
    assert.equal((await failuresOf(test => describeOperation(log, { test, domain: [1 / 2, 2] }))).size, 0)
  })

  it('on gpu nothing else is asked of who uses it, and what is wrong there alone is found', async () => {
    const elsewhere = defineFused('elsewhere', {
      definition: (x: Tensor) => x.exp(),
      kernel: (k, x) => (x.device === 'gpu' ? k.unary('expm1', x) : undefined),
    })
    await device.use('gpu', { backend: 'cpu' })
    try {
      const failures = await failuresOf(test => {
        describeOperation(right, { test, devices: ['cpu', 'gpu'] })
        describeOperation(elsewhere, { test, devices: ['cpu', 'gpu'] })
      })
      assert.deepEqual([...failures.keys()], ['elsewhere > gpu agrees with reference'])
      const [message] = failures.values()
      assert.match(message, /^on gpu element 0 of the value is 0, on reference 1$/m)
      assert.match(
        message,
        /^import \{ device, tensor \} from 'cocagrad'$[\s\S]*^await device.open\("gpu", \{ backend: "cpu" \}\)\nawait checkDevice\(elsewhere, \[tensor\(0\)\], "gpu"\)$/m,
      )
    } finally {
      await device.use('reference')
    }
  })

  it('an error that is not thrown, is of another class, or says something else fails', async () => {
    const refuse = (): never => {
      throw new ShapeError('right: [2] is no [3]')
    }
    const failures = await failuresOf(test =>
      describeOperation(right, {
        test,
        order: 0,
        devices: [],
        errors: [
          [refuse, ShapeError, '[2] is no [3]'],
          [refuse, RangeError, 'a class'],
          [refuse, ShapeError, 'a text'],
          [() => 1, ShapeError, 'nothing'],
        ],
      }),
    )
    assert.deepEqual(
      [...failures],
      [
        ['right > refuses: a class', 'RangeError was expected, but ShapeError: right: [2] is no [3] was thrown'],
        [
          'right > refuses: a text',
          '"a text" was expected in the message, but ShapeError: right: [2] is no [3] was thrown',
        ],
        ['right > refuses: nothing', 'ShapeError with "nothing" was expected, but nothing was thrown'],
      ],
    )
  })
})

describe('arguments and results', () => {
  const square = tensor({ shape: [2, 2] })

  it('a list of results is checked', async () => {
    const halves = (x: Tensor) => split(x, 1)
    assert.equal((await failuresOf(test => describeOperation(halves, { test, samples: fc.tuple(square) }))).size, 0)
  })

  it('tensors in lists and in options are inputs: differentiated, and moved to the device', async () => {
    const samples = fc.tuple(fc.tuple(square, square), fc.record({ mask: mask([2, 2]), axis: fc.constantFrom(0, 1) }))
    const whole = (list: readonly Tensor[], { mask, axis }: { mask: Tensor; axis: number }) =>
      concat(
        list.map(x => x.mul(mask)),
        axis,
      )
    assert.equal((await failuresOf(test => describeOperation(whole, { test, samples }))).size, 0)
  })

  it('and a program shows them where they stand', async () => {
    const weigh = defineOp(
      'weigh',
      (k, x: Tensor, y: Tensor) => k.binary('mul', x, y, x.dtype),
      (g, _, x, y) => [() => g.mul(y), () => g.mul(x).mul(2)],
    )
    const weighed = ([x]: readonly Tensor[], { by }: { readonly by: Tensor }) => weigh(x, by)
    const one = fc.constant(tensorOf(1, { device: 'reference' }))
    const samples = fc.tuple(fc.tuple(one), fc.record({ by: one }))
    const failures = await failuresOf(test => describeOperation(weighed, { test, samples }))
    assert.match(
      failures.get('weighed > its gradients agree with finite differences') ?? '',
      /await checkGradients\(\(x, y\) => weighed\(\[x\], \{ by: y \}\), \[tensor\(1\), tensor\(1\)\], \{ order: 2 \}\)/,
    )
  })

  it('tensors that cannot be exchanged, or none at all, are refused in a sentence', async () => {
    const refusal = async (samples: fc.Arbitrary<readonly never[]>) => {
      const failures = await failuresOf(test =>
        describeOperation((...args: never[]) => args[0], { test, name: 'odd', samples }),
      )
      const [message, ...others] = new Set(failures.values())
      assert.deepEqual(others, [])
      return message
    }
    const layer = device.with('reference', () => new Linear(1, 1))
    assert.match(
      await refusal(fc.tuple(square, fc.constant(layer)) as never),
      /^a tensor in a Linear among the arguments cannot be replaced: .*\(for parameters of a module, see withParameters\)$/,
    )
    assert.match(await refusal(fc.tuple(fc.integer()) as never), /^the arguments must have at least one tensor/)
  })

  it('a function without a name is printed whole', async () => {
    const failures = await failuresOf(test =>
      describeOperation((x => x.mul(Number.NaN)) as (x: Tensor) => Tensor, { test, name: 'no number', from: './a.ts' }),
    )
    const message = failures.get('no number > its gradients agree with finite differences') ?? ''
    assert.ok(!message.includes('./a.ts'), message)
    assert.match(message, /await checkGradients\(\(\(?x\)? ?=> ?x\.mul\(Number\.NaN\)\), \[tensor\(0\)\]/)
  })
})

describe('what a failure prints', () => {
  const root = join(import.meta.dirname, '../..')
  // inside the package, so that `import 'cocagrad'` finds it
  const folder = join(root, '.cache/describe')
  const definition = `
import { defineOp, type Tensor } from 'cocagrad'

/** e^x times a number, with a gradient that is wrong where there are two columns */
export const scaled = defineOp(
  'scaled',
  (k, x: Tensor, by: number, _flags: { readonly deep: readonly string[] }) => k.binary('mul', k.unary('exp', x), by, x.dtype),
  (g, out, x) => [() => g.mul(out).mul(x.shape[x.rank - 1] > 1 ? 1.5 : 1)],
)
`
  const scaled = defineOp(
    'scaled',
    (k, x: Tensor, by: number, _flags: { readonly deep: readonly string[] }) =>
      k.binary('mul', k.unary('exp', x), by, x.dtype),
    (g, out, x) => [() => g.mul(out).mul((x.shape[x.rank - 1] ?? 0) > 1 ? 1.5 : 1)],
  )
  const samples = fc.tuple(
    tensor(),
    fc.integer({ min: 1, max: 9 }),
    fc.record({ deep: fc.array(fc.constantFrom('a', "it's")) }, { noNullPrototype: true }),
  )
  const options = { samples, from: './scaled.ts', numRuns: 300, devices: [] }
  const says = 'scaled > its gradients agree with finite differences'

  before(async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'scaled.ts'), definition)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const runFile = async (name: string, code: string, ...flags: string[]) => {
    const file = join(folder, name)
    await writeFile(file, code)
    const env = { ...process.env }
    delete env.NODE_TEST_CONTEXT
    return promisify(execFile)('node', ['--conditions=source', '--import', 'tsx', ...flags, file], {
      cwd: root,
      env,
    }).then(
      ({ stdout }) => ({ failed: false, output: stdout }),
      (error: { stdout: string; stderr: string }) => ({ failed: true, output: error.stdout + error.stderr }),
    )
  }

  /** The program in a message. */
  const programIn = (message: string) => message.slice(message.indexOf('import'), message.lastIndexOf('\n\nafter'))

  it('is the smallest input, in a program that runs and fails with the same words', async () => {
    const message = (await failuresOf(test => describeOperation(scaled, { ...options, test }))).get(says)
    assert.ok(message, 'it failed')
    const program = programIn(message)
    assert.equal(
      program,
      [
        "import { tensor } from 'cocagrad'",
        "import { checkGradients } from 'cocagrad/testing'",
        "import { scaled } from './scaled.ts'",
        '',
        'await checkGradients((x) => scaled(x, 1, { deep: [] }), [tensor([0, 0])], { order: 2 })',
      ].join('\n'),
    )
    const { failed, output } = await runFile('again.ts', program)
    assert.ok(failed, 'the program fails')
    const [said] = message.split('\n\n')
    assert.ok(output.includes(said), `${output}\n\ndoes not say\n\n${said}`)
  })

  it('has a seed and a path that lead back to it at once', async () => {
    const message = (await failuresOf(test => describeOperation(scaled, { ...options, test }))).get(says)
    const [, seed, path] = /seed (-?\d+), path "([\d:]+)"$/.exec(message ?? '') ?? []
    const again = (
      await failuresOf(test => describeOperation(scaled, { ...options, test, seed: Number(seed), path }))
    ).get(says)
    assert.match(again ?? '', /after 1 samples and 0 shrinking steps/)
    assert.equal(programIn(again ?? ''), programIn(message ?? ''))
  })

  it('an operation of several tensors is called with all of them', async () => {
    const lost = defineOp(
      'lost',
      (k, a: Tensor, b: Tensor) => k.binary('add', a, b, a.dtype),
      g => [() => g, () => g.mul(2)],
    )
    const failures = await failuresOf(test =>
      describeOperation(lost, { test, samples: tensors(fc.constant([[], []])).map(([a, b]) => [a, b] as const) }),
    )
    const message = failures.get('lost > its gradients agree with finite differences')
    assert.match(message ?? '', /await checkGradients\(lost, \[tensor\(0\), tensor\(0\)\], \{ order: 2 \}\)/)
  })

  it('runs under node:test itself', async () => {
    const code = `
import { describeOperation } from 'cocagrad/testing'
import { defineOp, type Tensor } from 'cocagrad'

describeOperation(defineOp('cube', (k, x: Tensor) => k.binary('mul', x, k.binary('mul', x, x, x.dtype), x.dtype), (g, _, x) => [() => g.mul(x.square()).mul(3)]))
describeOperation(defineOp('late', (k, x: Tensor) => k.unary('exp', x), (g, out) => [() => g.mul(out.stopGradient())]))
`
    const { failed, output } = await runFile('under.test.ts', code, '--test', '--test-reporter=tap')
    assert.ok(failed, 'one of the two is wrong')
    assert.match(output, /^# pass 1\d$/m)
    assert.match(output, /not ok \d+ - late/)
    assert.match(output, /ok \d+ - cube/)
    assert.match(output, /order 2, input 0 .*the tape gives/)
    assert.match(output, /await checkGradients\(late, \[tensor\(0\)\], \{ order: 2 \}\)/)
  })
})

describe('the runner', () => {
  const pair: TestRunner = { describe: () => undefined, it: () => undefined }
  const builtin = () => pair

  it('is the one that was given, else the global one, else node:test', () => {
    assert.equal(runner(pair, {}), pair)
    assert.deepEqual(runner(undefined, { ...pair }), pair)
    assert.equal(runner(undefined, { process: { getBuiltinModule: builtin } }), pair)
  })

  it('is not node:test inside of another one, or where there is none', () => {
    const message = /describe and it are not global here; pass those of your runner as \{ test: \{ describe, it \} \}/
    for (const name of ['VITEST', 'JEST_WORKER_ID'])
      assert.throws(() => runner(undefined, { process: { env: { [name]: '1' }, getBuiltinModule: builtin } }), message)
    assert.throws(() => runner(undefined, {}), message)
  })
})
