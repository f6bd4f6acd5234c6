// Every parameter in a module's fields is found once, by a path that leads back to it, at any depth of arrays, plain objects and
// Maps; and all methods of a module reach it.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../reference.ts'
import { toSafetensors } from '../../src/io/formats/device-tensors.ts'
import { encodeSafetensors, parseSafetensors } from '../../src/io/formats/safetensors.ts'
import { FieldError, init, Linear, Module, Parameter, parameter, withParameters } from '../../src/nn/index.ts'
import { sameParameters } from '../../src/nn/module.ts'
import { ones, type Tensor, tensor } from '../../src/tensor/index.ts'
import { toDevice } from '../../src/train/checkpoint.ts'
import { fc, runs, values } from '../support.ts'

class Node extends Module {}

/** What a field holds: a part, a container of such, a second reference to something made before, or nothing to do with modules. */
type Plan =
  | { readonly kind: 'parameter' }
  | { readonly kind: 'link'; readonly to: number }
  | { readonly kind: 'other'; readonly value: unknown }
  | { readonly kind: 'array'; readonly items: readonly Plan[] }
  | { readonly kind: 'module' | 'object' | 'map'; readonly entries: readonly (readonly [string | number, Plan])[] }

const keys = fc.oneof(fc.constantFrom('left', 'right', 'weight', 'a b', '', '7', '__proto__'), fc.nat(9))

/** Keys that are different names, and no names that a Module has. */
const entries = (plan: fc.Arbitrary<Plan>) =>
  fc.uniqueArray(fc.tuple(keys, plan), { selector: ([key]) => String(key), maxLength: 4 })

const others: readonly unknown[] = [null, undefined, 3, 'text', [1, 2], new Float32Array(3), new Date(0), /x/, () => 1]

const { plan } = fc.letrec<{ plan: Plan }>(tie => {
  const inner = fc
    .tuple(fc.constantFrom('module' as const, 'object' as const, 'map' as const), entries(tie('plan')))
    .map(([kind, entries]): Plan => ({ kind, entries }))
  const items = fc.array(tie('plan'), { maxLength: 4 }).map((items): Plan => ({ kind: 'array', items }))
  return {
    plan: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      { weight: 3, arbitrary: fc.constant<Plan>({ kind: 'parameter' }) },
      { weight: 1, arbitrary: fc.nat(50).map((to): Plan => ({ kind: 'link', to })) },
      { weight: 1, arbitrary: fc.constantFrom(...others).map((value): Plan => ({ kind: 'other', value })) },
      { weight: 2, arbitrary: items },
      { weight: 5, arbitrary: inner },
    ),
  }
})

/** Of a whole module. */
const plans = fc.uniqueArray(fc.tuple(keys, plan), { selector: ([key]) => String(key), minLength: 2, maxLength: 6 })

interface Built {
  readonly root: Module
  /** all parameters, modules and containers */
  readonly made: readonly object[]
  readonly parameters: Parameter[]
  readonly modules: Module[]
}

function build(entries: readonly (readonly [string | number, Plan])[]): Built {
  const [parameters, modules, made]: [Parameter[], Module[], object[]] = [[], [], []]
  const set = (owner: object, key: string | number, value: unknown) =>
    Object.defineProperty(owner, key, { value, writable: true, enumerable: true, configurable: true })
  const make = (plan: Plan): unknown => {
    if (plan.kind === 'other') return plan.value
    if (plan.kind === 'link') return made[plan.to % made.length]
    if (plan.kind === 'parameter') {
      const one = new Parameter(tensor([parameters.length], { dtype: 'float32' }))
      parameters.push(one)
      made.push(one)
      return one
    }
    const owner = { module: () => new Node(), object: () => ({}), map: () => new Map(), array: () => [] }[plan.kind]()
    made.push(owner)
    if (owner instanceof Module) modules.push(owner)
    if (plan.kind === 'array') for (const item of plan.items) (owner as unknown[]).push(make(item))
    else
      for (const [key, value] of plan.entries)
        if (owner instanceof Map) owner.set(key, make(value))
        else set(owner, key, make(value))
    return owner
  }
  return { root: make({ kind: 'module', entries }) as Module, made, parameters, modules }
}

const property = (f: (built: Built) => void) =>
  fc.assert(
    fc.property(plans, entries => f(build(entries))),
    runs(150),
  )

/** Where a path of keys leads. */
const follow = (root: Module, path: string): unknown =>
  path
    .split('.')
    .reduce(
      (at: unknown, key) =>
        at instanceof Map ? (at.has(key) ? at.get(key) : at.get(Number(key))) : Reflect.get(at as object, key),
      root,
    )

/** Every parameter that can be come to at all, found without paths. */
function reachable(value: unknown, seen = new Set<unknown>()): Set<unknown> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return seen
  seen.add(value)
  if (value instanceof Parameter || ArrayBuffer.isView(value)) return seen
  for (const each of value instanceof Map ? value.values() : Object.values(value)) reachable(each, seen)
  return seen
}

describe('in nested arrays, plain objects and Maps', () => {
  it('every parameter is found once, by a path that leads back to it', () =>
    property(({ root, parameters }) => {
      const found = [...root.namedParameters()]
      assert.deepEqual(new Set(found.map(([, parameter]) => parameter)), new Set(parameters))
      assert.equal(found.length, parameters.length)
      assert.equal(new Set(found.map(([name]) => name)).size, found.length)
      for (const [name, parameter] of found) assert.equal(follow(root, name), parameter, name)
    }))

  it('every module is found once, itself first, by a path that leads back to it', () =>
    property(({ root, modules }) => {
      const found = [...root.namedModules()]
      assert.deepEqual(found[0], ['', root])
      assert.deepEqual(new Set(found.map(([, module]) => module)), new Set(modules))
      assert.equal(found.length, new Set(modules).size)
      for (const [name, module] of found.slice(1)) assert.equal(follow(root, name), module, name)
      const inside = [...root.namedModules('model.')].map(([name]) => name)
      assert.deepEqual(
        inside,
        found.map(([name], i) => (i === 0 ? 'model' : `model.${name}`)),
      )
    }))

  it('withParameters replaces every parameter in every place, and restores it', () =>
    property(({ root, parameters }) => {
      const before = [...root.namedParameters()]
      const news = before.map(() => ones([1]))
      withParameters(root, news, () => {
        for (const [i, [name]] of before.entries()) assert.equal(follow(root, name), news[i], name)
        const inside = reachable(root)
        assert.equal(
          parameters.some(parameter => inside.has(parameter)),
          false,
        )
      })
      assert.deepEqual([...root.namedParameters()], before)
    }))

  it('train, eval and freeze reach every module and parameter, once', () =>
    property(({ root, parameters, modules }) => {
      const seen: Module[] = []
      root.apply(module => seen.push(module))
      assert.equal(seen.length, modules.length)
      assert.deepEqual(new Set(seen), new Set(modules))
      root.eval().freeze()
      assert.ok(
        modules.every(({ training }) => !training),
        'eval reaches every module',
      )
      assert.ok(
        parameters.every(({ trainable }) => !trainable),
        'freeze reaches every parameter',
      )
    }))

  it('a change of the parameters or of their names is seen', () =>
    fc.assert(
      fc.property(plans, fc.nat(), fc.nat(), fc.constantFrom('set', 'remove', 'rename'), (entries, at, to, change) => {
        const { root, made } = build(entries)
        const listed = () => [...root.namedParameters()]
        const before = listed()
        const areSame = sameParameters(root)
        assert.equal(areSame(), true)
        const owners = made.filter(owner => !(owner instanceof Parameter))
        const owner = owners[at % owners.length]
        const value = to % 3 === 0 ? new Parameter(ones([1])) : to % 3 === 1 ? made[to % made.length] : to
        const fields = Object.keys(owner).filter(key => key !== 'training')
        const [key] = owner instanceof Map ? owner.keys() : fields
        if (change === 'set')
          owner instanceof Map ? owner.set(key ?? 'one', value) : Reflect.set(owner, key ?? 0, value)
        else if (key !== undefined) {
          const moved = owner instanceof Map ? owner.get(key) : Reflect.get(owner, key)
          owner instanceof Map ? owner.delete(key) : Reflect.deleteProperty(owner, key)
          if (change === 'rename') owner instanceof Map ? owner.set('one', moved) : Reflect.set(owner, 'one', moved)
        }
        const after = listed()
        const isChanged =
          after.length !== before.length || after.some((one, i) => one.some((x, j) => x !== before[i][j]))
        if (isChanged) assert.equal(areSame(), false)
      }),
      runs(300),
    ))

  it('printing ends with cyclic references, and shows every parameter', () =>
    property(({ root, parameters }) => {
      assert.ok(String(root).split('\n').length > parameters.length, String(root))
    }))

  it('a state dict is restored from a safetensors file', async () =>
    fc.assert(
      fc.asyncProperty(plans, async entries => {
        const [from, to] = [build(entries), build(entries)]
        for (const [i, parameter] of from.parameters.entries()) parameter.assign(tensor([i + 0.5]))
        const file = Buffer.concat(encodeSafetensors(await toSafetensors(from.root.stateDict())))
        to.root.loadStateDict(toDevice(parseSafetensors(file).tensors, 'a file'))
        assert.deepEqual(to.parameters.map(values), from.parameters.map(values))
      }),
      runs(60),
    ))

  it('all parameters move to another device', async () => {
    const { root, parameters } = build([
      ['heads', { kind: 'object', entries: [['left', { kind: 'array', items: [{ kind: 'parameter' }] }]] }],
      ['experts', { kind: 'map', entries: [[3, { kind: 'module', entries: [['w', { kind: 'parameter' }]] }]] }],
    ])
    await root.to('cpu')
    assert.deepEqual(
      parameters.map(({ device }) => device),
      ['cpu', 'cpu'],
    )
  })
})

it('names are paths of keys, joined by dots', () => {
  class Heads extends Module {
    readonly heads = { left: new Linear(1, 1), right: { deep: [new Linear(1, 1, { bias: false })] } }
    readonly blocks = [[], [new Linear(1, 1, { bias: false })]]
    readonly experts = new Map<string | number, Module>([
      ['de', new Linear(1, 1, { bias: false })],
      [4, new Linear(1, 1, { bias: false })],
    ])
  }
  const heads = new Heads()
  const names = ['heads.left.weight', 'heads.left.bias', 'heads.right.deep.0.weight', 'blocks.1.0.weight']
  assert.deepEqual([...heads.stateDict().keys()], [...names, 'experts.de.weight', 'experts.4.weight'])
  assert.deepEqual(
    [...heads.children()].map(([name]) => name),
    ['heads.left', 'heads.right.deep.0', 'blocks.1.0', 'experts.de', 'experts.4'],
  )
  assert.match(String(heads), /^ {2}blocks\.1\.0: Linear \(1\)\n {4}weight: \[1, 1\]$/m)
})

it('a module that occurs twice, or refers to its parent, prints once', () => {
  class Child extends Module {
    readonly weight = parameter([2], init.zeros)
    parent?: Module
  }
  class Parent extends Module {
    readonly child = new Child()
    readonly again = [this.child]
  }
  const parent = new Parent()
  parent.child.parent = parent
  assert.equal(
    String(parent),
    `Parent (2)
  child: Child (2)
    weight: [2]
    parent: Parent (as above)
  again.0: Child (as above)`,
  )
})

it('objects of other classes are not searched', () => {
  class Box {
    readonly weight = parameter([1], init.zeros)
  }
  class Holder extends Module {
    readonly box = new Box()
    readonly boxes = [new Box()]
    readonly tensor: Tensor = ones([2])
  }
  assert.deepEqual([...new Holder().namedParameters()], [])
})

describe('a parameter or module that cannot have a name throws', () => {
  const one = () => parameter([2, 3], init.zeros)
  class Holder extends Module {
    readonly field: unknown
    readonly copy?: unknown
    constructor(field: unknown, copy?: unknown) {
      super()
      this.field = field
      this.copy = copy
    }
  }
  const cases: Record<string, readonly [field: unknown, message: RegExp]> = {
    'in a Set': [new Set([one()]), /^Holder: a Parameter of \[2, 3\] at field\.\? has no name: elements of a Set/],
    'somewhere in a Set': [new Set([{ a: [one()] }]), /at field\.\?\.a\.0 has no name: elements of a Set/],
    'under a key with a dot': [
      { 'a.b': new Linear(1, 1) },
      /^Holder: Linear at field\.a\.b .* the key 'a\.b' has a dot/,
    ],
    'under a key of a Map that is an object': [new Map([[{}, one()]]), /must be a string or a number/],
    'under two keys of a Map that are one name': [
      new Map<unknown, Parameter>([
        [1, one()],
        ['1', one()],
      ]),
      /the keys 1 and '1' of a Map are one name/,
    ],
  }
  for (const [name, [field, message]] of Object.entries(cases))
    it(name, () => {
      const holder = new Holder(field)
      for (const use of [() => holder.parameters(), () => holder.eval(), () => holder.stateDict()])
        assert.throws(use, (error: unknown) => {
          assert.ok(error instanceof FieldError, String(error))
          assert.match(error.message, message)
          assert.equal(error.module, holder)
          return true
        })
    })

  it('but not if it has a name in another place', () => {
    const shared = new Linear(1, 1)
    const box = { shared }
    const containers = [new Set([box, shared.weight]), new Map([[() => 1, shared]]), { 'a.b': shared }]
    for (const container of containers)
      for (const [field, copy, name] of [
        [container, box, 'copy.shared'],
        [box, container, 'field.shared'],
      ] as const)
        assert.deepEqual(
          [...new Holder(field, copy).namedParameters()].map(([name]) => name),
          [`${name}.weight`, `${name}.bias`],
        )
  })

  it('withParameters throws for a parameter that it cannot replace, and restores all others', () => {
    const weight = one()
    for (const field of [Object.freeze([weight]), Object.freeze({ weight })]) {
      const holder = new Holder(field, { first: one() })
      const before = [...holder.namedParameters()]
      assert.throws(
        () => withParameters(holder, [ones([2, 3]), ones([2, 3])], () => 0),
        /^TypeError: withParameters: field\..* cannot be replaced, because a frozen object or a Set holds it/,
      )
      assert.deepEqual([...holder.namedParameters()], before)
    }
  })
})
