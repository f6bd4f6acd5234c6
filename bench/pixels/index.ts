// Compares the pixels that a model gets with Pillow's. Pillow makes pictures of every kind and resizes them to squares; the
// results of both decoders, and of sharp's own resizing, are compared with these. Needs python3 with Pillow and NumPy.
//
//     npm run -s bench:pixels

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { decodeImageBytes } from '../../src/data/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'pixels-'))

interface Difference {
  readonly mean: number
  readonly largest: number
  readonly equal: number
}

/** @param planes [3, n] @param pixels [n, 3] */
function difference(planes: Uint8Array, pixels: Uint8Array): Difference {
  const n = pixels.length / 3
  const all = Array.from(planes, (value, i) => Math.abs(value - pixels[(i % n) * 3 + Math.floor(i / n)]))
  return {
    mean: all.reduce((sum, value) => sum + value, 0) / all.length,
    largest: Math.max(0, ...new Set(all)),
    equal: all.filter(value => value === 0).length / all.length,
  }
}

/** The result of sharp alone. */
async function resizedBySharp(path: string, size: number): Promise<Uint8Array> {
  const image = sharp(path, { ignoreIcc: true }).autoOrient().removeAlpha()
  const pixels = await image
    .resize(size, size, { fit: 'cover', kernel: 'cubic' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer()
  return Uint8Array.from(pixels, (_, i) => pixels[(i % (size * size)) * 3 + Math.floor(i / (size * size))])
}

try {
  execFileSync('/usr/bin/python3', [join(import.meta.dirname, 'make.py'), folder, '500', '375', '224'])
  const { pillow, side, modes } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
  console.log(`difference from Pillow ${pillow}, of 255: mean, largest, share of equal values\n`)
  const show = ({ mean, largest, equal }: Difference) =>
    `${mean.toFixed(3)}, ${largest}, ${(100 * equal).toFixed(1)} %`.padEnd(24)
  console.log(`${'picture'.padEnd(30)}${'sharp'.padEnd(24)}${'javascript'.padEnd(24)}resized by sharp`)
  for (const [name, mode] of Object.entries(modes)) {
    const path = join(folder, name)
    const expected = readFileSync(`${path}.rgb`)
    const ways = [
      await decodeImageBytes(path, { size: side, decoder: 'sharp' }),
      await decodeImageBytes(path, { size: side, decoder: 'javascript' }),
      await resizedBySharp(path, side),
    ]
    console.log(`${name} (${mode})`.padEnd(30) + ways.map(pixels => show(difference(pixels, expected))).join(''))
  }
} finally {
  rmSync(folder, { recursive: true })
}
