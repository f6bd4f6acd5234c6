// Every public name has a docstring: functions, values, classes, interfaces and types, and the members and fields of these. One
// that a class takes over, from another or from an interface, counts. What the language defines, such as an error's name, needs none.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import ts from 'typescript'
import {
  exportsOf,
  files,
  memberName,
  modules,
  program as packageProgram,
  resolved,
  root,
} from '../../scripts/public-names.ts'

interface Found {
  readonly names: number
  /** the names without a docstring, with the places of their declarations */
  readonly undocumented: readonly string[]
}

/** Looks through the names that files export, where their declarations satisfy a condition. */
function lookThrough(
  program: ts.Program,
  exported: readonly (readonly [name: string, symbol: ts.Symbol])[],
  isOwn: (file: ts.SourceFile) => boolean,
): Found {
  const checker = program.getTypeChecker()
  const seen = new Set<ts.Symbol>()
  const undocumented: string[] = []

  function look(name: string, symbol: ts.Symbol, at: ts.Node): void {
    if (seen.has(symbol)) return
    seen.add(symbol)
    if (ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim() !== '') return
    const file = at.getSourceFile()
    const { line } = file.getLineAndCharacterOfPosition(at.getStart())
    undocumented.push(`${name}, ${file.fileName.replace(`${root}/`, '')}:${line + 1}`)
  }

  /** Whether a class of the language, such as Error, has the member. */
  function isOfLanguage(member: ts.ClassElement | ts.TypeElement, name: string): boolean {
    if (!ts.isClassDeclaration(member.parent)) return false
    const bases = checker.getBaseTypes(checker.getTypeAtLocation(member.parent) as ts.InterfaceType)
    const places = bases.flatMap(base => checker.getPropertyOfType(base, name)?.declarations ?? [])
    return places.some(place => program.isSourceFileDefaultLibrary(place.getSourceFile()))
  }

  function lookAtMember(owner: string, member: ts.ClassElement | ts.TypeElement): void {
    if (ts.isConstructorDeclaration(member)) {
      for (const parameter of member.parameters)
        if (ts.isParameterPropertyDeclaration(parameter, member)) lookAtNamed(owner, parameter)
      return
    }
    // the fields of an object that is written in place are in the docstring of the member
    lookAtNamed(owner, member)
  }

  function lookAtNamed(
    owner: string,
    member: ts.ClassElement | ts.TypeElement | ts.ParameterPropertyDeclaration,
  ): void {
    const { name } = member
    if (!name || ts.isPrivateIdentifier(name)) return
    if (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) return
    const symbol = checker.getSymbolAtLocation(name)!
    if (!ts.isParameter(member) && isOfLanguage(member, symbol.name)) return
    look(`${owner}.${memberName(symbol.name)}`, symbol, member)
  }

  /** The fields of an object type, and of those that it is composed of. */
  function lookAtType(owner: string, type: ts.TypeNode): void {
    if (ts.isTypeLiteralNode(type)) for (const member of type.members) lookAtMember(owner, member)
    else if (ts.isUnionTypeNode(type) || ts.isIntersectionTypeNode(type))
      for (const part of type.types) lookAtType(owner, part)
    else if (ts.isParenthesizedTypeNode(type)) lookAtType(owner, type.type)
  }

  function lookAt(name: string, symbol: ts.Symbol): void {
    const own = (symbol.declarations ?? []).filter(declaration => isOwn(declaration.getSourceFile()))
    if (own.length === 0 || seen.has(symbol)) return
    if (symbol.flags & ts.SymbolFlags.Module) {
      seen.add(symbol)
      for (const each of checker.getExportsOfModule(symbol)) {
        const inside = each.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(each) : each
        lookAt(`${name}.${each.name}`, inside)
      }
      return
    }
    look(name, symbol, own[0])
    for (const declaration of own)
      if (ts.isClassDeclaration(declaration) || ts.isInterfaceDeclaration(declaration))
        for (const member of declaration.members) lookAtMember(name, member)
      else if (ts.isTypeAliasDeclaration(declaration)) lookAtType(name, declaration.type)
  }

  for (const [name, symbol] of exported) lookAt(name, symbol)
  return { names: seen.size, undocumented }
}

/** The same for one file of text. */
function lookThroughText(text: string): readonly string[] {
  const host = ts.createCompilerHost({})
  const file = ts.createSourceFile('text.ts', text, ts.ScriptTarget.Latest, true)
  const read = host.getSourceFile
  host.getSourceFile = (name, ...rest) => (name === 'text.ts' ? file : read(name, ...rest))
  const program = ts.createProgram(['text.ts'], { target: ts.ScriptTarget.ES2022 }, host)
  const checker = program.getTypeChecker()
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(file)!)
  const { undocumented } = lookThrough(
    program,
    symbols.map(symbol => [symbol.name, symbol]),
    each => each === file,
  )
  return undocumented.map(line => line.replace(', text.ts', ''))
}

describe('docstrings', () => {
  test('every public name has one', () => {
    const exported = files.flatMap(file => exportsOf(file).map(each => [each.name, resolved(each)] as const))
    const { names, undocumented } = lookThrough(packageProgram, exported, ({ fileName }) =>
      fileName.startsWith(`${root}/src/`),
    )
    assert.ok(modules.length >= 10 && names > 3000, `${names} names of ${modules.length} modules`)
    assert.deepEqual(undocumented, [])
  })

  test('what has none is named with its place', () => {
    const text = `
      /** a */ export const a = 1
      export const b = 2
      /** c */
      export interface C {
        d: number
        /** e */
        e: { f: number }
      }
      /** g */
      export type G =
        { kind: 1,
          /** h */
          h: 1 } | ((i: { j: number }) => void)
      /** k */
      export class K implements C {
        d = 1
        e = { f: 1 }
        l = 2
        #m = 3
        private n = 4
        constructor(readonly o: number, p: number) {}
        /** q */
        q() {}
      }
      /** r */
      export class R extends K { override q() {} }
      /** s */
      export class S extends Error { override name = 'S'; t = 1 }
      export interface Unused {}
      interface Inside { u: 1 }`
    assert.deepEqual(lookThroughText(text), [
      'b:3',
      'C.d:6',
      'G.kind:12',
      'K.d:17',
      'K.l:19',
      'K.o:22',
      'S.t:29',
      'Unused:30',
    ])
  })
})
