// The operations of the page of kernels, without the page.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { tsImport } from 'tsx/esm/api'
import documents from '../kernels/documents.data.ts'
import type * as every from './every-operation.ts'
import { notBuilt } from './site.ts'

test('every operation runs with the tensors of the page, its gradients too, and says what it is', {
  // the documents of the operations are written with the site
  skip: notBuilt,
}, async () => {
  const documented = documents.load()
  // with the site's paths, by which the page imports the library
  const tsconfig = join(import.meta.dirname, '../tsconfig.json')
  const options = { parentURL: import.meta.url, tsconfig }
  const { callAll } = (await tsImport('./every-operation.ts', options)) as typeof every
  const called = await callAll(name => documented[name].hasGradient)
  assert.ok(called.length > 180)
  for (const { name, hasFiniteValues } of called) {
    const { about, page, group } = documented[name]
    assert.ok(hasFiniteValues, name)
    assert.ok(about.length > 0 && page.includes('.html#') && group.length > 0, name)
  }
})
