// Two processes that write one file, and the locks of killed processes.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { LockedError } from '../../src/io/errors.ts'
import { LineFile } from '../../src/io/line-file.ts'
import { lock, whileLocked } from '../../src/io/lock.ts'

const folder = mkdtempSync(join(tmpdir(), 'lock-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const inFolder = (name: string) => join(folder, name)

const isLocked = (by: RegExp) => (error: unknown) => error instanceof LockedError && by.test(error.message)

test('a path can be locked again in the same process only after its release', async () => {
  const path = inFolder('once')
  const release = await lock(path)
  await assert.rejects(
    lock(path),
    isLocked(new RegExp(`once: is being written by process ${process.pid} on .*once.lock`)),
  )
  await release()
  assert.ok(!existsSync(`${path}.lock`))
  assert.equal(await whileLocked(path, async () => 7), 7)
  await assert.rejects(
    whileLocked(path, () => Promise.reject(new Error('as it is'))),
    /as it is/,
  )
  await (await lock(path))()
})

test('the lock of a running process is held, that of a killed process is not', async () => {
  const path = inFolder('killed')
  const program = `
    import { lock } from ${JSON.stringify(join(import.meta.dirname, '../../src/io/lock.ts'))}
    await lock(${JSON.stringify(path)})
    console.log('locked')
    setInterval(() => {}, 1000)
  `
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  await assert.rejects(lock(path), isLocked(new RegExp(`process ${child.pid} `)))
  child.kill('SIGKILL')
  await once(child, 'close')
  assert.equal(JSON.parse(readFileSync(`${path}.lock`, 'utf8')).process, child.pid, 'it left its lock')
  await (await lock(path))()
})

test('of several processes that find the lock of a killed one, exactly one gets it', async t => {
  const path = inFolder('race')
  const program = `
    import { createInterface } from 'node:readline'
    import { lock } from ${JSON.stringify(join(import.meta.dirname, '../../src/io/lock.ts'))}
    let release
    for await (const line of createInterface({ input: process.stdin })) {
      if (line === 'lock') release = await lock(${JSON.stringify(path)}).catch(error => void (error.name === 'LockedError' || console.log(error)))
      else await release?.()
      console.log(line === 'lock' ? (release ? 'held' : 'refused') : 'released')
    }
  `
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  )
  t.after(() => {
    for (const child of children) child.kill()
  })
  const all = async (word: string) => {
    const answers = children.map(child => once(child.stdout, 'data').then(([data]) => String(data).trim()))
    for (const child of children) child.stdin.write(`${word}\n`)
    return (await Promise.all(answers)).sort()
  }
  const ended = spawn(process.execPath, ['--eval', ''])
  await once(ended, 'close')
  for (let round = 0; round < 30; round++) {
    writeFileSync(`${path}.lock`, `{"process":${ended.pid},"host":"${hostname()}","token":"${round}"}\n`)
    assert.deepEqual(await all('lock'), ['held', 'refused', 'refused', 'refused'], `round ${round}`)
    await all('release')
    assert.deepEqual(
      readdirSync(folder).filter(name => name.startsWith('race')),
      [],
      'no file is left',
    )
  }
})

test('a file in the place of a lock that is none is not removed', async () => {
  const path = inFolder('other')
  for (const text of ['null\n', '[]\n', 'garbage\n', '{"process":"1","host":5}\n', `${'['.repeat(5000)}\n`]) {
    writeFileSync(`${path}.lock`, text)
    await assert.rejects(lock(path), isLocked(/names no process; if no process writes it, remove .*other\.lock/))
    assert.equal(readFileSync(`${path}.lock`, 'utf8'), text)
  }
})

test('the lock of another machine is held; an incomplete one, or one with this process id from before a restart, is not', async () => {
  const path = inFolder('others')
  writeFileSync(`${path}.lock`, '{"process":1,"host":"elsewhere.example"}\n')
  await assert.rejects(lock(path), isLocked(/process 1 on elsewhere\.example/))
  writeFileSync(`${path}.lock`, '{"proc')
  const release = await lock(path)
  const own = readFileSync(`${path}.lock`, 'utf8')
  await release()
  writeFileSync(`${path}.lock`, own)
  await (await lock(path))()
})

test('a line file has one writer, and a failed open leaves no lock', async () => {
  const path = inFolder('lines.jsonl')
  const file = await LineFile.open(path, { begins: '{' })
  await assert.rejects(LineFile.open(path, { begins: '{' }), LockedError)
  await file.append(['{}'])
  await file.close()
  await assert.rejects(LineFile.open(path, { begins: '[' }), /does not begin with/)
  await (await LineFile.open(path, { begins: '{' })).close()
})
