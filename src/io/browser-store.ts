// Files that stay in a browser when its page is closed, in IndexedDB. A transaction is written completely or not at all, also if the
// browser is killed; files of OPFS cannot be renamed atomically everywhere.

import { FileError, messageOf } from './errors.ts'
import { type FileStore, noFile } from './store.ts'

/** One database of a page has all stores. The sizes are apart from the bytes, so that a list does not read these. */
const DATABASE = 'cocagrad'
const BYTES = 'bytes'
const SIZES = 'sizes'

/** Every key is [store, file]. The empty list comes after every text. */
const keysOf = (store: string) => IDBKeyRange.bound([store], [store, []])

let opened: Promise<IDBDatabase> | undefined

function database(): Promise<IDBDatabase> {
  if (typeof indexedDB === 'undefined')
    throw new Error(
      'openBrowserStore: there is no IndexedDB here. It is for a page or its workers; in Node use a folder',
    )
  opened ??= new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1)
    request.onupgradeneeded = () => {
      for (const name of [BYTES, SIZES]) request.result.createObjectStore(name)
    }
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const { result } = request
      // another tab may remove the database, and the browser may close it; the next transaction opens it again
      result.onversionchange = () => {
        result.close()
        opened = undefined
      }
      result.onclose = () => {
        opened = undefined
      }
      resolve(result)
    }
  })
  opened.catch(() => {
    opened = undefined
  })
  return opened
}

/** Runs a transaction. Its result is there when everything is written. @throws FileError */
async function transact<T>(
  store: string,
  mode: 'readonly' | 'readwrite',
  act: (transaction: IDBTransaction) => IDBRequest<T> | undefined,
): Promise<T | undefined> {
  const connection = await database().catch(error => {
    throw error instanceof Error && error.message.startsWith('openBrowserStore') ? error : refused(store, error)
  })
  return new Promise((resolve, reject) => {
    let request: IDBRequest<T> | undefined
    let transaction: IDBTransaction | undefined
    try {
      const begun = connection.transaction([BYTES, SIZES], mode, { durability: 'strict' })
      begun.oncomplete = () => resolve(request?.result)
      begun.onabort = () => reject(refused(store, begun.error))
      transaction = begun
      request = act(begun)
    } catch (error) {
      reject(refused(store, error))
      transaction?.abort()
    }
  })
}

function refused(store: string, error: unknown): FileError {
  const isFull = error instanceof DOMException && error.name === 'QuotaExceededError'
  const reason = isFull
    ? 'there is no space left for this page in the browser: remove what is stored there, or free space on the disk'
    : `the browser does not store files for this page: ${messageOf(error)}`
  return new FileError(reason, { file: store, cause: error })
}

class BrowserStore implements FileStore {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  async list(): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>()
    await transact(this.name, 'readonly', transaction => {
      const request = transaction.objectStore(SIZES).openCursor(keysOf(this.name))
      request.onsuccess = () => {
        const cursor = request.result
        if (!cursor) return
        sizes.set((cursor.key as [string, string])[1], cursor.value)
        cursor.continue()
      }
      return undefined
    })
    return sizes
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await transact<Uint8Array<ArrayBuffer> | undefined>(this.name, 'readonly', transaction =>
      transaction.objectStore(BYTES).get([this.name, name]),
    )
    if (!bytes) throw noFile(this.name, name)
    return bytes
  }

  async write(files: ReadonlyMap<string, Uint8Array>, removed: Iterable<string> = []): Promise<void> {
    await transact(this.name, 'readwrite', transaction => {
      const [bytes, sizes] = [transaction.objectStore(BYTES), transaction.objectStore(SIZES)]
      for (const name of removed) {
        bytes.delete([this.name, name])
        sizes.delete([this.name, name])
      }
      for (const [name, content] of files) {
        // a part of a larger buffer would be stored with all of it
        bytes.put(new Uint8Array(content), [this.name, name])
        sizes.put(content.length, [this.name, name])
      }
      return undefined
    })
  }
}

/**
 * Opens files that stay in the browser when the page is closed; a new store is empty. Works in a page and in its workers. The browser
 * may remove them if the disk is full, unless the page asks for `navigator.storage.persist()`.
 *
 *     const store = await openBrowserStore('my run')
 *     await store.write(new Map([['notes.txt', new TextEncoder().encode('first try')]]))
 *
 * @param name of the store among those of this page
 * @throws FileError if the browser stores nothing for this page, as in some private windows
 */
export async function openBrowserStore(name: string): Promise<FileStore> {
  const store = new BrowserStore(name)
  await store.list()
  return store
}

/** The names of all stores with files, in order. @throws FileError as {@link openBrowserStore} */
export async function browserStoreNames(): Promise<string[]> {
  const keys = await transact<IDBValidKey[]>('cocagrad', 'readonly', transaction =>
    transaction.objectStore(SIZES).getAllKeys(),
  )
  return [...new Set((keys as [string, string][]).map(([store]) => store))]
}

/** Removes a store with all of its files. */
export async function removeBrowserStore(name: string): Promise<void> {
  await transact(name, 'readwrite', transaction => {
    for (const part of [BYTES, SIZES]) transaction.objectStore(part).delete(keysOf(name))
    return undefined
  })
}
