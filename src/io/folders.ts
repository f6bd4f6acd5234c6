// Folders that are written atomically, as files are: filled under a temporary name, flushed, and renamed. A folder that
// is removed is renamed first, so an incomplete folder is never taken for a complete one.

import { randomBytes } from 'node:crypto'
import { readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileError, isFileSystemError, makeFolders, syncFolder } from './files.ts'

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
