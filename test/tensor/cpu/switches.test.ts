// Both branches of every condition of the kernels of the cpu device: with and without BLAS, on one thread and on several, in memory
// that shows elements which are not written. A device is opened once per process, so each setting has its own process. In short,
// each setting takes a part of the layouts, and all of them together every layout of every call; in full, each takes them all.

import { before, describe, test } from 'node:test'
import { device, scope } from '../../../src/tensor/index.ts'
import { isAgain, runAgain } from '../../again.ts'
import { isLong } from '../../support.ts'
import { elements, manyScores, products } from '../switches/index.ts'
import { checkBounds } from './watched.ts'

const settings = {
  'alone, without BLAS': { COCAGRAD_THREADS: '1', COCAGRAD_BLAS: 'off' },
  'on three threads, without BLAS': { COCAGRAD_THREADS: '3', COCAGRAD_BLAS: 'off' },
  'alone, as it comes': { COCAGRAD_THREADS: '1' },
  'on three threads, as it comes': { COCAGRAD_THREADS: '3' },
}

describe('every switch has the results of the reference on both sides', { concurrency: isAgain ? 1 : 2 }, () => {
  if (!isAgain) {
    for (const [name, environment] of Object.entries(settings)) test(name, () => runAgain(import.meta.url, environment))
    return
  }
  before(() => device.open('cpu'))
  // BLAS makes products and nothing else
  const checks = process.env.COCAGRAD_BLAS === 'off' ? [...products, ...elements, ...manyScores] : products
  const part = isLong ? undefined : { index: process.env.COCAGRAD_THREADS === '1' ? 0 : 1, of: 2 }
  for (const { name, run } of checks)
    test(name, async () => {
      await scope(() => run(device.get('cpu'), Number.POSITIVE_INFINITY, part))
      checkBounds()
    })
})
