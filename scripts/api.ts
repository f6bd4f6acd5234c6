// Writes the public API, the exported names with their types, to api.txt, so that changes of it show in a diff:
//
//     npm run api            write the report
//     npm run check:api      fail if it differs

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import ts from 'typescript'
import { checker, exportsOf, files, memberName, modules, packageName, program, resolved, root } from './public-names.ts'

const report = join(root, 'api.txt')

const format =
  ts.TypeFormatFlags.NoTruncation |
  ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope |
  ts.TypeFormatFlags.WriteArrowStyleSignature |
  ts.TypeFormatFlags.UseSingleQuotesForStringLiteralType

const typeText = (type: ts.Type): string => checker.typeToString(type, undefined, format)
const byName = (a: ts.Symbol, b: ts.Symbol) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)

const isExported = new Set(files.flatMap(file => exportsOf(file).map(resolved)))
/** Whether a base class is listed itself, or is part of the language. */
const isKnown = ({ symbol }: ts.Type): boolean =>
  isExported.has(symbol) ||
  (symbol.declarations ?? []).every(at => program.isSourceFileDefaultLibrary(at.getSourceFile()))

const modifiersOf = (symbol: ts.Symbol): ts.ModifierFlags =>
  (symbol.declarations ?? []).reduce((all, at) => all | ts.getCombinedModifierFlags(at), ts.ModifierFlags.None)

function memberText(member: ts.Symbol, prefix = ''): string[] {
  const modifiers = modifiersOf(member)
  if (member.name.startsWith('#') || modifiers & ts.ModifierFlags.Private) return []
  const type = checker.getTypeOfSymbol(member)
  const isOptional = (member.flags & ts.SymbolFlags.Optional) !== 0
  const isReadonly =
    modifiers & ts.ModifierFlags.Readonly ||
    (member.flags & ts.SymbolFlags.GetAccessor && !(member.flags & ts.SymbolFlags.SetAccessor))
  const words = [
    prefix,
    modifiers & ts.ModifierFlags.Protected ? 'protected ' : '',
    modifiers & ts.ModifierFlags.Abstract ? 'abstract ' : '',
    isReadonly ? 'readonly ' : '',
  ].join('')
  return [
    `  ${words}${memberName(member.name)}${isOptional ? '?' : ''}: ${typeText(isOptional ? checker.getNonNullableType(type) : type)}`,
  ]
}

/** The declaration of a member. */
const placeOf = (member: ts.Symbol): ts.Declaration | undefined => member.declarations?.[0]

/** The members of a class or an interface, without those of base classes that are listed themselves. */
function membersOf(type: ts.InterfaceType): string[] {
  const known = (checker.getBaseTypes(type) ?? []).filter(isKnown)
  const inherited = new Set(known.flatMap(base => checker.getPropertiesOfType(base).map(placeOf)))
  const isOwn = (member: ts.Symbol) => !inherited.has(placeOf(member))
  return checker
    .getPropertiesOfType(type)
    .filter(isOwn)
    .sort(byName)
    .flatMap(member => memberText(member))
}

const heritage = (type: ts.InterfaceType): string => {
  const bases = (checker.getBaseTypes(type) ?? []).filter(isKnown).map(base => typeText(base))
  return bases.length > 0 ? ` extends ${bases.join(', ')}` : ''
}

const parametersOf = (type: ts.InterfaceType): string => {
  const names = (type.typeParameters ?? []).map(parameter => parameter.symbol.name)
  return names.length > 0 ? `<${names.join(', ')}>` : ''
}

function classText(name: string, symbol: ts.Symbol): string[] {
  const type = checker.getDeclaredTypeOfSymbol(symbol) as ts.InterfaceType
  const made = checker.getTypeOfSymbol(symbol)
  const signatures = made
    .getConstructSignatures()
    .map(
      signature =>
        `  new ${checker.signatureToString(signature, undefined, format & ~ts.TypeFormatFlags.WriteArrowStyleSignature)}`,
    )
  const fixed = checker
    .getPropertiesOfType(made)
    .filter(member => member.name !== 'prototype' && symbol.exports?.has(member.escapedName))
    .sort(byName)
    .flatMap(member => memberText(member, 'static '))
  const abstract = modifiersOf(symbol) & ts.ModifierFlags.Abstract ? 'abstract ' : ''
  return [`${abstract}class ${name}${parametersOf(type)}${heritage(type)}`, ...signatures, ...fixed, ...membersOf(type)]
}

function textOf(exported: ts.Symbol): string[] {
  const symbol = resolved(exported)
  const { name } = exported
  const { flags } = symbol
  if (flags & ts.SymbolFlags.Class) return classText(name, symbol)
  const lines: string[] = []
  if (flags & ts.SymbolFlags.Interface) {
    const type = checker.getDeclaredTypeOfSymbol(symbol) as ts.InterfaceType
    const calls = type.getCallSignatures().map(call => `  ${checker.signatureToString(call, undefined, format)}`)
    lines.push(`interface ${name}${parametersOf(type)}${heritage(type)}`, ...calls, ...membersOf(type))
  }
  if (flags & ts.SymbolFlags.TypeAlias) {
    // as written in the source: the compiler's own text depends on the order in which it processed the types
    const declaration = symbol.declarations?.find(ts.isTypeAliasDeclaration)
    const written = declaration
      ?.getText()
      .replace(/^export /, '')
      .replaceAll(/\/\*\*[\s\S]*?\*\/|\s*\/\/.*$/gm, '')
      .replaceAll(/\s+/g, ' ')
    lines.push(written ?? `type ${name}`)
  }
  if (flags & (ts.SymbolFlags.ValueModule | ts.SymbolFlags.NamespaceModule))
    lines.push(
      `namespace ${name}`,
      ...checker
        .getExportsOfModule(symbol)
        .sort(byName)
        .flatMap(textOf)
        .map(line => `  ${line}`),
    )
  else if (flags & ts.SymbolFlags.Value)
    lines.push(
      `${flags & ts.SymbolFlags.Function ? 'function' : 'const'} ${name}: ${typeText(checker.getTypeOfSymbol(symbol))}`,
    )
  return lines
}

const sections: string[] = []
const listed = new Map<ts.Symbol, string>()
for (const [entry, source] of modules) {
  const again = new Map<string, string[]>()
  const lines: string[] = []
  for (const exported of exportsOf(join(root, source))) {
    const symbol = resolved(exported)
    const before = listed.get(symbol)
    if (before === undefined) {
      listed.set(symbol, entry)
      lines.push(...textOf(exported))
    } else again.set(before, [...(again.get(before) ?? []), exported.name])
  }
  const repeated = [...again].map(([before, names]) => `as in ${before}: ${names.join(', ')}`)
  sections.push(
    [`## ${entry}`, '', ...repeated, ...(repeated.length > 0 && lines.length > 0 ? [''] : []), ...lines].join('\n'),
  )
}
const header = `# What ${packageName} exports, written by \`npm run api\`. A change here is a change for users: say so in CHANGELOG.md.`
const text = `${[header, ...sections].join('\n\n')}\n`

/** The lines of a report; each member follows the line of its owner. */
function owned(lines: string): string[] {
  let owner = ''
  return lines.split('\n').map(line => {
    if (line.startsWith('  ')) return `${owner} …${line}`
    owner = line
    return line
  })
}

if (process.argv.includes('--check')) {
  const known = await readFile(report, 'utf8')
  if (known !== text) {
    const [old, fresh] = [owned(known), owned(text)]
    const gone = old.filter(line => !fresh.includes(line)).map(line => `- ${line}`)
    const added = fresh.filter(line => !old.includes(line)).map(line => `+ ${line}`)
    console.error(['api.txt differs from the exports of the package:', ...gone, ...added].join('\n'))
    console.error('If the change is intended, run `npm run api`, commit the report, and add a line to CHANGELOG.md.')
    process.exitCode = 1
  }
} else await writeFile(report, text)
