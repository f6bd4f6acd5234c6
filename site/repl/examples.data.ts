// The programs of examples/ with the files that they import, and what examples/README.md says of them.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fileOf } from './modules.ts'
import { importsOf, obstacle } from './programs.ts'
import type { ProgramFile } from './protocol.ts'

export interface Example {
  readonly name: string
  readonly about: string
  /** the first is the program */
  readonly files: readonly ProgramFile[]
  /** why it does not run in a page */
  readonly reason?: string
}

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))

/** A file, and then those that it imports. */
function filesFrom(name: string, known: readonly ProgramFile[] = []): readonly ProgramFile[] {
  if (known.some(file => file.name === name)) return known
  const source = readFileSync(folder + name, 'utf8')
  return importsOf(source).reduce<readonly ProgramFile[]>(
    (files, path) => filesFrom(fileOf(path, name), files),
    [...known, { name, source }],
  )
}

declare const data: readonly Example[]

export { data }

export default {
  watch: ['../../examples/*'],
  load(): readonly Example[] {
    const list = readFileSync(`${folder}README.md`, 'utf8')
    return Array.from(list.matchAll(/^\| \[([\w/-]+)\.ts\]\([\w/-]+\.ts\) \| (.*?) \|/gm), ([, name, text]) => {
      const files = filesFrom(`${name}.ts`)
      const about = text.replaceAll(/\[([^\]]+)\]\([^)]*\)|`/g, '$1')
      return {
        name,
        about,
        files,
        reason: files.map(({ source }) => obstacle(source)).find(each => each !== undefined),
      }
    })
  },
}
