// The random number generator: published vectors, positions, forks and moments.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Generator, philox4x32 } from '../../src/tensor/index.ts'
import { fc } from '../support.ts'

const hex = (words: Uint32Array) => [...words].map(word => word.toString(16).padStart(8, '0')).join(' ')
const draw = <T>(n: number, f: () => T): T[] => Array.from({ length: n }, f)

describe('Philox 4x32-10', () => {
  // the known answers of the authors' Random123
  it('of zeros', () => assert.equal(hex(philox4x32([0, 0, 0, 0], [0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8'))
  it('of ones', () => {
    const ones = 0xffffffff
    assert.equal(hex(philox4x32([ones, ones, ones, ones], [ones, ones])), '408f276d 41c83b0e a20bc7c6 6d5451fd')
  })
  it('of the digits of pi', () => {
    const counter = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]
    assert.equal(hex(philox4x32(counter, [0xa4093822, 0x299f31d0])), 'd16cfe09 94fdcceb 5001e420 24126ea1')
  })

  it('multiplies like BigInt', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff })
    const reference = (counter: number[], key: number[]) => {
      let [c0, c1, c2, c3] = counter.map(BigInt)
      let [k0, k1] = key.map(BigInt)
      const mask = 0xffffffffn
      for (let round = 0; round < 10; round++) {
        const [p, q] = [0xd2511f53n * c0, 0xcd9e8d57n * c2]
        ;[c0, c1, c2, c3] = [(q >> 32n) ^ c1 ^ k0, q & mask, (p >> 32n) ^ c3 ^ k1, p & mask]
        k0 = (k0 + 0x9e3779b9n) & mask
        k1 = (k1 + 0xbb67ae85n) & mask
      }
      return [c0, c1, c2, c3].map(Number)
    }
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
        assert.deepEqual([...philox4x32(counter, key)], reference(counter, key))
      }),
    )
  })
})

describe('a generator', () => {
  it('is determined by its seed and position', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(40), fc.nat(40), (seed, before, after) => {
        const generator = new Generator(seed)
        draw(before, () => generator.uint32())
        const saved = JSON.parse(JSON.stringify(generator.state))
        const expected = draw(after, () => generator.uint32())
        const resumed = Generator.fromState(saved)
        assert.deepEqual(
          draw(after, () => resumed.uint32()),
          expected,
        )
        generator.seek(before)
        assert.deepEqual(
          draw(after, () => generator.uint32()),
          expected,
        )
      }),
    )
  })

  it('does not repeat at distant positions', () => {
    const generator = new Generator(1)
    generator.seek(4 * 2 ** 32)
    assert.notEqual(generator.uint32(), new Generator(1).uint32())
    assert.equal(generator.state.position, 4 * 2 ** 32 + 1)
  })

  it('forks by purpose, independent of its position', () => {
    const generator = new Generator(9)
    const fork = generator.fork('dropout').uint32()
    generator.uint32()
    assert.equal(generator.fork('dropout').uint32(), fork)
    const seeds = ['dropout', 'shuffle', 'a', 'b', ''].map(purpose => generator.fork(purpose).seed)
    assert.equal(new Set([...seeds, new Generator(10).fork('dropout').seed]).size, 6)
  })

  it('accepts only non-negative integers as seeds', () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => new Generator(seed), RangeError)
    for (const n of [0, 1.5, 2 ** 32 + 1]) assert.throws(() => new Generator().integer(n), RangeError)
  })

  const n = 200_000
  const mean = (xs: number[]) => xs.reduce((a, b) => a + b, 0) / xs.length
  /** whether a mean of n draws is within five standard errors */
  const near = (actual: number, expected: number, deviation: number) =>
    assert.ok(Math.abs(actual - expected) < (5 * deviation) / Math.sqrt(n), `${actual} is not ${expected}`)

  it('draws uniform numbers with the moments of the uniform distribution', () => {
    const generator = new Generator(3)
    const xs = draw(n, () => generator.uniform())
    assert.ok(xs.every(x => x >= 0 && x < 1))
    near(mean(xs), 1 / 2, Math.sqrt(1 / 12))
    near(mean(xs.map(x => x * x)), 1 / 3, Math.sqrt(4 / 45))
    near(mean(xs.map((x, i) => x * xs[(i + 1) % n])), 1 / 4, 0.3)
  })

  it('draws normal numbers with the moments of the normal distribution', () => {
    const generator = new Generator(4)
    const xs = draw(n, () => generator.normal())
    near(mean(xs), 0, 1)
    near(mean(xs.map(x => x ** 2)), 1, Math.sqrt(2))
    near(mean(xs.map(x => x ** 3)), 0, Math.sqrt(15))
    near(mean(xs.map(x => x ** 4)), 3, Math.sqrt(96))
    near(mean(xs.map(x => (Math.abs(x) < 1.959963984540054 ? 1 : 0))), 0.95, Math.sqrt(0.95 * 0.05))
    near(mean(xs.map(x => (x > 3 ? 1 : 0))), 0.0013498980316301, 0.0368)
  })

  it('draws uniform integers and valid permutations', () => {
    const generator = new Generator(5)
    const counts = new Array<number>(7).fill(0)
    for (let i = 0; i < n; i++) counts[generator.integer(7)]++
    for (const count of counts) near(count / n, 1 / 7, Math.sqrt(6) / 7)
    fc.assert(
      fc.property(fc.nat(30), size => {
        assert.deepEqual(
          [...generator.permutation(size)].sort((a, b) => a - b),
          draw(size, () => 0).map((_, i) => i),
        )
      }),
    )
    const firsts = new Set(draw(200, () => generator.permutation(4).join()))
    assert.equal(firsts.size, 24)
  })
})
