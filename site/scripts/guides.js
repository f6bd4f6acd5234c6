// Copies docs/ into guides/, as pages of the site. Links to files of the repository that are no guides become plain text, and the first
// time that a guide names something public, it links to the reference.

import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const docs = fileURLToPath(new URL('../../docs/', import.meta.url))
const guides = fileURLToPath(new URL('../guides/', import.meta.url))
/** Written by reference.js: addresses of names. */
const names = new Map(
  Object.entries(JSON.parse(await readFile(new URL('../reference/names.json', import.meta.url), 'utf8'))),
)

function withLinks(text) {
  const seen = new Set()
  let isCode = false
  return text
    .split('\n')
    .map(line => {
      if (line.startsWith('```')) isCode = !isCode
      if (isCode || line.startsWith('```') || line.startsWith('#')) return line
      // what is a link already stays
      return line
        .split(/(\[[^\]]*\]\([^)]*\))/)
        .map((part, i) =>
          i % 2
            ? part
            : part.replaceAll(/`([A-Za-z]\w*)`/g, (code, name) => {
                if (!names.has(name) || seen.has(name)) return code
                seen.add(name)
                return `[${code}](${names.get(name)})`
              }),
        )
        .join('')
    })
    .join('\n')
}

await rm(guides, { recursive: true, force: true })
await mkdir(guides)
for (const name of await readdir(docs)) {
  if (!name.endsWith('.md')) {
    await cp(`${docs}${name}`, `${guides}${name}`)
    continue
  }
  const text = await readFile(`${docs}${name}`, 'utf8')
  await writeFile(`${guides}${name}`, withLinks(text.replace(/\[([^\]]+)\]\(\.\.\/[^)]*\)/g, '$1')))
}

// what the examples read, beside the address that they seem to have in the editor
const examples = fileURLToPath(new URL('../public/examples/', import.meta.url))
await mkdir(examples, { recursive: true })
await cp(fileURLToPath(new URL('../../examples/digits.csv.gz', import.meta.url)), `${examples}digits.csv.gz`)
