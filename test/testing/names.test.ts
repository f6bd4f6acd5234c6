// One word means one thing: no two exported types share a name.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../src', import.meta.url))

/** Names of the interfaces, type aliases and classes that a file exports where it defines them. */
function typesOf(file: string): string[] {
  const { statements } = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
  return statements.flatMap(node => {
    const isType = ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isClassDeclaration(node)
    const isExported = isType && node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
    return isExported && node.name ? [node.name.text] : []
  })
}

test('no two exported types share a name', () => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    // AssemblyScript exports to the compiler only
    .filter(name => name.endsWith('.ts') && !name.includes('assembly'))
  const homes = new Map<string, string[]>()
  for (const file of files)
    for (const name of typesOf(`${root}/${file}`)) homes.set(name, [...(homes.get(name) ?? []), file])
  assert.ok(homes.size > 200, `${homes.size} types`)
  const shared = [...homes].filter(([, list]) => list.length > 1)
  assert.deepEqual(
    shared.map(([name, list]) => `${name}: ${list.join(', ')}`),
    [],
  )
})
