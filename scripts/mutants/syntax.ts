// Parses a file into a syntax tree, with the queries that mutants need.

import { readFileSync } from 'node:fs'
import ts from 'typescript'

/** A file of the project with its tree. */
export interface Source {
  readonly file: string
  readonly tree: ts.SourceFile
}

export const read = (root: string, file: string): Source => ({
  file,
  tree: ts.createSourceFile(file, readFileSync(`${root}/${file}`, 'utf8'), ts.ScriptTarget.Latest, true),
})

export function* nodesIn(node: ts.Node): Generator<ts.Node> {
  yield node
  for (const child of node.getChildren()) yield* nodesIn(child)
}

/** The line on which a node begins, from 1. */
export const lineOf = ({ tree }: Source, node: ts.Node): number =>
  tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1

/** The name of the operation or function that contains a node: its text in errors, `sum` or `x.sum(options)`, otherwise its own name. */
export function ownerOf(node: ts.Node): string {
  let name = ''
  for (let at: ts.Node | undefined = node; at; at = at.parent) {
    if (ts.isCallExpression(at) && ts.isStringLiteral(at.arguments[0] ?? at) && at.arguments.length > 1)
      return (at.arguments[0] as ts.StringLiteral).text.replace(/^.*?(\w+)\(.*$/, '$1')
    if ((ts.isFunctionDeclaration(at) || ts.isVariableDeclaration(at) || ts.isMethodDeclaration(at)) && at.name)
      name = at.name.getText()
  }
  return name
}

/** The expressions that a function may return. */
export function resultsOf(f: ts.ArrowFunction): ts.Expression[] {
  if (!ts.isBlock(f.body)) return [f.body]
  const results: ts.Expression[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) return
    if (ts.isReturnStatement(node) && node.expression) results.push(node.expression)
    ts.forEachChild(node, visit)
  }
  ts.forEachChild(f.body, visit)
  return results
}
