// The contents and the dependencies of the tarball.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { root } from '../browser/chromium.ts'
import { type Project, run } from './project.ts'

type Dependencies = Readonly<Record<string, string>>

interface Locked {
  readonly dependencies?: Dependencies
  readonly optionalDependencies?: Dependencies
}

/** The anchors of a Markdown file, as GitHub makes them of its headings. */
const anchorsOf = (text: string): string[] =>
  Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )

export function contents({ folder, installed, manifest }: Project): void {
  describe('the tarball', () => {
    test('holds the files of its entries and its command', async () => {
      const named = JSON.stringify([manifest.exports, manifest.bin]).match(/(\.\/)?(dist|src)\/[^"]*/g)!
      assert.deepEqual(
        named.filter(file => !existsSync(join(installed, file))),
        [],
      )
    })

    test('holds the files that its README and its guides link to', async () => {
      const guides = (await readdir(join(installed, 'docs')))
        .filter(file => file.endsWith('.md'))
        .map(file => `docs/${file}`)
      const dead: string[] = []
      for (const guide of ['README.md', ...guides]) {
        const text = await readFile(join(installed, guide), 'utf8')
        for (const [, link] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
          const [path, anchor] = link.split('#')
          const file = path ? resolve(installed, dirname(guide), path) : join(installed, guide)
          const alive = file.startsWith(installed) && existsSync(file)
          if (!alive || (anchor && !anchorsOf(await readFile(file, 'utf8')).includes(anchor)))
            dead.push(`${guide}: ${link}`)
        }
      }
      assert.deepEqual(dead, [])
    })

    test('holds the licences of GPU.js and of the code in its file', async () => {
      const text = await readFile(join(installed, 'dist/tensor/gpu/library.js'), 'utf8')
      for (const holder of [/\d+ gpu\.js Team/, /\d{4}-\d{4} by various contributors/, /2017/])
        assert.match(text.slice(0, text.indexOf('*/')), holder)
    })
  })

  test('files with code of other packages begin with the licences of these', async () => {
    const dist = join(installed, 'dist')
    const found = new Set<string>()
    for (const file of (await readdir(dist, { recursive: true })).filter(file => file.endsWith('.js.map'))) {
      const { sources } = JSON.parse(await readFile(join(dist, file), 'utf8')) as { readonly sources: string[] }
      const text = await readFile(join(dist, file.replace(/\.map$/, '')), 'utf8')
      const comment = text.slice(0, text.indexOf('*/'))
      for (const source of sources) {
        const [, name] = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source) ?? []
        if (name === undefined || found.has(name)) continue
        assert.ok(comment.startsWith('/*!') && comment.includes(`\n${name}\n\n`), `${file} has the licence of ${name}`)
        found.add(name)
      }
    }
    assert.deepEqual([...found].sort(), ['entities', 'fast-png', 'fflate', 'iobuffer', 'ndarray', 'tinyqueue', 'zod'])
  })

  test('its entries are imported without loading another package, and the framework without the threads of Node', async () => {
    const alone = join(folder, 'alone')
    await mkdir(join(alone, 'node_modules'), { recursive: true })
    await symlink(installed, join(alone, 'node_modules/cocagrad'))
    const program = join(alone, 'program.mjs')
    const entries = ['nn', 'optim', 'models', 'data', 'train', 'fit', 'notebook'].map(name => `cocagrad/${name}`)
    await writeFile(
      program,
      `await import('cocagrad')
       if (process.moduleLoadList.includes('NativeModule worker_threads')) throw new Error('threads are loaded')
       ${entries.map(entry => `await import('${entry}')`).join('\n')}`,
    )
    // packages are looked for beside the link, where there are no others
    await run(process.execPath, ['--preserve-symlinks', program])
  })

  test('only the package itself depends on webgpu, as an optional dependency', async () => {
    const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, Locked>
    }
    // the lock keeps what each package asks for, overrides or not
    const seen = new Set<string>()
    const askers: string[] = []
    const visit = (asker: string, asked: Dependencies = {}) => {
      for (const name of Object.keys(asked)) {
        if (name === 'webgpu') askers.push(asker)
        if (seen.has(name)) continue
        seen.add(name)
        for (const [path, locked] of Object.entries(lock.packages))
          if (path.endsWith(`node_modules/${name}`))
            visit(name, { ...locked.dependencies, ...locked.optionalDependencies })
      }
    }
    visit('dependencies', manifest.dependencies)
    visit('optionalDependencies', manifest.optionalDependencies)
    assert.deepEqual(askers, ['optionalDependencies'])
    assert.ok(seen.size > 20, `${seen.size} packages were looked at`)
  })
}
