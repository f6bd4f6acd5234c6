// The notebooks of examples/notebooks: files of Jupyter's format 4, and their execution.

import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DenoKernel, type Output } from './kernel.ts'

const folder = join(import.meta.dirname, '../../examples/notebooks')

export interface Cell {
  readonly cell_type: 'code' | 'markdown'
  readonly id: string
  readonly metadata: object
  readonly source: readonly string[]
  readonly execution_count?: number
  readonly outputs?: readonly Output[]
}

export interface Notebook {
  readonly cells: readonly Cell[]
  readonly metadata: object
  readonly nbformat: 4
  readonly nbformat_minor: number
}

/** The files, in the order of their names. */
export const notebooks = async (): Promise<string[]> =>
  (await readdir(folder))
    .filter(file => file.endsWith('.ipynb'))
    .sort()
    .map(file => join(folder, file))

/** The text of a file. */
export const notebookText = (notebook: Notebook): string => `${JSON.stringify(notebook, null, 1)}\n`

/**
 * Executes all code in order.
 * @param project a folder that has installed cocagrad
 * @throws Error naming the cell that failed
 */
export async function execute(notebook: Notebook, project: string): Promise<Notebook> {
  // npm:cocagrad is what the project has installed
  await writeFile(join(project, 'deno.json'), JSON.stringify({ nodeModulesDir: 'manual' }))
  const kernel = await DenoKernel.start(project)
  try {
    const cells: Cell[] = []
    let count = 0
    for (const cell of notebook.cells) {
      if (cell.cell_type !== 'code') {
        cells.push(cell)
        continue
      }
      const code = cell.source.join('')
      const outputs = await kernel.execute(code, ++count)
      for (const output of outputs)
        if (output.output_type === 'error') throw new Error(`${output.traceback.join('\n')}\nin the cell\n${code}`)
      cells.push({ ...cell, execution_count: count, outputs })
    }
    return { ...notebook, cells }
  } finally {
    await kernel.close()
  }
}
