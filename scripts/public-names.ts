// The public names, as TypeScript's compiler sees them: what the files of package.json's exports export.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import ts from 'typescript'

export const root = join(import.meta.dirname, '..')
const { name: packageName, exports: entries } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  name: string
  exports: Record<string, { source?: string; browser?: { source: string } }>
}

export { packageName }

/** The title and the file of each entry; some have another file in a browser. One made of other entries has none. */
export const modules = Object.entries(entries).flatMap(([path, { source, browser }]) => {
  if (source === undefined) return []
  const entry = packageName + path.slice(1)
  return [[entry, source], ...(browser ? [[`${entry}, in a browser`, browser.source]] : [])] as const
})

const config = ts.getParsedCommandLineOfConfigFile(
  join(root, 'tsconfig.json'),
  {},
  {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: diagnostic => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
    },
  },
)
if (!config) throw new Error('tsconfig.json is missing')
export const files = modules.map(([, source]) => join(root, source))
export const program = ts.createProgram(files, config.options)
export const checker = program.getTypeChecker()

/** What an alias stands for. */
export const resolved = (symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

/** The compiler's name for `[Symbol.dispose]` is `__@dispose@123`. */
export const memberName = (name: string): string => name.replace(/^__@(\w+)@\d+$/, '[$1]')

/** The exported names of a file, in the order of the alphabet. */
export function exportsOf(file: string): ts.Symbol[] {
  const source = program.getSourceFile(file)
  const module = source && checker.getSymbolAtLocation(source)
  if (!module) throw new Error(`${file} is not a module`)
  return checker.getExportsOfModule(module).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}
