// What CONTRIBUTING.md, CHANGELOG.md and the README of the examples name is there: files, links and commands.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
const pages = ['CONTRIBUTING.md', 'CHANGELOG.md', 'examples/README.md', 'examples/digits.md']

const missing = (folder: string, paths: Iterable<string>) =>
  [...paths].filter(path => !existsSync(join(root, folder, path)))

describe('what contributors read', async () => {
  for (const page of pages) {
    const text = await readFile(join(root, page), 'utf8')
    test(`${page} names files that are there`, () => {
      const named = text.matchAll(/(?:`| )((?:src|test|docs|scripts|examples)\/[\w./-]*)/g)
      assert.deepEqual(
        missing(
          '',
          Array.from(named, ([, path]) => path),
        ),
        [],
      )
      const links = text.matchAll(/\]\((?!https?:)([^)#\s]+)/g)
      assert.deepEqual(
        missing(
          dirname(page),
          Array.from(links, ([, path]) => path),
        ),
        [],
      )
    })

    test(`${page} names commands that are there`, () => {
      const commands = Array.from(text.matchAll(/npm run (?:-s )?([\w:]+(?:-\w+)*)/g), ([, name]) => name)
      assert.deepEqual(
        commands.filter(name => !(name in scripts)),
        [],
      )
    })
  }

  test('every example has its line', async () => {
    const text = await readFile(join(root, 'examples/README.md'), 'utf8')
    for (const file of await readdir(join(root, 'examples')))
      if (file.endsWith('.ts')) assert.ok(text.includes(`[${file}](${file})`), file)
  })
})
