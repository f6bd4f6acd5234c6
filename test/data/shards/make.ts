// Tar files for tests, made by another library than the tested one.

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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

/** A clip: its frames have numbers from 0 and grey levels `first`, `first + 1` and so on; `text` are its other files by their endings. */
export const greyClip = (
  key: string,
  first: number,
  frames: number,
  text: Readonly<Record<string, string>>,
): Members => [
  ...Array.from({ length: frames }, (_, i) => [`${key}.${String(i).padStart(3, '0')}.png`, grey(first + i)] as const),
  ...Object.entries(text).map(([ending, content]) => [`${key}.${ending}`, content] as const),
]

/** Writes a folder of Moving Shapes as shards. @returns the list of the shards in braces */
export async function shardsOfMoving(folder: string, out: string, shards: number): Promise<string> {
  const lines = (await readFile(join(folder, 'clips.jsonl'), 'utf8')).trim().split('\n')
  const each = Math.ceil(lines.length / shards)
  for (let shard = 0; shard < shards; shard++) {
    const members: (readonly [string, string | Uint8Array])[] = []
    for (const line of lines.slice(shard * each, (shard + 1) * each)) {
      const { clip, ...fields } = JSON.parse(line)
      const frames = await readdir(join(folder, clip))
      // in any order: it is their numbers that count
      for (const [i, frame] of frames.sort().reverse().entries())
        members.push([
          `${clip}.${String(frames.length - 1 - i).padStart(3, '0')}.png`,
          await readFile(join(folder, clip, frame)),
        ])
      members.push([`${clip}.json`, JSON.stringify(fields)])
    }
    await writeTar(join(out, `clips-${shard}.tar`), members)
  }
  return join(out, `clips-{0..${shards - 1}}.tar`)
}
