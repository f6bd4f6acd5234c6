// The programs of examples/ that run in a page, with what examples/README.md says of them.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { needsNode } from './programs.ts'

export interface Example {
  readonly name: string
  readonly about: string
  readonly code: string
}

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))

declare const data: readonly Example[]

export { data }

export default {
  watch: ['../../examples/*'],
  load(): readonly Example[] {
    const list = readFileSync(`${folder}README.md`, 'utf8')
    return [...list.matchAll(/^\| \[([\w-]+)\.ts\]\([\w-]+\.ts\) \| (.*?) \|/gm)].flatMap(([, name, text]) => {
      const code = readFileSync(`${folder}${name}.ts`, 'utf8')
      const about = text.replaceAll(/\[([^\]]+)\]\([^)]*\)|`/g, '$1')
      return needsNode(code) ? [] : [{ name, about, code }]
    })
  },
}
