// A project that has installed the package: packed from a clean copy of the sources, as for a release, and unpacked beside its
// dependencies only. Optional packages are not installed.

import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../browser/chromium.ts'

export const run = promisify(execFile)

export interface Manifest {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}

export interface Project {
  readonly folder: string
  /** node_modules/cocagrad in it */
  readonly installed: string
  readonly manifest: Manifest
  /** Writes a file of the project. */
  write(name: string, text: string): Promise<string>
  remove(): Promise<void>
}

/** What is not part of a clean checkout, or of no use to a build. */
const leftOut = ['.git', '.cache', 'node_modules', 'dist', 'runs', 'test', 'bench']

/** Packs the sources with the settings of package.json and .npmrc, independent of the user's settings. */
async function pack(folder: string): Promise<string> {
  const copy = join(folder, 'checkout')
  await mkdir(copy)
  for (const name of await readdir(root))
    if (!leftOut.includes(name)) await cp(join(root, name), join(copy, name), { recursive: true })
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  const { npm_config_ignore_scripts: _, ...env } = process.env
  await run('npm', ['pack', '--pack-destination', folder, '--userconfig', join(folder, 'none')], { cwd: copy, env })
  const { version } = JSON.parse(await readFile(join(copy, 'package.json'), 'utf8')) as { version: string }
  return join(folder, `cocagrad-${version}.tgz`)
}

export async function installedProject(): Promise<Project> {
  const parent = await mkdtemp(join(tmpdir(), 'cocagrad-package-'))
  const folder = join(parent, 'project')
  const installed = join(folder, 'node_modules/cocagrad')
  await mkdir(installed, { recursive: true })
  await run('tar', ['-xzf', await pack(parent), '-C', installed, '--strip-components=1'])
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as Manifest
  for (const name of [...Object.keys(manifest.dependencies), 'fast-check']) {
    const to = join(folder, 'node_modules', name)
    await mkdir(dirname(to), { recursive: true })
    await symlink(join(root, 'node_modules', name), to)
  }
  const write = async (name: string, text: string) => {
    const file = join(folder, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
    return file
  }
  await write('package.json', JSON.stringify({ private: true, type: 'module' }))
  return { folder, installed, manifest, write, remove: () => rm(parent, { recursive: true, force: true }) }
}
