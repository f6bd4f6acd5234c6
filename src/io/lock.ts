// Locks for one writer at a time: a file next to the written one names the process that writes it. A killed process leaves the
// file behind; the next process detects that its owner has ended, and takes the lock over.

import { createHash, randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { LockedError } from './errors.ts'
import { fileError } from './files.ts'
import { parseJson } from './json.ts'

interface Holder {
  readonly process: number
  readonly host: string
  /** different for every lock that was ever taken; locks of earlier versions have none */
  readonly token?: string
}

/** Attempts, a hundredth of a second apart, while other processes take a lock over. */
const MOST_TRIES = 500

/** The tokens of the locks that this process holds or is about to take. */
const held = new Set<string>()

/**
 * Locks a path for this process, until the returned function is called.
 * @throws LockedError while another process, or another call in this one, writes it; FileError
 */
export async function lock(path: string): Promise<() => Promise<void>> {
  const file = resolve(`${path}.lock`)
  const token = randomUUID()
  const mark: Holder = { process: process.pid, host: hostname(), token }
  const content = `${JSON.stringify(mark)}\n`
  const release = async () => {
    if ((await contentOf(file)) === content) await rm(file, { force: true })
    held.delete(token)
  }
  held.add(token)
  try {
    for (let tries = 0; !(await create(file, content)); tries++) {
      const found = await contentOf(file)
      if (found === undefined) continue
      const holder = holderIn(found)
      if (holder === 'unknown')
        throw new LockedError(
          `is locked by a file that names no process; if no process writes it, remove ${path}.lock`,
          { file: path },
        )
      if (holder && isAtWork(holder))
        throw new LockedError(
          `is being written by process ${holder.process} on ${holder.host}; if that process has ended, remove ${path}.lock`,
          { file: path },
        )
      if (await takeOver(file, found, content)) break
      if (tries === MOST_TRIES)
        throw new LockedError(
          `was left by a process that has ended, and another one has begun to take it over; if none is at work, remove ${path}.lock and the files whose names begin like it`,
          { file: path },
        )
    }
    return release
  } catch (error) {
    held.delete(token)
    throw error
  }
}

/** Runs a function while a path is locked for this process. */
export async function whileLocked<T>(path: string, f: () => Promise<T>): Promise<T> {
  const release = await lock(path)
  try {
    return await f()
  } finally {
    await release()
  }
}

/**
 * Puts an own lock in the place of one that a killed process left. Of the processes that find the same old lock, only the one
 * that holds the claim to it may replace it; a process that gets the claim later finds another lock, and starts again.
 */
async function takeOver(file: string, old: string, content: string): Promise<boolean> {
  const claim = `${file}.${createHash('sha256').update(old).digest('hex').slice(0, 16)}`
  const release = await lock(claim).catch(async error => {
    if (!(error instanceof LockedError)) throw error
    await wait(10)
  })
  if (!release) return false
  try {
    if ((await contentOf(file)) !== old) return false
    const complete = await written(file, content)
    await rename(complete, file).catch(error =>
      rm(complete, { force: true }).then(() => Promise.reject(fileError(file, error))),
    )
    return true
  } finally {
    await release()
  }
}

/** Creates the file, complete from its first moment where the file system has links; false if it exists already. */
async function create(file: string, content: string): Promise<boolean> {
  const complete = await written(file, content)
  try {
    await link(complete, file).catch(async error => {
      if (error.code === 'EEXIST') throw error
      await writeFile(file, content, { flag: 'wx' })
    })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw fileError(file, error)
  } finally {
    await rm(complete, { force: true })
  }
}

/** A new file with this content beside the lock. */
async function written(file: string, content: string): Promise<string> {
  const name = `${file}.${randomUUID()}`
  await writeFile(name, content, { flag: 'wx' }).catch(error => Promise.reject(fileError(file, error)))
  return name
}

/** What the lock contains; undefined if it is gone. */
async function contentOf(file: string): Promise<string | undefined> {
  // without links, a process that is creating it may not have written to it yet
  for (let tries = 0; ; tries++, await wait(20)) {
    const text = await readFile(file, 'utf8').catch(error => {
      if (error.code === 'ENOENT') return undefined
      throw fileError(file, error)
    })
    if (text === undefined || text.endsWith('\n') || tries === 5) return text
  }
}

/** The owner in a lock; undefined for one that was not completed, and 'unknown' for a file that is not a lock. */
function holderIn(text: string): Holder | 'unknown' | undefined {
  if (!text.endsWith('\n')) return undefined
  try {
    const { process: id, host, token } = parseJson(text) as Partial<Record<keyof Holder, unknown>>
    const isHolder = Number.isSafeInteger(id) && (id as number) > 0 && typeof host === 'string'
    if (isHolder && (token === undefined || typeof token === 'string'))
      return { process: id as number, host, ...(token !== undefined && { token }) }
  } catch {
    // not JSON, or null
  }
  return 'unknown'
}

/** Whether the owner is still running. A process on another machine cannot be checked and counts as running. */
function isAtWork({ process: id, host, token }: Holder): boolean {
  if (host !== hostname()) return true
  // process numbers are reused after a machine or container restarts
  if (id === process.pid) return token !== undefined && held.has(token)
  try {
    process.kill(id, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
