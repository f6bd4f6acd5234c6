// SHA-256 without Node is that of Node.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { plainSha256, sha256 } from '../../src/io/sha256.ts'

const ofNode = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex')

test('bytes of every length around a block have the SHA-256 of Node', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 37) ^ (i >> 3))
  // not at the start of their buffer
  for (let length = 0; length <= 200; length++) {
    const part = bytes.subarray(5, 5 + length)
    assert.equal(plainSha256(part), ofNode(part), `${length} bytes`)
  }
})

test('any bytes have the SHA-256 of Node', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1000 }), bytes => plainSha256(bytes) === ofNode(bytes)))
})

test('texts are hashed as UTF-8', () => {
  assert.equal(sha256('ein größerer Käse'), ofNode('ein größerer Käse'))
  assert.equal(plainSha256(new TextEncoder().encode('🧀')), ofNode('🧀'))
})
