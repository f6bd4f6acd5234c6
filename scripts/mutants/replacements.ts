// Faults given as replacements of text, in the tape and in the masks of CoCa. Each text must occur in its file exactly once.

import { readFileSync } from 'node:fs'
import type { Mutant, Stage } from './mutant.ts'

type Replacement = readonly [fault: string, text: string, by: string]

const tape: Record<string, readonly Replacement[]> = {
  'src/autograd/gradients.ts': [
    [
      'broadcast axes are not summed over',
      'if (!sameShape(result.shape, arg.shape)) result = result.sumTo(arg.shape)',
      'if (!sameShape(result.shape, arg.shape)) result = result.slice(result.shape.map((_, i) => i < result.rank - arg.rank ? 0 : arg.shape[i - result.rank + arg.rank] === 1 ? { stop: 1 } : {}))',
    ],
    ['a gradient keeps the dtype of the result', 'if (result.dtype !== arg.dtype) result = result.cast(arg.dtype)', ''],
    ['the last use of a tensor wins', 'const total = sum.add(part)', 'const total = part'],
    ['the first use of a tensor wins', 'const total = sum.add(part)', 'const total = sum'],
    [
      'a sum is computed in place although it is recorded',
      '!this.#isRecorded && this.#isAlone(sum)',
      'this.#isAlone(sum)',
    ],
    ['a sum is computed in place although it is shared', 'this.#isAlone(sum) &&', 'true &&'],
    [
      'a requested gradient is freed during the walk',
      'if (!this.#wanted.has(result)) this.#delete(result)',
      'this.#delete(result)',
    ],
    ['gradients that are not requested are kept to the end', 'if (!this.#wanted.has(result)) this.#delete(result)', ''],
    ['memory that another gradient shares is freed', 'if (left > 0)', 'if (left < 0)'],
    ['recorded memory is freed', '!this.#isRecorded && this.#pass.owns(storage)', 'this.#pass.owns(storage)'],
    [
      'intermediate results of a rule are kept to the end',
      'this.#pass.sweep(mark, storage => this.#uses.has(storage))',
      '{}',
    ],
    [
      'intermediate results of a rule are freed while they are used',
      'storage => this.#uses.has(storage)',
      '() => false',
    ],
    [
      'intermediate results of a rule are freed although they are recorded',
      'if (!this.#isRecorded) this.#pass.sweep',
      'this.#pass.sweep',
    ],
    ['memory is freed at its last use instead of its first', 'if (known.has(storage)) return undefined', ''],
    [
      'memory of watched tensors is freed',
      'for (const arg of args) if (arg instanceof Tensor) known.add(arg.storage)',
      '',
    ],
  ],
  'src/autograd/tape.ts': [
    [
      'walking back stops before the first operation',
      'i >= 0; i--) {\n        const entry = this.entries[i]\n        gradients.passOn(entry.result, gradient => {',
      'i > 0; i--) {\n        const entry = this.entries[i]\n        gradients.passOn(entry.result, gradient => {',
    ],
    [
      'a seed is not used',
      'gradients.add(result, seed ?? onesLike(result))',
      'gradients.add(result, onesLike(result))',
    ],
    ['a stale value is not noticed', 'if (x.storage !== storage)', 'if (false)'],
    ['memory stays until the tape ends', "freed[i]?.free('its backward pass')\n        for (const x", 'for (const x'],
    [
      'memory that another tape records is freed',
      'isRecording() ? [] : firstUses(this.entries, this.#scope, storagesIn([result, kept]))',
      'firstUses(this.entries, this.#scope, storagesIn([result, kept]))',
    ],
    ['memory of kept tensors is freed', 'storagesIn([result, kept])', 'storagesIn([result])'],
    ['an operation on constants is recorded', 'if (!entry.args.some(arg => this.tracks(arg))) return', ''],
    [
      'arguments that are constants get gradients',
      'if (!(arg instanceof Tensor && this.tracks(arg))) return []',
      'if (!(arg instanceof Tensor)) return []',
    ],
    ['the tape does not hold what scopes within it made', "new Scope('its tape', true)", "new Scope('its tape')"],
  ],
  'src/autograd/recording.ts': [
    ['an outer tape does not see what an inner one records', '[...recorders, recorder]', '[recorder]'],
    ['recording goes on in noGrad', 'withRecorders([], ', 'withRecorders(recorders, '],
    [
      'recording goes on after an error',
      'try {\n    return f()\n  } finally {\n    recorders = outer\n  }',
      'const result = f()\n  recorders = outer\n  return result',
    ],
    ['intermediate results in noGrad are kept', 'inner.end(storagesIn(kept))', 'inner.handOver()'],
  ],
  'src/autograd/checkpoint.ts': [
    [
      'random numbers differ the second time',
      'of positions) generator.seek(position)',
      'of []) void (generator, position)',
    ],
    [
      'the generator stays where the first time began',
      'of now) generator.seek(position)',
      'of []) void (generator, position)',
    ],
    [
      'a checkpoint around does not know of the draws',
      'announceDraw(generator, position)',
      'void (generator, position)',
    ],
    [
      'what is used from outside gets no gradient',
      'if (x instanceof Tensor && !made.has(x) && isFloating(x.dtype)) captured.add(x)',
      'if (args.includes(x)) captured.add(x as Tensor)',
    ],
    ['what is made inside counts as from outside', 'made.add(result)', ''],
    [
      'what is handed through gets no gradient',
      'if (!made.has(inside) && isFloating(inside.dtype)) captured.add(inside)',
      '',
    ],
  ],
  'src/autograd/tangents.ts': [
    [
      'a tangent of the first argument is that of all',
      '.map((tangent, i) => tangent && f(tangent, i))',
      '.map((tangent, i) => i < 1 && tangent ? f(tangent, i) : undefined)',
    ],
    ['an argument without a tangent has its value as one', 'zerosLike(arg) : arg)', 'arg : arg)'],
    ['a tangent is not broadcast', 'tangent.expand(value.shape)', 'tangent'],
  ],
  'src/autograd/transforms.ts': [
    ['tangents are not applied', 'g.mul(vectors[i]).sum()', 'g.sum()'],
    ['a pullback or a pushforward is for one use', 'tape.handOver()', 'tape.end(value)'],
    [
      'an hvp is for the first inputs',
      'const moved = wrt.map(i => vectors[i])',
      'const moved = wrt.map((_, i) => vectors[i])',
    ],
    ['products stand at the wrong inputs', 'products[wrt.indexOf(i)]', 'products[i]'],
    ['the pullback stands at the wrong inputs', 'products[floating.indexOf(i)]', 'products[i]'],
    ['rows of a Jacobian are sums', 'units[i * size + start + i] = 1', 'units.fill(1)'],
    ['each part of a Jacobian is the first', 'units[i * size + start + i]', 'units[i * size + i]'],
    ['a Jacobian is transposed', '[...result.shape, ...x.shape]', '[...x.shape, ...result.shape]'],
  ],
  'src/autograd/custom.ts': [
    ['what is computed inside counts as from outside', 'this.#inside.add(result)', ''],
    ['a gradient that is seen is freed', 'f(keep(g))', 'f(g)'],
    ['a gradient is not replaced', 'gradient.shape)) return replaced', 'gradient.shape)) return gradient'],
  ],
  'src/autograd/batching.ts': [
    ['a tape around records samples', 'recorder => !this.#outside.has(recorder)', '() => true'],
    ['gradients of samples are not added up', 'this.whole(fitted).sum({ axis: 0 })', 'fitted'],
    ['axes that broadcast in a sample are not summed over', 'conform(entry, position, part, arg)', 'part'],
    ['operands are not aligned', 'fill(1), ...x.shape]', 'fill(1), ...x.shape].reverse()'],
    ['all samples draw the same numbers', 'levels.map(({ size }) => size)', 'levels.map(() => 1)'],
    ['mapped functions in each other have one depth', 'this.#depth = running.length', 'this.#depth = 1'],
    ['errors have the shapes of the batch', 'if (this.size > 0) noGrad', 'if (this.size < 0) noGrad'],
  ],
  'src/autograd/checks.ts': [
    [
      'a gradient of a result that is not a scalar',
      'if (!seed && result.size !== 1)',
      'if (!seed && result.size === 0)',
    ],
  ],
  'src/autograd/op.ts': [
    ['a tensor in two places gets its gradient twice', 'at >= 0 && args.indexOf(arg) === i ?', 'at >= 0 ?'],
    [
      'an argument that is handed through is the result',
      'args.includes(result) ? sameValues(result) : result',
      'result',
    ],
    [
      'a definition is recorded beside its operation',
      'noGrad(() => unobserved(() => definition(...args)))',
      'unobserved(() => definition(...args))',
    ],
    ['the rule of a definition is walked for every argument', '(gradients ?? all())[at]', 'all()[at]'],
  ],
}

const masks: Record<string, readonly Replacement[]> = {
  'src/models/text.ts': [
    ['padding is seen', 'ids.notEqual(pad)', 'ids.notEqual(-1)'],
    ['the mask of padding is shifted by one place', ': [isText, classToken]\n', ': [classToken, isText]\n'],
    ['the late mask is on time', '? [classToken, isText]', '? [isText, classToken]'],
    ['the upper half sees padding although it must not', "if (padMask !== 'both')", "if (padMask === 'both')"],
    ['[CLS] does not see itself', 'full([batch, count], 1, {', 'full([batch, count], 0, {'],
    [
      'the future is seen',
      'causalMask(queries, keys, ids).logicalAnd(isSeen)',
      'isSeen.expand([batch, 1, queries, keys])',
    ],
    [
      'the next token is seen',
      'causalMask(queries, keys, ids)',
      'causalMask(queries + 1, keys + 1, ids).slice([{ start: 1 }, { stop: keys }])',
    ],
    ['[CLS] stands one place early', 'x.slice([{}, length])', 'x.slice([{}, length - 1])'],
    [
      'the decoder sees padding',
      '{}, { stop: length }, { stop: length }])',
      '{}, { stop: length }, { stop: length }]).logicalNot().logicalNot().add(1).greater(0)',
    ],
    ['the decoder sees the future', '(mask ? { mask } : { causal })', '(mask ? { mask } : {})'],
  ],
  'src/nn/losses.ts': [
    [
      'labels are not shifted',
      'tokens.slice([{}, { start: 1 }]), nothing',
      'tokens.slice([{}, { stop: tokens.shape[1] - 1 }]), nothing',
    ],
    ['padding is a target', '{ ignore, reduction })', '{ reduction })'],
    ['one direction of the contrastive loss is missing', '.add(classificationLoss(logits.transpose(), target))', ''],
    ['the contrastive loss has its directions twice', 'total : total.mul(0.5)', 'total : total'],
  ],
  'src/autograd/ops/attention.ts': [
    ['the causal mask is off by one', '.add(keys - queries)', '.add(keys - queries + 1)'],
    [
      'a query that sees nothing sees all',
      'where(visible, where(visible, scores, hidden).softmax(), 0)',
      'where(visible, scores, hidden).softmax()',
    ],
    ['a mask hides what may be seen', 'where(visible, scores, hidden)', 'where(visible, hidden, scores)'],
    ['the last query is at the first key', '.add(keys - queries)', ''],
  ],
}

const stages: Record<'tape' | 'masks', readonly Stage[]> = {
  tape: [
    {
      files: [
        'test/autograd/tape.test.ts',
        'test/autograd/transforms.test.ts',
        'test/autograd/functions.test.ts',
        'test/autograd/vmap.test.ts',
        'test/autograd/fused.test.ts',
        'test/autograd/accumulate.test.ts',
      ],
    },
    { files: ['test/autograd/ops.test.ts', 'test/tensor/cpu/coca.test.ts'] },
  ],
  masks: [
    { files: ['test/models/sight.test.ts', 'test/models/losses.test.ts', 'test/models/generate.test.ts'] },
    {
      files: [
        'test/nn/losses.test.ts',
        'test/nn/attention.test.ts',
        'test/nn/transformer.test.ts',
        'test/golden/agreement.test.ts',
      ],
    },
  ],
}

const groups = { tape, masks }

export function mutantsByReplacement(root: string): Mutant[] {
  return (['tape', 'masks'] as const).flatMap(group =>
    Object.entries(groups[group]).flatMap(([file, list]) => {
      const source = readFileSync(`${root}/${file}`, 'utf8')
      return list.map(([fault, text, by]): Mutant => {
        const start = source.indexOf(text)
        if (start < 0 || source.indexOf(text, start + 1) >= 0)
          throw new Error(`${file} does not contain exactly once: ${text}`)
        const line = source.slice(0, start).split('\n').length
        return {
          group,
          file,
          line,
          operation: '',
          fault,
          start,
          end: start + text.length,
          text: by,
          stages: stages[group],
        }
      })
    }),
  )
}
