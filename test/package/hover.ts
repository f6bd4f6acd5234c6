// The documentation that an editor shows for a tensor's members and the functions of the package, from TypeScript's language
// service for a program that imports the package.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import ts from 'typescript'
import { entries, oneFiles } from './programs.ts'
import type { Project } from './project.ts'

const shownEntries = Object.keys(entries).filter(entry => !oneFiles.some(file => file === entry))
const importing = shownEntries.map((entry, i) => `import * as entry${i} from 'cocagrad${entry.slice(1)}'`).join('\n')
const program = `${importing}\nimport { type Tensor, tensor } from 'cocagrad'\nconst x: Tensor = tensor([1])\n`

/** The language service, for one program in the project, whose text may change. */
function editor(folder: string): (text: string) => { service: ts.LanguageService; file: string } {
  const file = join(folder, 'hover.ts')
  let [text, version] = ['', 0]
  const read = (path: string) => (path === file ? text : ts.sys.readFile(path))
  const options: ts.CompilerOptions = { strict: true, module: ts.ModuleKind.NodeNext, types: [] }
  const service = ts.createLanguageService({
    getScriptFileNames: () => [file],
    getScriptVersion: path => (path === file ? String(version) : ''),
    getScriptSnapshot: path => {
      const content = read(path)
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content)
    },
    getCurrentDirectory: () => folder,
    getCompilationSettings: () => options,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: path => path === file || ts.sys.fileExists(path),
    readFile: read,
    directoryExists: ts.sys.directoryExists,
    realpath: ts.sys.realpath,
  })
  return changed => {
    text = changed
    version++
    return { service, file }
  }
}

export function hover(project: Project): void {
  const open = editor(project.folder)

  /** What is shown over each expression, and the names that are suggested at the end of the last one. */
  function shown(expressions: readonly string[]) {
    const lines = expressions.map(expression => `${expression}\n`)
    const { service, file } = open(program + lines.join(''))
    let end = program.length
    const infos = lines.map(line => {
      end += line.length
      // on the last letter of the line
      const info = service.getQuickInfoAtPosition(file, end - 2)
      return {
        title: ts.displayPartsToString(info?.displayParts),
        documentation: ts.displayPartsToString(info?.documentation),
        tags: info?.tags?.map(({ name, text }) => `@${name} ${ts.displayPartsToString(text)}`) ?? [],
      }
    })
    const suggested = service.getCompletionsAtPosition(file, end - 1, {})?.entries ?? []
    return { infos, suggested }
  }

  /** Names of those that are shown without documentation. */
  const undocumented = (names: readonly string[], expressions: readonly string[]) => {
    const { infos } = shown(expressions)
    return names.filter((_, i) => infos[i].documentation === '')
  }

  describe('an editor', () => {
    test('shows the documentation of every member of a tensor', () => {
      const members = shown(['x.']).suggested.map(({ name }) => name)
      assert.ok(members.length > 80, `${members.length} members`)
      for (const name of ['shape', 'data', 'add', 'softmax', 'attention']) assert.ok(members.includes(name), name)
      assert.deepEqual(
        undocumented(
          members,
          members.map(name => `x.${name}`),
        ),
        [],
      )
    })

    test('shows the arguments, the result and the errors of a method', () => {
      const [{ title, documentation, tags }] = shown(['x.sum']).infos
      assert.match(title, /sum: \(options\?: .*ReduceOptions.*\) => .*Tensor/)
      assert.match(documentation, /^Σ x over the axes/)
      assert.ok(
        tags.some(tag => tag.startsWith('@throws AxisError')),
        tags.join('\n'),
      )
    })

    test('shows the documentation of every function, class and value of the package', () => {
      /** What is in a namespace; TypeScript shows no documentation of a namespace itself. */
      const within = (namespace: string): string[] => {
        const names = shown([`${namespace}.`]).suggested.map(({ name }) => `${namespace}.${name}`)
        const { infos } = shown(names)
        return names.flatMap((name, i) => (/^import /.test(infos[i].title) ? within(name) : [name]))
      }
      const expressions = shownEntries.flatMap((_, i) => within(`entry${i}`))
      assert.ok(expressions.includes('entry0.init.normal'))
      assert.ok(expressions.length > 300, `${expressions.length} names`)
      assert.deepEqual(undocumented(expressions, expressions), [])
    })
  })
}
