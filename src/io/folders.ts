// Folders that are written atomically, as files are: filled under a temporary name, flushed, and renamed. A folder that
// is removed is renamed first, so an incomplete folder is never taken for a complete one.

import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { FileError } from './errors.ts'
import { fileError, isFileSystemError, makeFolders, syncFolder } from './files.ts'
import { lock } from './lock.ts'

const SUFFIX = '.tmp'
const temporaryName = (path: string) => `${path}.${randomBytes(6).toString('hex')}${SUFFIX}`

/**
 * Makes a folder atomically. An empty folder of the same name is replaced, any other is an error.
 * @param fill writes the content into the given folder
 * @throws FileError naming the path, or what `fill` throws; no partial folder is left
 */
export async function makeFolder(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const temporary = temporaryName(path)
  try {
    await makeFolders(temporary)
    await fill(temporary)
    await syncFolder(temporary)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {})
    throw isFileSystemError(error) ? fileError(path, error) : error
  }
  await syncFolder(dirname(path))
}

/**
 * As {@link makeFolder}, for a folder that a user names. It is locked meanwhile, so what another process left under temporary names of
 * this path when it was killed is known to be of no use, and is removed.
 * @throws LockedError while another process makes this folder; else as makeFolder
 */
export async function makeNamedFolder(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const release = await lockIn(path)
  try {
    const begins = `${basename(path)}.`
    for (const name of await namesIn(dirname(path)))
      if (name.startsWith(begins) && TEMPORARY.test(name.slice(begins.length)))
        await rm(join(dirname(path), name), { recursive: true, force: true })
    await makeFolder(path, fill)
  } finally {
    await release()
  }
}

/** What {@link temporaryName} puts after the name of a folder. */
const TEMPORARY = /^[0-9a-f]{12}\.tmp$/

/** Locks a path whose folder may be missing. The errors name the path. */
async function lockIn(path: string): Promise<() => Promise<void>> {
  try {
    await makeFolders(dirname(path))
    return await lock(path)
  } catch (error) {
    if (isFileSystemError(error)) throw fileError(path, error)
    throw error instanceof FileError ? new FileError(error.reason, { file: path, cause: error }) : error
  }
}

/**
 * Writes files into a new or empty folder, which may be one that cannot be renamed, such as a mounted one.
 * @param names of all files that `fill` may write
 * @throws what `fill` throws, after these files and the folders that were made for them are removed
 */
export async function fillFolder(path: string, names: readonly string[], fill: () => Promise<void>): Promise<void> {
  let made: string | undefined
  try {
    made = await mkdir(path, { recursive: true })
  } catch (error) {
    throw fileError(path, error)
  }
  try {
    await fill()
  } catch (error) {
    for (const name of names) await rm(join(path, name), { recursive: true, force: true }).catch(() => {})
    // one after the other from the innermost; those that hold something else stay
    if (made !== undefined)
      for (let folder = resolve(path); folder.length >= resolve(made).length; folder = dirname(folder))
        await rmdir(folder).catch(() => {})
    throw error
  }
}

/** Removes a folder and its content. */
export async function removeFolder(path: string): Promise<void> {
  const temporary = temporaryName(path)
  try {
    await rename(path, temporary)
    await rm(temporary, { recursive: true, force: true })
  } catch (error) {
    throw fileError(path, error)
  }
}

/** Removes what a killed run left under temporary names. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await namesIn(folder))
    if (name.endsWith(SUFFIX)) await rm(join(folder, name), { recursive: true, force: true })
}

/** The names in a folder, sorted; empty if it does not exist. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw fileError(folder, error)
  }
}
