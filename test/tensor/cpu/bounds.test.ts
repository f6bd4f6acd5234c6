// Kernels write nothing beyond the end of a result, and read nothing before it is written.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Block } from '../../../src/tensor/cpu/heap.ts'
import { device, scope, zeros } from '../../../src/tensor/index.ts'
import { agreements } from '../../autograd/agreement.ts'
import '../../support.ts'
import { checks } from '../gpu/suite.ts'
import { checkBounds, heaps } from './watched.ts'

describe('kernels write only within their blocks', () => {
  for (const machineCode of [undefined, 'off'] as const)
    describe(machineCode ? 'in WebAssembly' : 'with machine code, if there is any', () => {
      before(async () => {
        await device.open('cpu', { threads: 2, blas: 'off', machineCode })
        if (machineCode === 'off') assert.match(device.get('cpu').description, /machine code is switched off/)
      })

      for (const { name, run } of [...checks, ...agreements])
        test(name, async () => {
          await scope(() => run(device.get('cpu'), 4))
          checkBounds()
        })
    })

  test('a write outside of a block is detected', () => {
    const { kernels } = device.get('cpu')
    const x = kernels.unary('neg', kernels.copy(device.with('cpu', () => zeros([3]))))
    const { pointer, bytes } = x.storage.handle as Block
    const heap = heaps().at(-1)!
    heap.u8[pointer + bytes] = 0
    assert.throws(checkBounds, /byte 0 after a block of 12 bytes was written to/)
    checkBounds()
  })
})
