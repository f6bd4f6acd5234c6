// Shards that are compressed with gzip. Nothing inside a compressed tar can be read without the bytes before it, and samples
// are read in a random order, so such a shard is decompressed into a temporary folder, which is removed when the program ends.

import { createReadStream, createWriteStream, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip } from 'node:zlib'
import { fileError, messageOf, openToRead, TarError } from '../../io/index.ts'

/** Names of files that are taken for shards. */
export const SHARD_FILE = /\.(tar|tar\.gz|tgz)$/i
const COMPRESSED = /\.(tar\.gz|tgz)$/i

/** How many times larger than its file a decompressed shard may be, besides the first 64 MiB: pictures hardly shrink. */
const LARGEST_RATIO = 200
const FREE_BYTES = 2 ** 26

/** The copies of shards by the path of the shard. */
const copies = new Map<string, Promise<string>>()
let folder: Promise<string> | undefined

/**
 * The path of a shard as a plain tar: the shard itself, or a copy in the folder for temporary files (`TMPDIR`) that is
 * made at the first call. A copy has the size of the decompressed tar; {@link release} removes it.
 * @throws FileError if the shard cannot be read or the copy not be written, TarError if the shard is no gzip file, is damaged,
 *   or becomes more than 200 times larger. Of one that is cut off, the beginning is decompressed
 */
export async function unpacked(file: string): Promise<string> {
  if (!COMPRESSED.test(file)) return file
  let copy = copies.get(file)
  if (!copy) {
    copy = decompress(file)
    copies.set(file, copy)
    copy.catch(() => copies.delete(file))
  }
  return copy
}

/** Removes the copy of a shard, if there is one; the next {@link unpacked} makes another. */
export async function release(file: string): Promise<void> {
  const copy = copies.get(file)
  copies.delete(file)
  if (copy) await copy.then(path => rm(path, { force: true })).catch(() => {})
}

let made = 0

async function decompress(file: string): Promise<string> {
  const { handle, size } = await openToRead(file)
  await handle.close()
  folder ??= temporaryFolder()
  const path = join(await folder, `${made++}.tar`)
  const limit = LARGEST_RATIO * size + FREE_BYTES
  let bytes = 0
  const bounded = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length
      if (bytes <= limit) return done(null, chunk)
      done(new TarError(`becomes more than ${LARGEST_RATIO} times larger when it is decompressed`, { file }))
    },
  })
  try {
    // of a file that is cut off, all that can be decompressed is kept: a tar that is cut off
    const gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH })
    await pipeline(createReadStream(file), gunzip, bounded, createWriteStream(path))
    return path
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    await rm(path, { force: true })
    if (error instanceof TarError) throw error
    throw code.startsWith('Z_')
      ? new TarError(`cannot be decompressed: ${messageOf(error)}`, { file, cause: error })
      : fileError(code === 'ENOSPC' ? path : file, error)
  }
}

async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cocagrad-shards-')).catch(error => {
    folder = undefined
    throw fileError(tmpdir(), error)
  })
  process.once('exit', () => rmSync(path, { recursive: true, force: true }))
  return path
}
