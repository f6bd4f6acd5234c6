// Some of the calls for both branches of the kernels' conditions, on every backend of the gpu device that Node has.

import { before, describe, test } from 'node:test'
import { device, type GpuBackend, scope } from '../../../src/tensor/index.ts'
import '../../support.ts'
import { elements, products } from '../switches/index.ts'
import './signatures.ts'
import { onBackends } from './swiftshader.ts'

const declare = (backend: GpuBackend, runs: number) =>
  describe(`on ${backend}`, () => {
    before(() => device.open('gpu', { backend }))
    for (const { name, run } of [...products, ...elements]) test(name, () => scope(() => run(device.get('gpu'), runs)))
  })

await onBackends(import.meta.url, { cpu: 50, webasm: 25, webgpu: 12 }, declare)
