// Executes the notebooks of examples/notebooks with Deno's kernel and keeps what they show:
//
//     npm run notebooks              all, into their files
//     npm run notebooks -- newton    those whose names contain a word
//
// They import npm:cocagrad, which is the package as it was built last (npm run build).

import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { execute, notebooks, notebookText } from './notebook.ts'

const root = join(import.meta.dirname, '../..')
const project = join(root, '.cache/notebooks')
await rm(project, { recursive: true, force: true })
await mkdir(join(project, 'node_modules'), { recursive: true })
await symlink(root, join(project, 'node_modules/cocagrad'))
await writeFile(join(project, 'package.json'), JSON.stringify({ dependencies: { cocagrad: '*' } }))
const [, , word = ''] = process.argv
for (const file of await notebooks())
  if (basename(file).includes(word)) {
    const executed = await execute(JSON.parse(await readFile(file, 'utf8')), project)
    await writeFile(file, notebookText(executed))
    console.log(basename(file))
  }
await rm(project, { recursive: true, force: true })
