// A binary is what its difference from another one says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { difference } from '../../../scripts/difference.ts'
import { patched } from '../../../src/tensor/cpu/difference.ts'
import { fc, runs } from '../../support.ts'

const bytes = fc.uint8Array({ maxLength: 200, max: 3 })

test('any binary is restored from any other', () => {
  fc.assert(
    fc.property(bytes, bytes, (from, to) => {
      assert.deepEqual([...patched(from, difference(from, to))], [...to])
    }),
    runs(200),
  )
})

test('what two binaries have in common is not written again', () => {
  const common = Uint8Array.from({ length: 40_000 }, (_, i) => (i * i * 31) >> 4)
  const [from, to] = [common.slice(), common.slice()]
  to.set([1, 2, 3], 20_000)
  const inserted = Uint8Array.of(...to.subarray(0, 300), 9, 9, 9, 9, ...to.subarray(300))
  const written = difference(from, inserted)
  assert.deepEqual(patched(from, written), inserted)
  assert.ok(written.length < 60, `${written.length} bytes`)
})
