// Stores of files, and tars in memory.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Browser } from 'playwright-core'
import { FileError, MemoryStore, openBrowserStore, packTar, TarError, unpackTar } from '../../src/entries/data.ts'
import { bundle, launch, missing, pageWith } from '../browser/chromium.ts'
import { temporaryFolder } from '../data/folder.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)
const fileName = fc
  .array(fc.stringMatching(/^[a-z0-9._-]{1,40}$/), { minLength: 1, maxLength: 5 })
  .map(parts => parts.map(part => part.replace(/^\.+/, 'x')).join('/'))

test('a tar gives back the files that were packed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fileName, fc.uint8Array({ maxLength: 1500 })), async files => {
      const tar = Buffer.concat(packTar(new Map(Object.entries(files))))
      assert.equal(tar.length % 10_240, 0, 'a whole number of records')
      assert.deepEqual(
        [...(await unpackTar(tar))],
        Object.entries(files).map(([name, bytes]) => [name, new Uint8Array(bytes)]),
      )
    }),
    { numRuns: 60 },
  )
})

test('tar reads what was packed, and what tar packed is read', async t => {
  const folder = await temporaryFolder(t)
  const long = `${'deep/'.repeat(24)}file.txt`
  const files = new Map([
    ['run/config.json', bytesOf('{}\n')],
    [long, bytesOf('long name')],
    ['run/empty', new Uint8Array()],
  ])
  await writeFile(join(folder, 'packed.tar'), Buffer.concat(packTar(files)))
  execFileSync('tar', ['-xf', 'packed.tar'], { cwd: folder })
  for (const [name, bytes] of files) assert.deepEqual(new Uint8Array(await readFile(join(folder, name))), bytes)
  execFileSync('tar', ['-cf', 'again.tar', './run'], { cwd: folder })
  const again = await unpackTar(await readFile(join(folder, 'again.tar')))
  assert.deepEqual([...again.keys()].sort(), ['run/config.json', 'run/empty'])
})

test('a damaged tar and a name that does not fit are errors that name them', async () => {
  const tar = Buffer.concat(packTar(new Map([['a.txt', bytesOf('hello')]])))
  await assert.rejects(unpackTar(tar.subarray(0, 700), 'a.tar'), TarError)
  await assert.rejects(unpackTar(bytesOf('no tar'), 'a.tar'), /a\.tar: is cut off/)
  assert.throws(() => packTar(new Map([['x'.repeat(101), new Uint8Array()]])), /too long for a tar/)
})

test('a store in memory keeps copies, and names a file that does not exist', async () => {
  const store = new MemoryStore('mine')
  const bytes = bytesOf('one')
  await store.write(new Map([['b', bytes]]))
  await store.write(new Map([['a', bytesOf('two')]]))
  bytes[0] = 0
  assert.deepEqual([...(await store.list())], [['a', 3], ['b', 3]]) // biome-ignore format: a table
  assert.deepEqual(await store.read('b'), bytesOf('one'))
  await store.write(new Map(), ['b'])
  await assert.rejects(store.read('b'), (error: unknown) => {
    assert.ok(error instanceof FileError)
    assert.match(error.message, /mine\/b: does not exist/)
    return true
  })
})

test('Node has no store of a browser, and the error says what to use', async () => {
  await assert.rejects(openBrowserStore('x'), /in Node use a folder/)
})

describe('a store of a browser', { skip: missing }, () => {
  let browser: Browser
  let code: string
  before(async () => {
    browser = await launch()
    ;({ code } = await bundle(
      `import * as data from 'cocagrad/data'; globalThis.data = data; globalThis.__name = f => f; globalThis.ready = true`,
    ))
  })
  after(() => browser.close())

  test('keeps files apart from other stores, in order, and loses nothing when a change fails', async () => {
    const page = await pageWith(browser, code)
    const found = await page.evaluate(async () => {
      const { openBrowserStore, browserStoreNames, removeBrowserStore } = (
        globalThis as never as { data: typeof import('cocagrad/data') }
      ).data
      const bytes = (text: string) => new TextEncoder().encode(text)
      const text = async (store: { read(name: string): Promise<Uint8Array> }, name: string) =>
        new TextDecoder().decode(await store.read(name))
      const [one, two] = [await openBrowserStore('one'), await openBrowserStore('two')]
      await one.write(new Map([['z', bytes('z')], ['a/b', bytes('first')]])) // biome-ignore format: a table
      await two.write(new Map([['a/b', bytes('other')]]))
      await one.write(new Map([['a/b', bytes('second')]]), ['z'])
      // a value that cannot be stored ends the change after a part of it
      const bad = {
        get length() {
          throw new Error('no bytes')
        },
      } as never as Uint8Array
      const failed = await one.write(new Map([['a/b', bytes('third')], ['c', bad]])).catch(error => String(error)) // biome-ignore format: a table
      const missing = await one.read('z').catch(error => String(error))
      const names = await browserStoreNames()
      const list = [...(await one.list())]
      const read = [await text(one, 'a/b'), await text(two, 'a/b')]
      await removeBrowserStore('one')
      return { failed, missing, names, list, read, left: await browserStoreNames(), removed: [...(await one.list())] }
    })
    assert.match(found.failed ?? '', /one: the browser does not store files/)
    assert.match(found.missing as string, /one\/z: does not exist/)
    assert.deepEqual(found.names, ['one', 'two'])
    assert.deepEqual(found.list, [['a/b', 6]])
    assert.deepEqual(found.read, ['second', 'other'])
    assert.deepEqual([found.left, found.removed], [['two'], []])
    await page.close()
  })
})
