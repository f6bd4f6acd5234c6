// The table of PyTorch's names: every expression in its column `here` can be evaluated, and the share of the list that it claims
// to have is the share that it has.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import * as cocagrad from '../../src/index.ts'
import { loadModel, saveModel } from '../../src/train/index.ts'

const { Linear, rand, randn, tensor } = cocagrad
const text = await readFile(join(import.meta.dirname, '../../docs/if-you-know-pytorch.md'), 'utf8')

/** PyTorch's name, what is written here, and the number of files that use it. */
const rows = [...text.matchAll(/^\| `(\w+)` \| (.*?) \| (.*?) ?\| (\d+) \|$/gm)].map(([, name, here, , files]) => ({
  name,
  here: here.replaceAll('\\|', '|'),
  files: Number(files),
}))

const image = randn([1, 3, 8, 8])
const q = randn([2, 4, 8])
const variables: Readonly<Record<string, unknown>> = {
  ...cocagrad,
  saveModel,
  loadModel,
  ...{ x: randn([2, 3]), y: randn([2, 3]), z: rand([2, 3], { low: 1, high: 2 }), m: randn([3, 3]) },
  ...{ image, kernels: randn([4, 3, 3, 3]), weight: randn([5, 3]), q, k: q, v: q },
  ...{ ids: tensor([0, 2], { dtype: 'int32' }), grid: rand([1, 4, 4, 2], { low: -1, high: 1 }) },
  ...{ model: new Linear(3, 2), f: (x: cocagrad.Tensor) => x.sum(), rule: (g: cocagrad.Tensor) => [g] },
}
const AsyncFunction = (async () => {}).constructor as new (
  ...parts: string[]
) => (...args: unknown[]) => Promise<unknown>

describe('the page for those who know PyTorch', () => {
  let folder = ''
  const from = process.cwd()
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pytorch-names-'))
    process.chdir(folder)
    await saveModel('model.safetensors', variables.model as cocagrad.Linear)
  })
  after(async () => {
    process.chdir(from)
    await rm(folder, { recursive: true })
  })

  for (const { name, here } of rows)
    for (const [, code] of here.matchAll(/`([^`]*)`/g))
      test(`${name}: ${code}`, async () => {
        const value = await new AsyncFunction(...Object.keys(variables), `return (${code})`)(
          ...Object.values(variables),
        )
        // an activation in the place of a module
        const isFunction = typeof value === 'function' && code.includes('=>')
        const input = code.includes('3d') ? randn([1, 2, 4, 4, 4]) : code.startsWith('image') ? image : randn([2, 3])
        if (isFunction) assert.ok(value(input) instanceof cocagrad.Tensor, `${code} gives a tensor`)
      })

  test('has the share of the list that it says', () => {
    const [, count, , share] = /The list has (\d+) names[\s\S]*?(By this weight, ([\d.]+) %)/.exec(text) ?? []
    assert.equal(rows.length, Number(count))
    const sum = (list: typeof rows) => list.reduce((total, { files }) => total + files, 0)
    const here = sum(rows.filter(row => row.here !== '—')) / sum(rows)
    assert.equal((100 * here).toFixed(1), share)
  })
})
