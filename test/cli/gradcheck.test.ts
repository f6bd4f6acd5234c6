// `cocagrad gradcheck` from the command line: verdicts for operations or a model, and exit code 1 if one is wrong.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { GradcheckPart, GradcheckResult } from '../../src/autograd/index.ts'
import { lineOf } from '../../src/cli/gradcheck/verdict.ts'
import { operations } from '../../src/testing/index.ts'
import { cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-gradcheck-'))
after(() => rmSync(folder, { recursive: true }))

const write = (name: string, content: unknown): string => {
  const file = join(folder, name)
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

interface Verdict {
  readonly operation?: string
  readonly group?: string
  readonly order: number
  readonly worst: number
  readonly ok: boolean
}

const answerOf = async (...args: string[]): Promise<{ ok: boolean; verdicts: Verdict[] }> => {
  const { code, stdout, stderr } = await cocagrad(['gradcheck', ...args, '--json'])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

const small = {
  image: { size: 4, patch: 2, width: 4, layers: 1, heads: 1 },
  text: { vocabulary: 6, context: 4, width: 4, heads: 1, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
  pooler: { queries: 2, heads: 1 },
  embedding: 3,
}
const parts = [
  'encoder',
  'encoder.blocks.0',
  'generativePooler',
  'contrastivePooler',
  'imageProjection',
  'unimodal',
  'unimodal.blocks.0',
  'textProjection',
  'multimodal.blocks.0',
  'multimodal',
  'logScale',
]

describe('of operations', () => {
  it('gives a verdict for every order of every named operation', async () => {
    const { ok, verdicts } = await answerOf('--op', 'softmax', '--op', 'exp')
    assert.ok(ok, 'both are right')
    assert.deepEqual(
      verdicts.map(({ operation, order }) => `${operation} ${order}`),
      ['exp 1', 'exp 2', 'exp 3', 'softmax 1', 'softmax 2'],
    )
    assert.ok(
      verdicts.every(({ worst }) => worst > 0 && worst < 1),
      'numbers were compared',
    )
  })

  it('covers all differentiable operations by default', async () => {
    const { ok, verdicts } = await answerOf()
    assert.ok(ok, 'all are right')
    const differentiable = Object.entries(operations).filter(([, cases]) =>
      Object.values(cases).some(({ order }) => order > 0),
    )
    assert.deepEqual(
      [...new Set(verdicts.map(({ operation }) => operation))],
      differentiable.map(([name]) => name),
    )
  })

  it('prints which operation is wrong and where, and exits with 1', async () => {
    const spoilt = write(
      'spoilt.mjs',
      `
      import { Tensor } from '${pathToFileURL(join(import.meta.dirname, '../../src/index.ts'))}'
      const { cos } = Tensor.prototype
      Tensor.prototype.cos = function () { return cos.call(this).mul(1.001) }
    `,
    )
    const { code, stdout, stderr } = await cocagrad(['gradcheck', '--op', 'sin', '--op', 'exp'], undefined, {
      first: spoilt,
    })
    assert.equal(code, 1)
    assert.match(stdout, /^sin +1 .* mismatch$/m)
    assert.match(stdout, /^exp +3 .* pass$/m)
    assert.match(stdout, /2 of 6 fail/)
    assert.match(stderr, /sin: \d+ of \d+ derivatives disagree with finite differences/)
  })

  it('rejects operations without a gradient, instead of passing them', async () => {
    for (const more of [[], ['--op', 'exp'], ['--json']]) {
      const { code, stdout, stderr } = await cocagrad(['gradcheck', '--op', 'argmax', ...more])
      assert.equal(code, 2)
      assert.equal(stdout, '')
      assert.match(stderr, /--op argmax: it has no gradient, so there is nothing to check/)
    }
  })

  it('writes an infinite error as a string in JSON', async () => {
    const spoilt = write(
      'endless.mjs',
      `
      import { Tensor } from '${pathToFileURL(join(import.meta.dirname, '../../src/index.ts'))}'
      const { cos } = Tensor.prototype
      Tensor.prototype.cos = function () { return cos.call(this).mul(Infinity) }
    `,
    )
    const { code, stdout } = await cocagrad(['gradcheck', '--op', 'sin', '--json'], undefined, { first: spoilt })
    assert.equal(code, 1)
    const { ok, verdicts } = JSON.parse(stdout)
    assert.equal(ok, false)
    assert.ok(['Infinity', 'NaN'].includes(verdicts[0].worst), stdout)
  })

  it('rejects unknown operations, and lists the known ones', async () => {
    const { code, stderr } = await cocagrad(['gradcheck', '--op', 'softmin'])
    assert.equal(code, 2)
    assert.match(stderr, /--op softmin: unknown operation; the operations are .*softmax/)
  })
})

describe('a line', () => {
  const part = (verdict: GradcheckPart['verdict'], worst: number): GradcheckPart => ({
    order: 1,
    input: 0,
    checked: 1,
    worst,
    verdict,
  })

  it('has the most serious of its verdicts', () => {
    const { verdict, worst, ok } = lineOf(1, [part('not differentiable here', 1), part('mismatch', 1e5)], [])
    assert.deepEqual([verdict, worst, ok], ['mismatch', 1e5, false])
    assert.equal(
      lineOf(1, [part('pass', 0.1)], [{ verdict: 'not deterministic' } as GradcheckResult]).verdict,
      'not deterministic',
    )
  })

  it('without derivatives does not pass', () => {
    const { verdict, ok } = lineOf(1, [], [])
    assert.deepEqual([verdict, ok], ['nothing checked', false])
  })
})

describe('of a model', () => {
  it('gives a verdict for every part at both orders, from a file with its settings', async () => {
    const { ok, verdicts } = await answerOf('--model', write('model.json', small))
    assert.ok(ok, 'all are right')
    assert.deepEqual(
      verdicts.map(({ group, order }) => `${group} ${order}`),
      parts.flatMap(part => [`${part} 1`, `${part} 2`]),
    )
    assert.ok(
      verdicts.every(({ worst }) => worst > 0 && worst < 1),
      'numbers were compared',
    )
  })

  it("takes a run's settings, with a preset and changes to it", async () => {
    const { text, pooler, image, embedding } = small
    const run = { data: 'somewhere', steps: 1, model: { preset: 'tiny', image, text, pooler, embedding } }
    const { verdicts } = await answerOf('--model', write('run.json', run))
    assert.equal(verdicts.length, 2 * parts.length)
  })

  it('prints which part is wrong, and exits with 1', async () => {
    // the gradient of GELU is what the blocks need of it, and the poolers do not
    const spoilt = write(
      'gelu.mjs',
      `
      import { Tensor } from '${pathToFileURL(join(import.meta.dirname, '../../src/index.ts'))}'
      const { exp } = Tensor.prototype
      Tensor.prototype.exp = function () { return this.rank === 3 ? exp.call(this).mul(1.01) : exp.call(this) }
    `,
    )
    const { code, stdout } = await cocagrad(['gradcheck', '--model', write('model.json', small)], undefined, {
      first: spoilt,
    })
    assert.equal(code, 1)
    assert.match(stdout, /^encoder\.blocks\.0 +1 .* mismatch$/m)
    assert.match(stdout, /^multimodal +1 .* pass$/m)
  })

  it('names the file and the field of an invalid setting', async () => {
    const file = write('wrong.json', { ...small, embedding: 0 })
    const { code, stderr } = await cocagrad(['gradcheck', '--model', file])
    assert.equal(code, 2)
    assert.match(stderr, /wrong\.json.*embedding: must be a whole number above 0, not 0/s)
    const missing = await cocagrad(['gradcheck', '--model', join(folder, 'none.json')])
    assert.equal(missing.code, 2)
    assert.match(missing.stderr, /none\.json/)
  })

  it('cannot be combined with operations', async () => {
    const { code, stderr } = await cocagrad(['gradcheck', '--model', 'tiny', '--op', 'exp'])
    assert.equal(code, 2)
    assert.match(stderr, /--op and --model: give one of them/)
  })
})
