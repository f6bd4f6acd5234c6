// Locks for one writer at a time: a file next to the written one contains the process that writes it. A killed process
// leaves the file behind; the next process detects that its owner has ended.

import { readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { LockedError } from './errors.ts'
import { fileError } from './files.ts'

interface Holder {
  readonly process: number
  readonly host: string
}

/** Lock files that this process holds. */
const held = new Set<string>()

/**
 * Locks a path for this process, until the returned function is called.
 * @throws LockedError while another process, or another call in this one, writes it; FileError
 */
export async function lock(path: string): Promise<() => Promise<void>> {
  const file = resolve(`${path}.lock`)
  const mark: Holder = { process: process.pid, host: hostname() }
  while (!(await create(file, `${JSON.stringify(mark)}\n`))) {
    const holder = await holderOf(file)
    if (holder && isAtWork(holder, file))
      throw new LockedError(
        `is being written by process ${holder.process} on ${holder.host}; if that process has ended, remove ${path}.lock`,
        { file: path },
      )
    await rm(file, { force: true })
  }
  held.add(file)
  return async () => {
    held.delete(file)
    await rm(file, { force: true })
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

/** Creates the file; false if it exists already. */
async function create(file: string, content: string): Promise<boolean> {
  try {
    await writeFile(file, content, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw fileError(file, error)
  }
}

/** The owner of a lock; undefined if the lock is gone or incomplete. */
async function holderOf(file: string): Promise<Holder | undefined> {
  // a process that is creating it may not have written to it yet
  for (let tries = 0; tries < 5; tries++, await wait(20)) {
    const text = await readFile(file, 'utf8').catch(() => undefined)
    if (text === undefined) return undefined
    if (text.endsWith('\n')) return JSON.parse(text) as Holder
  }
  return undefined
}

/** Whether the owner is still running. A process on another machine cannot be checked and counts as running. */
function isAtWork({ process: id, host }: Holder, file: string): boolean {
  if (host !== hostname()) return true
  // process numbers are reused after a machine or container restarts
  if (id === process.pid) return held.has(file)
  try {
    process.kill(id, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
