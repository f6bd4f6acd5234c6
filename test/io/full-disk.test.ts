// Disks that are full or read-only: the error says so and what to do, and nothing half-written is left.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { describeError, EXIT, exitCodeOf } from '../../src/cli/errors.ts'
import { writeMovingShapes, writeShapes, writeShapesQuestions } from '../../src/data/index.ts'
import type { WriteExamplesOptions } from '../../src/data/shapes/folder.ts'
import { FileError, LockedError, makeFolder, writeAtomically } from '../../src/io/index.ts'
import { LineFile } from '../../src/io/line-file.ts'
import { temporaryFolder } from '../data/folder.ts'

const writers = {
  'captions.jsonl': writeShapes,
  'clips.jsonl': writeMovingShapes,
  'questions.jsonl': (options: WriteExamplesOptions) => writeShapesQuestions({ task: 'vqa', ...options }),
}

for (const [list, write] of Object.entries(writers)) {
  test(`a full disk leaves nothing of a folder with ${list}`, {
    skip: process.platform !== 'linux' && 'only Linux has /dev/full',
  }, async t => {
    const parent = await temporaryFolder(t)
    const out = join(parent, 'shapes')
    // whatever is written to the list finds the disk full
    const onProgress = () => {
      const [unfinished] = readdirSync(parent)
      if (!readdirSync(join(parent, unfinished)).includes(list))
        symlinkSync('/dev/full', join(parent, unfinished, list))
    }
    const error: unknown = await write({ out, count: 2, onProgress }).catch(error => error)
    assert.ok(error instanceof FileError, String(error))
    assert.equal(error.message, `${out}: no space left on the disk: free some, or write to another one`)
    assert.deepEqual(readdirSync(parent), [])
  })

  test(`a picture that cannot be written leaves nothing of a folder with ${list}`, async t => {
    const parent = await temporaryFolder(t)
    const out = join(parent, 'shapes')
    const onProgress = () => {
      const unfinished = join(parent, readdirSync(parent)[0])
      const [pictures] = readdirSync(unfinished)
      rmSync(join(unfinished, pictures), { recursive: true })
      writeFileSync(join(unfinished, pictures), '')
    }
    // more than are written at the same time
    await assert.rejects(write({ out, count: 20, onProgress }), { name: 'FileError', file: out })
    assert.deepEqual(readdirSync(parent), [])
  })
}

test('what a killed writer left is removed by the next one, and not while another one writes', async t => {
  const parent = await temporaryFolder(t)
  const out = join(parent, 'shapes')
  const others = ['shapes.more', 'shapes.0123456789ab.tmp.txt', 'other.0123456789ab.tmp']
  for (const name of others) writeFileSync(join(parent, name), '')
  const program = `
    import { writeShapes } from ${JSON.stringify(new URL('../../src/data/index.ts', import.meta.url).href)}
    const onProgress = () => process.kill(process.pid, 'SIGKILL')
    await writeShapes({ out: ${JSON.stringify(out)}, count: 2, onProgress })`
  const options = ['--conditions=source', '--import', 'tsx', '--input-type=module', '--eval', program]
  assert.equal(spawnSync(process.execPath, options).signal, 'SIGKILL')
  const left = readdirSync(parent).filter(name => !others.includes(name))
  assert.equal(left.length, 2, String(left))
  assert.match(left[0], /^shapes\.[0-9a-f]{12}\.tmp$/)
  assert.equal(left[1], 'shapes.lock')
  let second: unknown
  const onProgress = () => {
    second ??= writeShapes({ out, count: 1 }).catch(error => error)
  }
  await writeShapes({ out, count: 2, onProgress })
  const error = await second
  assert.ok(error instanceof LockedError, String(error))
  assert.match(error.message, /shapes: is being written by process/)
  assert.deepEqual(readdirSync(parent).sort(), [...others, 'shapes'].sort())
  assert.deepEqual(readdirSync(out).sort(), ['captions.jsonl', 'images'])
})

test('what a caller throws while a folder is made comes out as it is, and nothing is left', async t => {
  const parent = await temporaryFolder(t)
  const stop = new RangeError('stop')
  const onProgress = () => {
    throw stop
  }
  await assert.rejects(writeShapes({ out: join(parent, 'shapes'), count: 2, onProgress }), error => error === stop)
  assert.deepEqual(readdirSync(parent), [])
})

/**
 * Makes a folder one in which nothing can be made: for root, permissions are no obstacle, so a file system that is read-only.
 * @returns what undoes it; undefined if it cannot be done
 */
function lockUp(folder: string): (() => void) | undefined {
  if (process.getuid?.() !== 0) {
    chmodSync(folder, 0o555)
    return () => chmodSync(folder, 0o755)
  }
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  return () => execFileSync('umount', [folder])
}

test('a folder that cannot be written is not called missing', {
  skip: process.platform === 'win32' && 'Windows has other permissions',
}, async t => {
  const folder = await temporaryFolder(t)
  const unlock = lockUp(folder)
  if (unlock === undefined) return t.skip('root may not mount a file system here')
  const refused = (promise: Promise<unknown>) =>
    assert.rejects(promise, (error: unknown) => {
      assert.ok(error instanceof FileError, String(error))
      assert.match(error.message, /cannot be written: the file system is read-only|permission denied/)
      return true
    })
  try {
    await refused(writeShapes({ out: join(folder, 'shapes'), count: 1 }))
    await refused(writeShapes({ out: join(folder, 'some/where/shapes'), count: 1 }))
    await refused(makeFolder(join(folder, 'a/b/c'), async () => {}))
    await refused(writeAtomically(join(folder, 'a/b/c.json'), '{}'))
    await refused(LineFile.open(join(folder, 'a/b/c.jsonl'), { begins: '{' }))
  } finally {
    unlock()
  }
})

test('a full disk is no mistake in cocagrad, whatever was written', () => {
  const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' })
  assert.equal(exitCodeOf(error), EXIT.mistake)
  assert.equal(describeError(error), 'error: a file: no space left on the disk: free some, or write to another one')
})
