// Branch coverage of the kernels: in a copy of the project, each condition of the kernels of cpu and gpu records its results while
// tests run. Conditions that had only one result are listed: a sample is missing, or the other branch is an error that is
// tested elsewhere.
//
//     npm run switches -- [test files]

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { Place } from './mutants/place.ts'
import { lineOf, nodesIn, read } from './mutants/syntax.ts'

const tests = ['test/tensor/cpu/switches.test.ts', 'test/tensor/gpu/switches.test.ts']

const [assembly, ...folders] = ['src/tensor/cpu/assembly', 'src/tensor/cpu', 'src/tensor/gpu']

/** Files without kernels, generated files, and files that run where results cannot be recorded. */
const others =
  /\/(index|worker|mailbox|module|exports|heap|blas|foreign|openblas-core|gpujs|backends|runtime|pool|(\w+-)?engine|latch|expressions).ts$/

/** Conditions that are evaluated when the kernels are compiled. */
const settled = /isFloat|sizeof|ASC_FEATURE|^name ==|^!?is(Scaled|Weighted)$|^keeps$/

interface Switch {
  readonly where: string
  readonly start: number
  readonly end: number
}

/** The conditions of a file: those of `if` and `? :`, and the operands of && and || in them. */
function switchesOf(root: string, file: string): Switch[] {
  const source = read(root, file)
  const joins = [ts.SyntaxKind.AmpersandAmpersandToken, ts.SyntaxKind.BarBarToken]
  const partsOf = (node: ts.Expression): ts.Expression[] => {
    if (ts.isParenthesizedExpression(node)) return partsOf(node.expression)
    if (!ts.isBinaryExpression(node) || !joins.includes(node.operatorToken.kind)) return [node]
    return [node, ...partsOf(node.left), ...partsOf(node.right)]
  }
  const conditions = [...nodesIn(source.tree)].flatMap(node => {
    if (ts.isIfStatement(node)) return partsOf(node.expression)
    if (ts.isConditionalExpression(node)) return partsOf(node.condition)
    return ts.isBinaryExpression(node) ? partsOf(node).slice(1) : []
  })
  return [...new Set(conditions)]
    .filter(node => !settled.test(node.getText()))
    .map(node => ({
      where: `${file}:${lineOf(source, node)} ${node.getText().replace(/\s+/g, ' ')}`,
      start: node.getStart(source.tree),
      end: node.getEnd(),
    }))
}

/** Puts a call of `taken` around every condition of a file. @param first the number of the first one */
function instrument(path: string, switches: readonly Switch[], first: number, isAssembly: boolean, from: string): void {
  const text = readFileSync(path, 'utf8')
  const edits = switches.flatMap(({ start, end }, i) => [
    { at: start, size: start - end, text: isAssembly ? `taken(${first + i}, !!(` : `taken(${first + i}, (` },
    { at: end, size: end - start, text: '))' },
  ])
  // from the end of the file; at equal positions, ends of shorter conditions come first, then beginnings of longer ones
  edits.sort((a, b) => b.at - a.at || b.size - a.size)
  const marked = edits.reduce((whole, edit) => whole.slice(0, edit.at) + edit.text + whole.slice(edit.at), text)
  writeFileSync(path, `import { taken } from '${from}'\n${marked}`)
}

/** The code that records results: one byte for each result of a condition, in memory that all threads share. */
const noteInAssembly = (count: number): string => `const TAKEN = memory.data(${2 * count})
export function taken(id: i32, holds: bool): bool { store<u8>(TAKEN + (id << 1) + i32(holds), 1); return holds }
export function takenAt(): usize { return TAKEN }
`
const note = (count: number, inAssembly: number): string => `
export const memories = []
const flags = new Uint8Array(${2 * count})
export function taken(id, holds) { flags[2 * id + (holds ? 1 : 0)] = 1; return holds }
const builtin = name => process.getBuiltinModule(name)
if (builtin('node:worker_threads').isMainThread) process.on('exit', () => {
  for (const [memory, at] of memories)
    new Uint8Array(memory.buffer, at, ${2 * inAssembly}).forEach((flag, i) => { flags[i] ||= flag })
  builtin('node:fs').writeFileSync(process.env.SWITCHES_TAKEN + '/' + process.pid, flags)
})
`

async function run(files: readonly string[]): Promise<string[]> {
  const place = await Place.make(fileURLToPath(new URL('..', import.meta.url)))
  const { root } = place
  try {
    const all: Switch[] = []
    const within = (folder: string, from: string) => {
      for (const name of readdirSync(join(root, folder))) {
        const file = `${folder}/${name}`
        if (!name.endsWith('.ts') || others.test(file)) continue
        const switches = switchesOf(root, file)
        instrument(join(root, file), switches, all.length, folder === assembly, from)
        all.push(...switches)
      }
    }
    within(assembly, './taken')
    const inAssembly = all.length
    for (const folder of folders) within(folder, '../taken.ts')
    const change = (file: string, edit: (text: string) => string) =>
      writeFileSync(join(root, file), edit(readFileSync(join(root, file), 'utf8')))
    writeFileSync(join(root, assembly, 'taken.ts'), noteInAssembly(inAssembly))
    writeFileSync(join(root, 'src/tensor/taken.ts'), note(all.length, inAssembly))
    change(`${assembly}/index.ts`, text => `${text}export { takenAt } from './taken'\n`)
    change('src/tensor/cpu/index.ts', text =>
      `import { memories } from '../taken.ts'\n${text}`.replace(
        /code\.useBlas\(.*\)/,
        found => `${found}; memories.push([memory, code.takenAt()])`,
      ),
    )
    const tsx = join(root, 'node_modules/.bin/tsx')
    execFileSync(tsx, ['scripts/build-kernels.ts', '--quick'], { cwd: root, stdio: 'inherit' })
    const taken = join(root, 'taken')
    mkdirSync(taken)
    const env = { ...process.env, COCAGRAD_TESTS: 'long', SWITCHES_TAKEN: taken }
    const { status } = spawnSync(tsx, ['--conditions=source', '--test', ...files], { cwd: root, env, stdio: 'inherit' })
    if (status !== 0) console.log('\nTests failed: the list may be too long')
    const flags = readdirSync(taken).map(file => readFileSync(join(taken, file)))
    const isTaken = (i: number) => flags.some(each => each[i] !== 0)
    return all.flatMap(({ where }, i) => {
      const [no, yes] = [isTaken(2 * i), isTaken(2 * i + 1)]
      return no && yes ? [] : [`${where} — ${no ? 'never true' : yes ? 'never false' : 'never evaluated'}`]
    })
  } finally {
    await place.remove()
  }
}

const oneSided = await run(process.argv.length > 2 ? process.argv.slice(2) : tests)
console.log(`\n${oneSided.length} conditions of the kernels had only one result:\n${oneSided.join('\n')}`)
