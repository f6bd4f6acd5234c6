// Faults in the gradients of operations: a flipped sign, a dropped term, exchanged inputs, a factor of two, a gradient that is
// detached from its inputs. A detached gradient is right at first order and wrong at second order.

import { readdirSync } from 'node:fs'
import ts from 'typescript'
import type { Mutant, Stage } from './mutant.ts'
import { lineOf, nodesIn, ownerOf, read, resultsOf, type Source } from './syntax.ts'

const folder = 'src/autograd/ops'

const stagesFor = (operation: string): Stage[] => [
  ...['ops', 'fused'].map(name => ({ files: [`test/autograd/${name}.test.ts`], env: { OPERATION: operation } })),
  { files: ['test/autograd/fused.test.ts'] },
  { files: ['test/autograd/ops.test.ts', 'test/autograd/transforms.test.ts', 'test/autograd/extremes.test.ts'] },
]

export function mutantsOfRules(root: string): Mutant[] {
  return readdirSync(`${root}/${folder}`)
    .filter(name => name !== 'index.ts')
    .flatMap(name => {
      const source = read(root, `${folder}/${name}`)
      return [...nodesIn(source.tree)].flatMap(node => [
        ...ofGradient(source, node),
        ...ofInputs(source, node),
        ...ofTerms(source, node),
      ])
    })
}

function mutant(source: Source, node: ts.Node, fault: string, text: string): Mutant {
  const operation = ownerOf(node)
  return {
    group: 'rules',
    file: source.file,
    line: lineOf(source, node),
    operation,
    fault: fault.replace(/\s+/g, ' '),
    start: node.getStart(source.tree),
    end: node.getEnd(),
    text,
    stages: stagesFor(operation),
  }
}

/** A thunk of a rule, in its list or made for each of many inputs; or a rule of one input, from which `unary` makes a thunk. */
function isGradient(node: ts.Node): node is ts.ArrowFunction {
  if (!ts.isArrowFunction(node)) return false
  const { parent } = node
  if (ts.isArrayLiteralExpression(parent) || ts.isReturnStatement(parent)) return node.parameters.length === 0
  return ts.isCallExpression(parent) && parent.expression.getText() === 'unary' && node === parent.arguments[1]
}

function ofGradient(source: Source, node: ts.Node): Mutant[] {
  if (!isGradient(node)) return []
  return resultsOf(node).flatMap(result => {
    const text = result.getText()
    return [
      mutant(source, result, `-(${text})`, `(${text}).neg()`),
      mutant(source, result, `2 (${text})`, `(${text}).mul(2)`),
      mutant(source, result, `${text}, cut off`, `(${text}).stopGradient()`),
    ]
  })
}

/** Exchanges the gradients of two inputs. */
function ofInputs(source: Source, node: ts.Node): Mutant[] {
  if (!ts.isArrayLiteralExpression(node)) return []
  const [x, y] = node.elements.filter(isGradient)
  if (!x || !y || x.getText() === y.getText()) return []
  const swapped = node.elements.map(element => (element === x ? y : element === y ? x : element).getText()).join(', ')
  return [mutant(source, node, `inputs exchanged: ${node.getText()}`, `[${swapped}]`)]
}

const opposite: Readonly<Record<string, string>> = { add: 'sub', sub: 'add' }

/** x.add(y) and similar calls: without y, or with the opposite sign. */
function ofTerms(source: Source, node: ts.Node): Mutant[] {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return []
  const { expression: receiver, name } = node.expression
  if (!['add', 'sub', 'mul', 'div', 'neg'].includes(name.text)) return []
  const [whole, rest] = [node.getText(), node.getText().slice(receiver.getText().length + 1 + name.text.length)]
  const dropped = mutant(source, node, `${receiver.getText()} for ${whole}`, receiver.getText())
  const other = opposite[name.text]
  if (!other) return [dropped]
  return [dropped, mutant(source, node, `${other} in ${whole}`, `${receiver.getText()}.${other}${rest}`)]
}
