// The runs that this browser keeps. Each is a store of files as in a run's folder, so that a run that is downloaded is one that Node reads.

import {
  browserStoreNames,
  DataError,
  type FileStore,
  MemoryStore,
  openBrowserStore,
  packTar,
  removeBrowserStore,
  unpackTar,
} from 'cocagrad/data'
import { TrainingStore } from 'cocagrad/fit'
import type { GivenFile, KeptRun } from './protocol.ts'
import { checkConfig, settingsOf } from './run-config.ts'

const PREFIX = 'playground '
/** Runs that are kept; an older one is removed when another begins. */
const RUNS = 5
const CONFIG = 'config.json'

/** The files of a run's folder that are read. */
const PART =
  /^(config|tokenizer)\.json$|^(metrics|provenance|results)\.jsonl$|^checkpoints\/step-\d{6,}\/((model|optimizer|average)\.safetensors|state\.json)$/

/** A name that sorts by time. */
const newId = () => `${new Date().toISOString()} ${Math.random().toString(36).slice(2, 8)}`

/** Holds a run for this thread until it ends, so that no other tab trains it. */
function hold(id: string): Promise<boolean> {
  const { locks } = navigator
  if (!locks) return Promise.resolve(true)
  return new Promise(resolve => {
    locks.request(PREFIX + id, { ifAvailable: true }, lock => {
      resolve(lock !== null)
      return lock ? new Promise(() => {}) : undefined
    })
  })
}

async function heldRuns(): Promise<ReadonlySet<string>> {
  const { held = [] } = (await navigator.locks?.query()) ?? {}
  return new Set(held.map(({ name }) => name ?? ''))
}

/** A run that is open in this thread. */
export interface OpenRun {
  readonly id: string
  readonly store: FileStore
  /** why it is not kept when the page is closed */
  readonly problem?: string
}

async function openStore(id: string): Promise<OpenRun> {
  try {
    return { id, store: await openBrowserStore(PREFIX + id) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { id, store: new MemoryStore(id), problem: `This run is lost when the page is closed: ${reason}` }
  }
}

/** The place of a new run. Nothing is stored yet. */
export async function newRun(): Promise<OpenRun> {
  const id = newId()
  await hold(id)
  return openStore(id)
}

/** @throws DataError if the run is open elsewhere */
export async function openKept(id: string): Promise<OpenRun> {
  // a thread that has just ended may hold it for a moment
  for (let tries = 0; !(await hold(id)); tries++) {
    if (tries === 20) throw new DataError('This run is open in another tab or beside this one: close it there first.')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return openStore(id)
}

export async function describeRun({ id, store }: OpenRun): Promise<KeptRun | undefined> {
  const sizes = await store.list()
  const steps = await new TrainingStore(store).steps()
  if (steps.length === 0 || !sizes.has(CONFIG)) return undefined
  const config = checkConfig(JSON.parse(new TextDecoder().decode(await store.read(CONFIG))))
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  return { id, settings: settingsOf(config), steps, bytes, ...(store instanceof MemoryStore && { isLost: true }) }
}

/** The runs that are kept, the newest first; those that cannot be read are left out. */
export async function keptRuns(): Promise<KeptRun[]> {
  const names = (await browserStoreNames()).filter(name => name.startsWith(PREFIX))
  const found: KeptRun[] = []
  for (const name of names.toSorted().reverse()) {
    const store = await openBrowserStore(name)
    const run = await describeRun({ id: name.slice(PREFIX.length), store }).catch(() => undefined)
    if (run) found.push(run)
  }
  return found
}

export async function forget(id: string): Promise<void> {
  if ((await heldRuns()).has(PREFIX + id))
    throw new DataError('This run is open in another tab or beside this one: close it there first.')
  await removeBrowserStore(PREFIX + id)
}

/** Removes the oldest runs that are not open, so that there is room for one more. */
export async function makeRoom(): Promise<void> {
  const held = await heldRuns()
  const names = (await browserStoreNames()).filter(name => name.startsWith(PREFIX)).toSorted()
  const free = names.filter(name => !held.has(name))
  for (const name of free.slice(0, Math.max(0, names.length - (RUNS - 1)))) await removeBrowserStore(name)
}

/** The run as a tar with one folder. */
export async function packRun(store: FileStore, step: number): Promise<{ readonly name: string; readonly file: Blob }> {
  const folder = `cocagrad-run-${String(step).padStart(6, '0')}`
  const files = new Map<string, Uint8Array>()
  for (const name of (await store.list()).keys()) files.set(`${folder}/${name}`, await store.read(name))
  return { name: `${folder}.tar`, file: new Blob(packTar(files), { type: 'application/x-tar' }) }
}

/** A new run with the files of a tar or of a folder. @throws DataError if they are not those of a run */
export async function importRun(given: readonly GivenFile[]): Promise<OpenRun> {
  const files = new Map<string, Uint8Array>()
  for (const { name, file } of given) {
    const bytes = async () => new Uint8Array(await file.arrayBuffer())
    if (!/\.tar$/i.test(name)) {
      if (PART.test(name.split('/').slice(-1)[0]) || /(^|\/)checkpoints\//.test(name)) files.set(name, await bytes())
    } else for (const [path, content] of await unpackTar(await bytes(), name)) files.set(path, content)
  }
  const configs = [...files.keys()].filter(name => name === CONFIG || name.endsWith(`/${CONFIG}`))
  const [config] = configs.sort((a, b) => a.length - b.length)
  if (config === undefined)
    throw new DataError(
      `${given.length === 1 ? given[0].name : 'the folder'} is not a run: it has no ${CONFIG}. Open the .tar of a run, or a folder that cocagrad train or cocagrad demo has made.`,
    )
  const folder = config.slice(0, -CONFIG.length)
  const parts = [...files].flatMap(([name, bytes]) => {
    const inside = name.slice(folder.length)
    return name.startsWith(folder) && PART.test(inside) ? [[inside, bytes] as const] : []
  })
  const run = await newRun()
  await run.store.write(new Map(parts))
  return run
}
