// Tar files for tests, made by another library than the tested one.

import { writeFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import { encodePng } from '../../../src/data/images/image.ts'

export type Members = readonly (readonly [name: string, content: string | Uint8Array])[]

export async function tarOf(members: Members): Promise<Buffer> {
  const tar = pack()
  for (const [name, content] of members) tar.entry({ name }, Buffer.from(content))
  tar.finalize()
  return buffer(tar)
}

export const writeTar = async (path: string, members: Members): Promise<void> => writeFile(path, await tarOf(members))

/** A flat picture of one grey level. */
export const grey = (level: number): Uint8Array => encodePng(new Uint8Array(48).fill(level), 4, 4)

/** Samples `first` … `first + count - 1`: sample i is of grey level i and called 'grey i'. */
export const greys = (first: number, count: number): Members =>
  Array.from({ length: count }, (_, i) => first + i).flatMap(i => [
    [`${String(i).padStart(4, '0')}.png`, grey(i % 256)] as const,
    [`${String(i).padStart(4, '0')}.txt`, `grey ${i}`] as const,
  ])
