// Copies docs/ into guides/, as pages of the site. Links to files of the repository that are no guides become plain text.

import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const docs = fileURLToPath(new URL('../../docs/', import.meta.url))
const guides = fileURLToPath(new URL('../guides/', import.meta.url))

await rm(guides, { recursive: true, force: true })
await mkdir(guides)
for (const name of await readdir(docs)) {
  if (!name.endsWith('.md')) {
    await cp(`${docs}${name}`, `${guides}${name}`)
    continue
  }
  const text = await readFile(`${docs}${name}`, 'utf8')
  await writeFile(`${guides}${name}`, text.replace(/\[([^\]]+)\]\(\.\.\/[^)]*\)/g, '$1'))
}
