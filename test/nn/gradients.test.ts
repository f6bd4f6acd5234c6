// Errors and warnings about the gradients of a loss: a loss that depends on no parameter, on only some of them, or on parameters
// that are in no field.

import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import '../reference.ts'
import {
  checkpoint,
  concat,
  defineOp,
  GradientError,
  grad,
  hessian,
  hvp,
  jacobian,
  noGrad,
  vjp,
} from '../../src/autograd/index.ts'
import {
  init,
  Linear,
  lossAndGradients,
  MLP,
  Module,
  Parameter,
  parameter,
  UnregisteredParameterError,
  withParameters,
} from '../../src/nn/index.ts'
import { AdamW, SGD } from '../../src/optim/index.ts'
import { ones, type Tensor, tensor } from '../../src/tensor/index.ts'
import { fc, runs, values } from '../support.ts'

const x = tensor([[1, 2]]) // [1, 2]

/** What `f` warns of. */
function warningsOf(f: () => void): string[] {
  const emit = mock.method(process, 'emitWarning', () => {})
  try {
    f()
    return emit.mock.calls.map(({ arguments: [message] }) => String(message))
  } finally {
    emit.mock.restore()
  }
}

describe('a loss that depends on no parameter throws', () => {
  const model = new MLP(2, 3)
  const outside = model.forward(x).sum()
  const constants: Record<string, () => Tensor> = {
    'computed outside of the function': () => outside,
    'made of values that were read': () => tensor(model.forward(x).dataSync()).sum(),
    'cut off by stopGradient': () => model.forward(x).stopGradient().sum(),
    'computed in noGrad': () => noGrad(() => model.forward(x).sum()),
    'made of values that were read in a checkpoint': () =>
      checkpoint((y: Tensor) => tensor(model.forward(y).dataSync()).sum())(x),
  }
  for (const [name, f] of Object.entries(constants))
    it(name, () => {
      assert.throws(
        () => lossAndGradients(model, f),
        (error: unknown) => {
          assert.ok(error instanceof GradientError, String(error))
          assert.match(error.message, /the loss depends on no trainable parameter of MLP/)
          assert.match(error.message, /inside the function/)
          assert.match(error.message, /data\(\), dataSync\(\), array\(\) or item\(\).*stopGradient.*noGrad/)
          return true
        },
      )
      assert.throws(() => lossAndGradients(model, f, { allowUnused: true }), GradientError)
    })

  it('if all are frozen', () => {
    const frozen = new MLP(2, 3).freeze()
    assert.throws(
      () => lossAndGradients(frozen, () => frozen.forward(x).sum()),
      /^GradientError: lossAndGradients: all 4 parameters of MLP are frozen: call freeze\(false\)/,
    )
  })

  it('if there are none', () => {
    class Empty extends Module {}
    assert.throws(
      () => lossAndGradients(new Empty(), () => x.sum()),
      /^GradientError: lossAndGradients: Empty has no parameters: .*not in private fields/,
    )
  })

  it('and so does a value that is not a tensor', () => {
    for (const wrong of [3, undefined, { loss: outside }])
      assert.throws(
        () => lossAndGradients(model, () => wrong as unknown as Tensor),
        /^ArgumentError: lossAndGradients: f returned (nothing|undefined|3|an object|\{.*): return/,
      )
  })

  it('but a gradient of 0 does not', () => {
    const { gradients, unused } = lossAndGradients(model, () => model.forward(x).sum().mul(0))
    assert.deepEqual(unused, [])
    for (const gradient of gradients.values()) assert.equal(Math.max(...values(gradient).map(Math.abs)), 0)
  })
})

describe('parameters that the loss does not depend on', () => {
  class Two extends Module {
    readonly used = new Linear(2, 1)
    readonly heads = { spare: new Linear(2, 1), other: new Linear(2, 1, { bias: false }) }
  }
  const lossOf = (model: Two, more?: Linear) => () => {
    const y = model.used.forward(x)
    return (more ? y.add(more.forward(x)) : y).sum()
  }

  it('give one warning with their names', () => {
    const model = new Two()
    const warnings = warningsOf(() => {
      for (let step = 0; step < 3; step++) lossAndGradients(model, lossOf(model))
    })
    assert.equal(warnings.length, 1)
    assert.match(
      warnings[0],
      /does not depend on 3 of 5 trainable parameters of Two: heads\.spare\.weight, heads\.spare\.bias, heads\.other\.weight\./,
    )
    assert.match(warnings[0], /freeze them or pass \{ allowUnused: true \}/)
  })

  it('give another warning only if other parameters are added', () => {
    const model = new Two()
    const { spare, other } = model.heads
    const losses = [lossOf(model, other), lossOf(model, other), lossOf(model), lossOf(model, spare)]
    assert.deepEqual(
      losses.map(loss => warningsOf(() => lossAndGradients(model, loss)).length),
      [1, 0, 1, 0],
    )
  })

  it('are named in the result, and have gradients of zeros', () => {
    const model = new Two()
    const { gradients, unused } = lossAndGradients(model, lossOf(model), { allowUnused: true })
    assert.deepEqual(unused, ['heads.spare.weight', 'heads.spare.bias', 'heads.other.weight'])
    for (const [name, gradient] of gradients)
      assert.equal(
        unused.includes(name),
        values(gradient).every(g => g === 0),
      )
  })

  it('give no warning if they are frozen or unused parameters are allowed', () => {
    const model = new Two()
    assert.deepEqual(
      warningsOf(() => lossAndGradients(model, lossOf(model), { allowUnused: true })),
      [],
    )
    model.heads.spare.freeze()
    model.heads.other.freeze()
    assert.deepEqual(
      warningsOf(() => lossAndGradients(model, lossOf(model))),
      [],
    )
  })

  it('are those without a path to the loss', () => {
    const leaf = fc.nat(5)
    fc.assert(
      fc.property(fc.uniqueArray(leaf, { minLength: 1 }), fc.boolean(), fc.boolean(), (chosen, between, nested) => {
        class Many extends Module {
          readonly weights = new Map(Array.from({ length: 6 }, (_, i) => [i, parameter([2], init.ones)]))
        }
        const model = new Many()
        const all = (xs: Tensor) => concat([xs, ...chosen.map(i => model.weights.get(i)!.mul(0))]).sum()
        const inner = nested ? (xs: Tensor) => grad((y: Tensor) => all(y).square())(xs).sum() : all
        const { unused } = lossAndGradients(model, () => (between ? checkpoint(inner) : inner)(ones([2])), {
          allowUnused: true,
        })
        assert.deepEqual(
          unused,
          [...model.weights.keys()].filter(i => !chosen.includes(i)).map(i => `weights.${i}`),
        )
      }),
      runs(40),
    )
  })
})

describe('a parameter of the loss that is in no field of the module', () => {
  class Closure extends Module {
    readonly scale = parameter([1, 2], init.ones)
    readonly forward: (x: Tensor) => Tensor
    constructor(forward: (x: Tensor) => Tensor) {
      super()
      this.forward = y => forward(y.mul(this.scale))
    }
  }
  class Private extends Module {
    readonly scale = parameter([1, 2], init.ones)
    readonly #weight = parameter([4, 2], init.ones)
    readonly #bias = parameter([4], init.ones)
    forward(y: Tensor): Tensor {
      return y.mul(this.scale).linear(this.#weight, this.#bias)
    }
  }
  class Box {
    readonly inner = new Linear(2, 4, { bias: false })
  }
  const hidden = () => new Linear(2, 4, { bias: false })
  const loose = parameter([4, 2], init.ones)
  const box = new Box()
  const weak = new WeakMap([[box, hidden()]])
  const places: Record<string, Module & { forward(x: Tensor): Tensor }> = {
    'in a private field': new Private(),
    'in a closure': new Closure(
      (
        inner => y =>
          inner.forward(y)
      )(hidden()),
    ),
    'of the program': new Closure(y => y.linear(loose)),
    'in an object of another class': new Closure(y => box.inner.forward(y)),
    'in a WeakMap': new Closure(y => weak.get(box)!.forward(y)),
    'in a list of arguments': new Closure(
      (
        inner => y =>
          concat([y, inner])
      )(parameter([4, 2], init.ones)),
    ),
    'in a checkpoint': new Closure((inner => checkpoint((y: Tensor) => inner.forward(y)))(hidden())),
    'in a gradient': new Closure(
      (
        inner => y =>
          grad((z: Tensor) => inner.forward(z).square().sum())(y)
      )(hidden()),
    ),
  }
  for (const [name, module] of Object.entries(places))
    it(`throws an error with its shape and its use: ${name}`, () => {
      assert.throws(
        () => lossAndGradients(module, () => module.forward(x).sum()),
        (error: unknown) => {
          assert.ok(error instanceof UnregisteredParameterError, String(error))
          assert.equal(error.source, module)
          assert.deepEqual([...error.parameters[0].parameter.shape], [4, 2])
          assert.match(error.message, /\[4, 2\], used by (linear|concat|checkpoint)\b/)
          assert.match(error.message, /neither trained nor saved.*public field.*freeze/)
          assert.match(String((error.cause as Error).stack), /gradients\.test\.ts/)
          return true
        },
      )
    })

  it('is described in full if it is the only one', () =>
    assert.throws(
      () => lossAndGradients(places['of the program'], () => places['of the program'].forward(x).sum()),
      /^UnregisteredParameterError: a Parameter of \[4, 2\], used by linear, is held by no field of Closure: it would be neither trained nor saved; make it a public field, or freeze it to stay as it is.*belongs to a module that is trained apart from Closure, make its optimizer first/,
    ))

  it('is listed with the others if there are several', () =>
    assert.throws(
      () => lossAndGradients(places['in a private field'], () => places['in a private field'].forward(x).sum()),
      /^UnregisteredParameterError: 2 Parameters are held by no field of Private .*: one of \[4, 2\], used by linear, one of \[4\], used by linear; make them public fields/,
    ))

  it('throws even if nothing else is trained', () => {
    const only = new Closure(() => loose.sum())
    assert.throws(() => lossAndGradients(only, () => only.forward(x)), UnregisteredParameterError)
  })

  it('does not throw if it is frozen', () => {
    const inner = hidden()
    inner.weight.trainable = false
    const module = new Closure(y => inner.forward(y))
    assert.deepEqual([...lossAndGradients(module, () => module.forward(x).sum()).gradients.keys()], ['scale'])
  })

  it('does not throw if it belongs to another module', () => {
    const [student, teacher, critic] = [new Linear(2, 2), new Linear(2, 2), new Linear(2, 1)]
    teacher.eval()
    new SGD(critic)
    const loss = () => critic.forward(student.forward(x).sub(teacher.forward(x)).square()).sum()
    assert.deepEqual([...lossAndGradients(student, loss).gradients.keys()], ['weight', 'bias'])
  })

  it('has no gradient computed if it belongs to another module', () => {
    let computed = 0
    const scaled = defineOp(
      'scaled',
      (k, y: Tensor, w: Tensor) => k.binary('mul', y, w, y.dtype),
      (g, _, y, w) => {
        const gradW = () => {
          computed++
          return g.mul(y)
        }
        return [() => g.mul(w), gradW]
      },
    )
    const [own, other] = [new Linear(2, 2), new Linear(2, 1, { bias: false })]
    for (const module of [own, other]) new SGD(module)
    const loss = () => scaled(own.forward(x), other.weight).sum()
    lossAndGradients(other, loss)
    assert.equal(computed, 1)
    lossAndGradients(own, loss)
    assert.equal(computed, 1)
  })

  it('does not throw if the loss does not depend on it: a value that is only read, a stopped gradient', () => {
    const inner = hidden()
    const module = new Closure(y => y)
    const run = (f: (y: Tensor) => Tensor) =>
      lossAndGradients(module, () => {
        const y = module.forward(x)
        return { total: y.sum(), seen: f(y) }
      })
    run(y => inner.forward(y))
    run(y => noGrad(() => inner.forward(y)))
    lossAndGradients(module, () => module.forward(x).linear(inner.weight.stopGradient()).sum())
    lossAndGradients(module, () => module.forward(x).sum().add(inner.forward(x).argmax().cast('float32').sum()))
  })

  it('gets a gradient if the module creates it at its first use', () => {
    class Lazy extends Module {
      weight?: Parameter
      forward(y: Tensor): Tensor {
        this.weight ??= parameter([3, y.shape[1]], init.ones)
        return y.linear(this.weight)
      }
    }
    const lazy = new Lazy()
    const gradient = () => values(lossAndGradients(lazy, () => lazy.forward(x).sum()).gradients.get('weight')!)
    assert.deepEqual(gradient(), [1, 2, 1, 2, 1, 2])
    assert.deepEqual(gradient(), [1, 2, 1, 2, 1, 2])
  })

  it('does not hide the error for a value that was changed after its use', () => {
    const inner = hidden()
    const module = new Closure(y => inner.forward(y))
    const lossThatAssigns = () => {
      const loss = module.forward(x).sum()
      module.scale.assign(ones([1, 2]).mul(3))
      return loss
    }
    assert.throws(
      () => lossAndGradients(module, lossThatAssigns),
      /scale was assigned a new value after it was recorded/,
    )
  })

  it('does not throw if it replaces a parameter', () => {
    const module = new Linear(2, 1)
    const moved = module.parameters().map(p => new Parameter(p.add(1)))
    const { gradients } = withParameters(module, moved, () => lossAndGradients(module, () => module.forward(x).sum()))
    assert.deepEqual(values(gradients.get('weight')!), [1, 2])
  })
})

describe('transforms return zeros for parameters that the loss does not depend on', () => {
  const w = tensor([1, 2])
  const constant = () => tensor(5)

  it('of first order', () => {
    assert.deepEqual(values(grad(constant)(w)), [0, 0])
    assert.deepEqual(values(jacobian(constant)(w)), [0, 0])
    assert.deepEqual(vjp(constant, w)[1](tensor(1)).map(values), [[0, 0]])
  })

  it('of second order, for a linear function', () => {
    const linear = (y: Tensor) => y.mul(3).sum()
    assert.deepEqual(values(hessian(linear)(w)), [0, 0, 0, 0])
    assert.deepEqual(hvp(linear, [w], [ones([2])]).map(values), [[0, 0]])
    assert.deepEqual(values(grad((y: Tensor) => checkpoint(grad(linear))(y).sum())(w)), [0, 0])
  })
})

describe('a module without visible parameters', () => {
  class Hidden extends Module {
    readonly #weight = parameter([1], init.zeros)
    get weight(): Tensor {
      return this.#weight
    }
  }

  it('cannot be optimized, and the error says where parameters are searched', () =>
    assert.throws(
      () => new AdamW(new Hidden()),
      /^TypeError: an optimizer needs parameters, and Hidden has none: .*public fields.*not in private fields/,
    ))
})
