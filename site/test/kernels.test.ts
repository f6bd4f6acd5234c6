// The operations of the page of kernels, without the page.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { device, scope } from 'cocagrad'
import { callOf, operandsOf } from '../kernels/call.ts'
import { type OperationName, operations } from '../kernels/catalogue.ts'
import documents from '../kernels/documents.data.ts'
import { isBuilt } from './site.ts'

await device.use('cpu')

// the documents of the operations are written with the site
const skip = isBuilt ? false : 'the site is not built: npm run site'

test('every operation runs with the tensors of the page, its gradients too, and says what it is', {
  skip,
}, async () => {
  const documented = documents.load()
  for (const name of Object.keys(operations) as OperationName[])
    await scope(async () => {
      const xs = operandsOf(
        name,
        operations[name].operands.map(({ shape }) => shape),
      )
      const { about, page, group, hasGradient } = documented[name]
      assert.ok(about.length > 0 && page.includes('.html#') && group.length > 0, name)
      const values = await callOf(name, xs, false)().data()
      assert.ok(values.every(Number.isFinite), `${name}: ${[...values.slice(0, 8)]}`)
      if (!hasGradient || operations[name].isWhole) return
      const gradient = await callOf(name, xs, true)().data()
      assert.ok(gradient.every(Number.isFinite), `the gradient of ${name}`)
    })
})
