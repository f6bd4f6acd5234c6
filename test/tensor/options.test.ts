// Reading of options and checks of arguments: an unknown or missing one, or one of another kind, throws an error that names it.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkArguments, checkEach, takes } from '../../src/tensor/arguments.ts'
import { given, listed } from '../../src/tensor/given.ts'
import { ArgumentError, OptionsError, tensor } from '../../src/tensor/index.ts'
import * as is from '../../src/tensor/kinds.ts'
import { nearest } from '../../src/tensor/nearest.ts'
import { group, groups, optionalGroup, type Settings, settle } from '../../src/tensor/options.ts'
import '../reference.ts'
import { type Row, refuse } from '../loose.ts'

interface Part {
  readonly size: number
  readonly bias?: boolean
}

interface Everything {
  readonly axis?: number
  readonly keepDims?: boolean
  readonly reduction?: 'mean' | 'sum'
  readonly count: number
  readonly name?: string
  readonly part?: Part
  readonly loss?: { readonly weight?: number }
  readonly parts?: readonly Part[]
}

const part = { size: is.count, bias: true } satisfies Settings<Part>
const loss = { weight: 1 } satisfies Settings<NonNullable<Everything['loss']>>
const settings = {
  axis: -1,
  keepDims: false,
  reduction: is.choice('mean', 'sum'),
  count: is.count,
  name: is.optional(is.text),
  part: optionalGroup(part),
  loss: group(loss),
  parts: groups<Part>(part),
} satisfies Settings<Everything>

const read = (options: unknown) => settle('f(x, options)', options as Everything, settings)

describe('settle', () => {
  it('returns the given options, with defaults for the others', () => {
    const rest = { reduction: 'mean', name: undefined, part: undefined, loss: { weight: 1 }, parts: [] }
    assert.deepEqual({ ...read({ count: 2 }) }, { axis: -1, keepDims: false, count: 2, ...rest })
    assert.deepEqual(
      { ...read({ count: 2, axis: 0, keepDims: true, name: 'n', loss: { weight: 3 } }) },
      { ...rest, axis: 0, keepDims: true, count: 2, name: 'n', loss: { weight: 3 } },
    )
    const { part: inner, parts } = read({ count: 1, part: { size: 3 }, parts: [{ size: 1 }, { size: 2, bias: false }] })
    assert.deepEqual(inner, { size: 3, bias: true })
    assert.deepEqual(parts, [
      { size: 1, bias: true },
      { size: 2, bias: false },
    ])
  })

  it('treats undefined as not given', () => {
    assert.equal(read({ count: 1, axis: undefined }).axis, -1)
    assert.equal(read({ count: 1, part: undefined }).part, undefined)
  })

  it('finds all mistakes: the error of the first one has the others', () => {
    assert.throws(
      () => read({ axs: 1, keepDims: 0, part: { size: 0, bias: 1 }, loss: 3, parts: [{ size: 2 }, { width: 1 }] }),
      (error: unknown) => {
        assert.ok(error instanceof OptionsError)
        assert.deepEqual(
          [error, ...error.others].map(({ option, reason }) => `${option}: ${reason}`),
          [
            'axs: is no option',
            'keepDims: must be true or false, not 0',
            'count: is missing',
            'part.size: must be a whole number above 0, not 0',
            'part.bias: must be true or false, not 1',
            'loss: must be an object of options, not 3',
            'parts[1].width: is no option',
            'parts[1].size: is missing',
          ],
        )
        return true
      },
    )
  })

  it('returns the same object if no options are given', () => {
    const plain = { axis: -1, keepDims: false } satisfies Settings<Pick<Everything, 'axis' | 'keepDims'>>
    const once = settle('f(options)', undefined, plain)
    assert.equal(settle('f(options)', undefined, plain), once)
    assert.ok(Object.isFrozen(once), 'the settings are shared')
  })

  it('takes objects without a prototype and of another realm', () => {
    assert.equal(read(Object.assign(Object.create(null), { count: 3 })).count, 3)
    const realm = Object.create(Object.create(null))
    realm.count = 4
    assert.equal(read(realm).count, 4)
  })

  it('throws an error with function, option, value and known names', () => {
    assert.throws(
      () => read({ count: 1, loss: { wieght: 2 } }),
      (error: unknown) => {
        assert.ok(error instanceof OptionsError && error instanceof TypeError, `${error}`)
        const { function: name, option, value, known } = error
        assert.deepEqual(
          { name, option, value, known },
          { name: 'f', option: 'loss.wieght', value: 2, known: ['weight'] },
        )
        return true
      },
    )
  })

  const rows: Row[] = [
    [
      'a misspelt name',
      () => read({ count: 1, axsi: 0 }),
      'OptionsError',
      'f: there is no option axsi, which was 0',
      'write f(x, { axis: 0 })',
    ],
    ["PyTorch's name", () => read({ count: 1, keepdim: true }), 'OptionsError', 'write f(x, { keepDims: true })'],
    [
      'a name in snake case',
      () => read({ count: 1, keep_dims: true }),
      'OptionsError',
      'write f(x, { keepDims: true })',
    ],
    [
      'a name like no other',
      () => read({ count: 1, colour: 'red' }),
      'OptionsError',
      "f: there is no option colour, which was 'red'; the options are axis, keepDims, reduction, count, name, part, loss and parts",
    ],
    ['a name of every object', () => read({ count: 1, toString: 1 }), 'OptionsError', 'no option toString'],
    [
      'a missing option',
      () => read({}),
      'OptionsError',
      'f: count is missing: it must be a whole number above 0; write f(x, { count: … })',
    ],
    ['no options at all, where one must be', () => read(undefined), 'OptionsError', 'count is missing'],
    [
      'a number for a truth',
      () => read({ count: 1, keepDims: 1 }),
      'OptionsError',
      'keepDims must be true or false, not 1',
    ],
    [
      'digits for a number',
      () => read({ count: 1, axis: '2' }),
      'OptionsError',
      "axis must be a number, not '2'; write f(x, { axis: 2 })",
    ],
    [
      'another word',
      () => read({ count: 1, reduction: 'avg' }),
      'OptionsError',
      "must be 'mean' or 'sum', not 'avg'; write f(x, { reduction: 'mean' })",
    ],
    ['null', () => read({ count: 1, name: null }), 'OptionsError', 'name must be a string, not null'],
    [
      'an unknown name inside',
      () => read({ count: 1, part: { size: 1, use_bias: false } }),
      'OptionsError',
      'no option part.use_bias',
      'write f(x, { part: { bias: false } })',
    ],
    [
      'a missing one inside',
      () => read({ count: 1, part: {} }),
      'OptionsError',
      'part.size is missing',
      'write f(x, { part: { size: … } })',
    ],
    [
      'an unknown name in a list',
      () => read({ count: 1, parts: [{ size: 1 }, { size: 1, bais: true }] }),
      'OptionsError',
      'no option parts[1].bais',
      'write f(x, { parts: [{ bias: true }] })',
    ],
    [
      'one object instead of a list',
      () => read({ count: 1, parts: { size: 1 } }),
      'OptionsError',
      'parts must be a list of objects of options, not { size: 1 }',
    ],
    [
      'something else inside',
      () => read({ count: 1, loss: 2 }),
      'OptionsError',
      'loss must be an object of options, not 2',
    ],
    ['a number', () => read(3), 'OptionsError', 'f: options must be an object, not 3', 'write f(x, { axis: 3 })'],
    ['a word', () => read('sum'), 'OptionsError', "not 'sum'", "write f(x, { reduction: 'sum' })"],
    ['a list', () => read([1]), 'OptionsError', 'options must be an object, not [1]'],
    ['null for all', () => read(null), 'OptionsError', 'options must be an object, not null'],
    ['a tensor', () => read(tensor([1, 2])), 'OptionsError', 'options must be an object, not a tensor [2]'],
    ['a Map', () => read(new Map()), 'OptionsError', 'options must be an object, not a Map of 0'],
    ['a Promise', () => read(Promise.resolve({})), 'OptionsError', 'options must be an object, not a Promise'],
    ['a function', () => read(() => 1), 'OptionsError', 'options must be an object, not a function'],
  ]
  refuse(rows)
})

describe('the suggested name', () => {
  it('is a synonym of other libraries, or differs by a few letters', () => {
    const pairs: [string, readonly string[], string | undefined][] = [
      ['dim', ['axis', 'keepDims'], 'axis'],
      ['dims', ['axis', 'keepDims'], 'axis'],
      ['keepdims', ['axis', 'keepDims'], 'keepDims'],
      ['keep_dims', ['axis', 'keepDims'], 'keepDims'],
      ['lr', ['learningRate', 'weightDecay'], 'learningRate'],
      ['learning_rate', ['learningRate', 'weightDecay'], 'learningRate'],
      ['weight_decay', ['learningRate', 'weightDecay'], 'weightDecay'],
      ['eps', ['betas', 'epsilon'], 'epsilon'],
      ['epsilon', ['order', 'eps'], 'eps'],
      ['n_heads', ['width', 'heads'], 'heads'],
      ['numHeads', ['width', 'heads'], 'heads'],
      ['p', ['rate'], 'rate'],
      ['momentm', ['momentum', 'nesterov'], 'momentum'],
      ['ahxis', ['axis', 'keepDims'], 'axis'],
      ['axsi', ['axis', 'keepDims'], 'axis'],
      ['colour', ['axis', 'keepDims'], undefined],
      ['x', [], undefined],
    ]
    for (const [name, known, expected] of pairs) assert.equal(nearest(name, known), expected, name)
  })

  it('is a known name that differs only in case and underscores', () => {
    for (const name of ['keepDims', 'keepdims', 'KEEP_DIMS', 'keep-dims'])
      assert.equal(nearest(name, ['keepDims']), 'keepDims')
  })
})

describe('checkArguments', () => {
  const call = (args: unknown[], kinds = [is.tensor, is.shape, is.optional(is.integer)]) =>
    checkArguments('x.f(shape, axis)', kinds, args)
  const x = tensor([1, 2])

  it('accepts valid arguments', () => {
    call([x, [1, 2]])
    call([x, [1, 2], 0])
    call([x, [], undefined])
  })

  it('throws an error with function, argument and value', () => {
    assert.throws(
      () => call([x, 'a']),
      (error: unknown) => {
        assert.ok(error instanceof ArgumentError && error instanceof TypeError, `${error}`)
        assert.deepEqual([error.function, error.argument, error.value], ['f', 'shape', 'a'])
        return true
      },
    )
  })

  const variadic = (...args: unknown[]) => checkArguments('g(name, ...xs)', [is.text, is.rest(is.tensor)], args)
  const rows: Row[] = [
    [
      'numbers one by one',
      () => call([x, 2, 3]),
      'ArgumentError',
      'f: shape must be a list of sizes such as [2, 3], not 2; write x.f([2, 3])',
    ],
    ['a tensor for its shape', () => call([x, x]), 'ArgumentError', 'not a tensor [2]; write x.f([2])'],
    [
      'nothing',
      () => call([x]),
      'ArgumentError',
      'shape is missing: it must be a list of sizes such as [2, 3]; write x.f(shape)',
    ],
    [
      'one too many',
      () => call([x, [1], 0, 'a']),
      'ArgumentError',
      "f: one argument too many, 'a'; it is called as x.f(shape, axis)",
    ],
    ['two too many', () => call([x, [1], 0, 1, 2]), 'ArgumentError', 'f: 2 arguments too many, 1, 2'],
    [
      'an option for an argument',
      () => call([x, [1], { axis: 1 }]),
      'ArgumentError',
      'axis must be a whole number, not { axis: 1 }; write x.f(shape, 1)',
    ],
    [
      "another library's option for an argument",
      () => call([x, [1], { dim: 1 }]),
      'ArgumentError',
      'write x.f(shape, 1)',
    ],
    ['a Promise', () => call([x, Promise.resolve([1])]), 'ArgumentError', 'not a Promise; write x.f(await shape)'],
    [
      'a list for a tensor',
      () => call([[1, 2], [2]]),
      'ArgumentError',
      'f: x must be a tensor, not [1, 2]; write tensor([1, 2]).f(shape)',
    ],
    [
      'a list among tensors',
      () => variadic('a', x, [1]),
      'ArgumentError',
      "g: xs must be a tensor, not [1]; write g('a', xs, tensor([1]))",
    ],
    ['tensors in a list', () => variadic('a', [x, x]), 'ArgumentError', "write g('a', ...xs)"],
    [
      'the second of several',
      () => checkEach('h', 'argument', is.tensor, [x, 3]),
      'ArgumentError',
      'h: argument 1 must be a tensor, not 3; write tensor(3)',
    ],
  ]
  refuse(rows)

  it('leaves options to settle, which knows the correction', () =>
    assert.doesNotThrow(() => checkArguments('x.f(options)', [is.tensor, is.options], [x, 1, 2])))

  it('a checked function keeps its name and properties', () => {
    const f = takes(
      'x.double()',
      [is.tensor],
      Object.assign((t: typeof x) => t, { extra: 3 }),
    )
    assert.deepEqual([f.name, f.extra, f(x) === x], ['double', 3, true])
  })
})

describe('a value in a message', () => {
  it('is short', () => {
    const pairs: [unknown, string][] = [
      [3, '3'],
      [-0, '-0'],
      [5n, '5n'],
      ['a', "'a'"],
      [undefined, 'undefined'],
      [null, 'null'],
      [[1, [2, 'b']], "[1, [2, 'b']]"],
      [[1, 2, 3, 4, 5, 6, 7], '[1, 2, 3, 4, 5, 6, …]'],
      [{ axis: 1 }, '{ axis: 1 }'],
      [{}, '{}'],
      [tensor([[1, 2]]), 'a tensor [1, 2]'],
      [tensor([1], { dtype: 'int32' }), 'a tensor [1] int32'],
      [Promise.resolve(1), 'a Promise'],
      [new Float32Array(3), 'a Float32Array of 3'],
      [new Int8Array(3), 'an Int8Array of 3'],
      [new Map([[1, 2]]), 'a Map of 1'],
      [new Date(0), 'a Date'],
      [Math.max, 'the function max'],
      [() => 1, 'a function'],
    ]
    for (const [value, text] of pairs) assert.equal(given(value), text)
    assert.deepEqual([listed(['a']), listed(['a', 'b', 'c']), listed(['a', 'b'], 'or')], ['a', 'a, b and c', 'a or b'])
  })
})
