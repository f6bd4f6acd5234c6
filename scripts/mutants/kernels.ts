// Faults in kernels: a bound that is one too far or one too near, a last block or a rest that is left out, a step that is too
// long. For the compiled kernels of the cpu device and for the loops of the reference.

import { readdirSync } from 'node:fs'
import ts from 'typescript'
import type { Mutant, Stage } from './mutant.ts'
import { lineOf, nodesIn, ownerOf, read, type Source } from './syntax.ts'

const cpu: Stage[] = ['attention', 'functions', 'device', 'coca', 'threads', 'kernels'].map(name => ({
  files: [`test/tensor/cpu/${name}.test.ts`],
}))

const reference: Stage[] = [{ files: ['test/autograd/ops.test.ts'] }, { files: ['test/tensor/views.test.ts'] }]

export function mutantsOfKernels(root: string): Mutant[] {
  const within = (folder: string, stages: readonly Stage[]) =>
    readdirSync(`${root}/${folder}`)
      .filter(name => name.endsWith('.ts') && name !== 'index.ts')
      .flatMap(name => {
        const source = read(root, `${folder}/${name}`)
        const faults = [...nodesIn(source.tree)].flatMap(faultsOf)
        return faults.map(([at, fault, text]) => mutant(source, at, fault, text, stages))
      })
  return [...within('src/tensor/cpu/assembly', cpu), ...within('src/tensor/reference', reference)]
}

function mutant(source: Source, node: ts.Node, fault: string, text: string, stages: readonly Stage[]): Mutant {
  return {
    group: 'kernels',
    file: source.file,
    line: lineOf(source, node),
    operation: ownerOf(node),
    fault,
    start: node.getStart(source.tree),
    end: node.getEnd(),
    text,
    stages,
  }
}

type Fault = readonly [node: ts.Node, fault: string, text: string]

function faultsOf(node: ts.Node): Fault[] {
  if (ts.isForStatement(node) && node.condition) return [...ofBound(node.condition, node.incrementor), ...ofStep(node)]
  if (ts.isIfStatement(node)) return ofRest(node)
  return []
}

/** How far a turn moves what is counted. */
function stepOf(name: string, incrementor: ts.Expression | undefined): string {
  for (const node of incrementor ? nodesIn(incrementor) : [])
    if (
      ts.isBinaryExpression(node) &&
      node.operatorToken.kind === ts.SyntaxKind.PlusEqualsToken &&
      node.left.getText() === name
    )
      return node.right.getText()
  return '1'
}

/** `i < n` as `i <= n`, and as `i + step < n`. */
function ofBound(condition: ts.Expression, incrementor: ts.Expression | undefined): Fault[] {
  if (!ts.isBinaryExpression(condition)) return []
  const [left, right] = [condition.left.getText(), condition.right.getText()]
  const operator = condition.operatorToken.kind
  if (operator === ts.SyntaxKind.LessThanToken)
    return [
      [condition, `one too far: ${condition.getText()}`, `${left} <= ${right}`],
      [condition, `the last left out: ${condition.getText()}`, `${left} + ${stepOf(left, incrementor)} < ${right}`],
    ]
  // x + 16 <= end is followed by a loop over what is left, which takes a block that is left out: no fault, only slow
  if (operator === ts.SyntaxKind.GreaterThanToken && right === '0')
    return [[condition, `the last left out: ${condition.getText()}`, `${left} > 1`]]
  return []
}

/** `x += step` with a step of its own as a step that is longer by a number. */
function ofStep({ incrementor }: ts.ForStatement): Fault[] {
  if (!incrementor) return []
  return [...nodesIn(incrementor)].flatMap((node): Fault[] =>
    ts.isBinaryExpression(node) &&
    node.operatorToken.kind === ts.SyntaxKind.PlusEqualsToken &&
    ts.isIdentifier(node.right)
      ? [[node, `a wrong stride: ${node.getText()}`, `${node.left.getText()} += ${node.right.text} + 4`]]
      : [],
  )
}

/** What is left over after whole blocks, left out. */
function ofRest({ expression }: ts.IfStatement): Fault[] {
  const text = expression.getText()
  return /& ?3|rest|count > |columns > /.test(text)
    ? [[expression, `the rest left out: if (${text})`, `false && (${text})`]]
    : []
}
