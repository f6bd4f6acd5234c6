// The notebooks of examples/notebooks run in Deno's Jupyter kernel, in a project that has installed the package, and show what they
// are committed with: texts to the digit. Pictures and tables are compared by their kind.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'
import { missing, type Output } from '../../scripts/notebooks/kernel.ts'
import { execute, type Notebook, notebooks } from '../../scripts/notebooks/notebook.ts'
import { isLong } from '../support.ts'
import type { Project } from './project.ts'

/** The texts and the kinds of an output. */
const readable = (output: Output) =>
  output.output_type === 'stream'
    ? output.text
    : output.output_type === 'error'
      ? output.evalue
      : [Object.keys(output.data).sort().join(), (output.data as Record<string, string>)['text/plain']]

export function notebookRuns({ folder }: Pick<Project, 'folder'>): void {
  describe('a notebook', { skip: missing }, async () => {
    for (const file of await notebooks())
      test(`${basename(file)} shows what it was committed with`, {
        skip: !isLong && file.includes('coca-on-shapes') && 'it trains for a minute or more: npm run test:long',
      }, async () => {
        const project = join(folder, 'notebooks')
        await mkdir(project, { recursive: true })
        await writeFile(join(project, 'package.json'), JSON.stringify({ dependencies: { cocagrad: '*' } }))
        const committed = JSON.parse(await readFile(file, 'utf8')) as Notebook
        const executed = await execute(committed, project)
        for (const [i, { outputs, source }] of executed.cells.entries())
          assert.deepEqual(outputs?.map(readable), committed.cells[i].outputs?.map(readable), source.join(''))
      })
  })
}
