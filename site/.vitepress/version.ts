// The version of the site: a hash of the names of its files, which have hashes of what is in them.

import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Stands for the version in pages that are rendered before all files are there. */
export const VERSION = '{{version of the site}}'

/** Writes `files.json`, the version and the files under assets/, and the version in every page. */
export async function nameVersion(folder: string): Promise<void> {
  const all = await readdir(folder, { recursive: true, withFileTypes: true })
  const names = all
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
  const files = names.filter(name => name.startsWith('assets/')).sort()
  const version = createHash('sha256').update(files.join()).digest('hex').slice(0, 8)
  await writeFile(join(folder, 'files.json'), JSON.stringify({ version, files }))
  for (const name of names.filter(name => name.endsWith('.html'))) {
    const html = await readFile(join(folder, name), 'utf8')
    await writeFile(join(folder, name), html.replaceAll(VERSION, version))
  }
}
