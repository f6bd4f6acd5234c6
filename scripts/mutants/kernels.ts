// Faults in kernels: a bound that is one too large or too small, a missing last block or remainder, a step that is too long, a
// missing offset. For the compiled kernels of the cpu device, for those of the gpu device, which are generated as text, and
// for the loops of the reference.

import { readdirSync } from 'node:fs'
import ts from 'typescript'
import type { Mutant, Stage } from './mutant.ts'
import { lineOf, nodesIn, ownerOf, read, type Source } from './syntax.ts'

const one = (file: string): Stage => ({ files: [`test/${file}.test.ts`] })

const cpu: Stage[] = [
  ...['attention', 'functions', 'bounds', 'device', 'coca', 'threads', 'blas', 'kernels'].map(name =>
    one(`tensor/cpu/${name}`),
  ),
  one('autograd/ops'),
  { ...one('tensor/cpu/switches'), env: { COCAGRAD_TESTS: 'long' } },
]

const gpu: Stage[] = ['tensor/gpu/kernels', 'autograd/gpu', 'tensor/gpu/webgpu', 'tensor/gpu/switches'].map(one)

const reference: Stage[] = ['autograd/ops', 'tensor/views'].map(one)

export function mutantsOfKernels(root: string): Mutant[] {
  const within = (folder: string, stages: readonly Stage[]) =>
    readdirSync(`${root}/${folder}`)
      .filter(name => name.endsWith('.ts') && name !== 'index.ts')
      .flatMap(name => {
        const source = read(root, `${folder}/${name}`)
        const faults = [...nodesIn(source.tree)].flatMap(faultsOf)
        return faults.map(([at, fault, text]) => mutant(source, at, fault, text, stages))
      })
  return [
    ...within('src/tensor/cpu/assembly', cpu),
    ...within('src/tensor/gpu', gpu),
    ...within('src/tensor/reference', reference),
  ]
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
  if (ts.isTemplateExpression(node) && node.parent.kind !== ts.SyntaxKind.TemplateSpan) return ofGenerated(node)
  if (ts.isCallExpression(node) && node.expression.getText() === 'along') return ofGeneratedStride(node)
  if (ts.isElementAccessExpression(node) && node.expression.getText() === 'starts')
    return [[node, 'an offset forgotten', 'undefined']]
  return []
}

/** Bounds in text that becomes a kernel, such as `t<${n};` and `own<${n})`, as `t < n` in the rest of the file. */
function ofGenerated(node: ts.TemplateExpression): Fault[] {
  const text = node.getText()
  return [
    ...text.matchAll(/(?<=for \(let \w+=[^;]+;|if \()([\w+]+|\$\{[^}]+\})(<|>=)(\$\{[^}]+\}|\w+)(?=[;)])/g),
  ].flatMap(({ 0: bound, 1: left, 2: operator, 3: right, index }): Fault[] => {
    const replaced = (by: string) => text.slice(0, index) + by + text.slice(index + bound.length)
    return operator === '<'
      ? [
          [node, `one too far: ${bound}`, replaced(`${left}<=${right}`)],
          [node, `the last left out: ${bound}`, replaced(`${left}+1<${right}`)],
        ]
      : [[node, `one too far: ${bound}`, replaced(`${left}>${right}`)]]
  })
}

/** `along(base, step, stride)` with a stride that is one larger. */
function ofGeneratedStride(node: ts.CallExpression): Fault[] {
  const [base, step, stride] = node.arguments.map(argument => argument.getText())
  return stride === undefined || stride === '1'
    ? []
    : [[node, `a wrong stride: ${node.getText()}`, `along(${base}, ${step}, (${stride}) + 1)`]]
}

/** The increment of a loop. */
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
  // x + 16 <= end is followed by a loop over the remainder, which would process an omitted block: only slower, no fault
  if (operator === ts.SyntaxKind.GreaterThanToken && right === '0')
    return [[condition, `the last left out: ${condition.getText()}`, `${left} > 1`]]
  return []
}

/** `x += step` with a larger step. */
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

/** Omits the remainder after whole blocks. */
function ofRest({ expression }: ts.IfStatement): Fault[] {
  const text = expression.getText()
  return /& ?3|rest|count > |columns > |% \w+ !== 0/.test(text)
    ? [[expression, `the rest left out: if (${text})`, `false && (${text})`]]
    : []
}
