// Writes reference/: a page for each file of src that exports public names, with their signatures and docstrings, and an overview of
// all names. TypeDoc reads the entries of package.json's exports. Its own pages would be one a name, of which there are too many
// to build and to read, or one an entry, which is too long.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application, ReflectionKind } from 'typedoc'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))
const out = fileURLToPath(new URL('../reference/', import.meta.url))

/** The groups of the sidebar, by the folders of src. */
const groups = {
  tensor: 'Tensors and devices',
  autograd: 'Automatic differentiation',
  'autograd/ops': 'Operations',
  nn: 'Modules and losses',
  optim: 'Optimizers',
  models: 'Models',
  debug: 'Debugging',
  notebook: 'Notebooks',
  data: 'Data',
  io: 'Files',
  train: 'Training',
  mpi: 'Several processes',
  evaluate: 'Evaluation',
  doctor: 'Examination',
  openclip: 'OpenCLIP',
  testing: 'Testing',
}

const { exports: entries } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))
const paths = Object.entries(entries).filter(([, { source }]) => source)
const application = await Application.bootstrap({
  entryPoints: paths.map(([, { source }]) => root + source.slice(2)),
  tsconfig: `${root}tsconfig.json`,
  basePath: root,
  readme: 'none',
  disableGit: true,
  sourceLinkTemplate: '{path}',
  excludeExternals: true,
  excludePrivate: true,
  // the root's own check compiles the same files
  skipErrorChecking: true,
  logLevel: 'Error',
})
const project = await application.convert()
if (!project) throw new Error('TypeDoc could not read the entries')

/** Every public name with its declaration, its page and the entries that export it. */
const names = []
const byDeclaration = new Map()
/** The entry that a module of TypeDoc is, which has the name of its file. */
const entryOf = ({ name }) =>
  `cocagrad${paths.find(([, { source }]) => source.slice(2).replace(/(\/index)?\.ts$/, '') === name)[0].slice(1)}`

/** The page of a file of src, below reference/. */
const pageOf = file =>
  file
    .replace(/^src\//, '')
    .replace(/([\w-]+)\/index\.ts$/, '$1/$1')
    .replace(/\.ts$/, '')
    .replace(/^autograd\/ops\//, 'operations/')

function collect(module, entry, prefix = '') {
  for (const child of module.children ?? []) {
    const declaration = child.isReference() ? child.getTargetReflectionDeep() : child
    const known = byDeclaration.get(declaration)
    if (known) {
      if (!known.entries.includes(entry)) known.entries.push(entry)
      // two names of one thing
      if (prefix + child.name !== known.name) known.aliases.add(prefix + child.name)
      continue
    }
    if (declaration.kindOf(ReflectionKind.Namespace)) {
      collect(declaration, entry, `${prefix}${child.name}.`)
      continue
    }
    const source = declaration.sources?.find(({ fileName }) => fileName.startsWith('src/'))
    if (!source) continue
    const name = prefix + child.name
    const made = {
      name,
      id: name.replaceAll('.', '-'),
      declaration,
      file: source.fileName,
      page: pageOf(source.fileName),
      entries: [entry],
      aliases: new Set(),
    }
    names.push(made)
    byDeclaration.set(declaration, made)
  }
}
// first the entry that has the most, whose names are the shortest
for (const module of project.children.toSorted?.((a, b) => entryOf(a).length - entryOf(b).length) ?? project.children)
  collect(module, entryOf(module))

/** `Map.groupBy`, which Node 20 does not have. */
function groupBy(items, keyOf) {
  const all = new Map()
  for (const item of items) all.set(keyOf(item), [...(all.get(keyOf(item)) ?? []), item])
  return all
}

const escaped = text => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** The address of a public name, from a page. */
const hrefOf = ({ page, id }, from) => `${posix.relative(posix.dirname(from), page)}.html#${id}`
const linked = (text, target, from) => {
  const known = target && byDeclaration.get(target)
  return known ? `<a href="${hrefOf(known, from)}">${escaped(text)}</a>` : escaped(text)
}

/** A type as HTML, with links to the public names in it. */
function typeOf(type, from) {
  const of = each => typeOf(each, from)
  const list = types => types.map(of).join(', ')
  const closed = each =>
    ['union', 'intersection', 'conditional', 'typeOperator'].includes(each.type) ||
    (each.type === 'reflection' && each.declaration.signatures)
      ? `(${of(each)})`
      : of(each)
  switch (type?.type) {
    case undefined:
      return 'unknown'
    case 'reference': {
      const args = type.typeArguments?.length ? `&lt;${list(type.typeArguments)}&gt;` : ''
      return linked(type.name, type.reflection, from) + args
    }
    case 'array':
      return `${closed(type.elementType)}[]`
    case 'union':
      return type.types.map(each => (each.type === 'reflection' ? closed(each) : of(each))).join(' | ')
    case 'intersection':
      return type.types.map(each => (each.type === 'union' ? closed(each) : of(each))).join(' &amp; ')
    case 'tuple':
      return `[${list(type.elements)}]`
    case 'namedTupleMember':
      return `${type.name}${type.isOptional ? '?' : ''}: ${of(type.element)}`
    case 'optional':
      return `${of(type.elementType)}?`
    case 'rest':
      return `...${of(type.elementType)}`
    case 'typeOperator':
      return `${type.operator} ${of(type.target)}`
    case 'indexedAccess':
      return `${closed(type.objectType)}[${of(type.indexType)}]`
    case 'predicate':
      return `${type.asserts ? 'asserts ' : ''}${type.name}${type.targetType ? ` is ${of(type.targetType)}` : ''}`
    case 'conditional':
      return `${of(type.checkType)} extends ${of(type.extendsType)} ? ${of(type.trueType)} : ${of(type.falseType)}`
    case 'mapped':
      return `{ [${type.parameter} in ${of(type.parameterType)}]${type.optionalModifier === '+' ? '?' : ''}: ${of(type.templateType)} }`
    case 'reflection': {
      const { signatures = [], children = [], indexSignatures = [] } = type.declaration
      if (signatures.length === 1 && children.length === 0) return callOf(signatures[0], '', ' =&gt; ', from)
      const parts = [
        ...signatures.map(each => callOf(each, '', ': ', from)),
        ...indexSignatures.map(
          each => `[${each.parameters[0].name}: ${of(each.parameters[0].type)}]: ${of(each.type)}`,
        ),
        ...children.map(each => memberOf(each, from)),
      ]
      return parts.length > 0 ? `{ ${parts.join('; ')} }` : '{}'
    }
    default:
      return escaped(type.toString())
  }
}

const typeParametersOf = ({ typeParameters = [] }, from) =>
  typeParameters.length === 0
    ? ''
    : `&lt;${typeParameters.map(({ name, type }) => (type ? `${name} extends ${typeOf(type, from)}` : name)).join(', ')}&gt;`

/** A signature as HTML: `name(x: Tensor): Tensor`. */
function callOf(signature, name, arrow, from) {
  const parameters = (signature.parameters ?? []).map(({ name: each, type, flags, defaultValue }) => {
    const mark = flags.isRest ? '...' : ''
    const label = each === '__namedParameters' ? 'options' : each
    return `${mark}${label}${flags.isOptional || defaultValue !== undefined ? '?' : ''}: ${typeOf(type, from)}`
  })
  // parameters that are given as a tuple
  const [first] = signature.parameters ?? []
  const rest =
    signature.parameters?.length === 1 && first.flags.isRest && first.type?.type === 'tuple' ? first.type : undefined
  const inside = rest ? rest.elements.map(each => typeOf(each, from)).join(', ') : parameters.join(', ')
  return `${name}${typeParametersOf(signature, from)}(${inside})${arrow}${typeOf(signature.type, from)}`
}

/** The signatures of a function, or of a value that is one. */
const signaturesOf = ({ signatures, type }) =>
  signatures?.length
    ? signatures
    : type?.type === 'reflection' && !type.declaration.children
      ? (type.declaration.signatures ?? [])
      : []

function memberOf(member, from) {
  if (member.kindOf(ReflectionKind.Accessor)) {
    const get = member.getSignature
    return `${member.setSignature ? '' : 'readonly '}${member.name}: ${typeOf(get?.type ?? member.type, from)}`
  }
  const { flags } = member
  const signatures = signaturesOf(member)
  const before = `${flags.isStatic ? 'static ' : ''}${flags.isProtected ? 'protected ' : ''}`
  const called = signatures.length > 0 && (member.kindOf(ReflectionKind.Method) || member.type?.type === 'reflection')
  if (called && !flags.isOptional)
    return signatures.map(each => before + callOf(each, member.name, ': ', from)).join('\n')
  const type = member.kindOf(ReflectionKind.Method)
    ? callOf(signatures[0], '', ' =&gt; ', from)
    : typeOf(member.type, from)
  return `${before}${flags.isReadonly ? 'readonly ' : ''}${member.name}${flags.isOptional ? '?' : ''}: ${type}`
}

/** Whether a paragraph is an example: the compiler can parse it, and it calls something. */
function isCode(paragraph) {
  if (/^ {4}/.test(paragraph)) return true
  if (!/[(=]/.test(paragraph)) return false
  return ts.transpileModule(paragraph, { reportDiagnostics: true }).diagnostics.length === 0
}

/** Text that markdown shows as it is, but for code in backticks. */
const plain = text =>
  text
    .split(/(`[^`]+`)/)
    .map((part, i) => (i % 2 ? part : escaped(part.replaceAll(/[\\*_[\]]/g, '\\$&'))))
    .join('')

/** A part of a docstring as markdown. */
function prose(parts = [], from) {
  const links = []
  const raw = parts
    .map(part => {
      if (part.kind !== 'inline-tag') return part.text
      links.push(
        byDeclaration.has(part.target) ? linked(part.text, part.target, from) : `<code>${escaped(part.text)}</code>`,
      )
      return `\uE000${links.length - 1}\uE001`
    })
    .join('')
  if (raw.startsWith('```')) return raw
  const paragraphs = raw.trimEnd().split(/\n\n+/)
  return paragraphs
    .map((paragraph, i) =>
      i > 0 && isCode(paragraph)
        ? `\`\`\`ts\n${paragraph.replaceAll(/^ {4}/gm, '')}\n\`\`\``
        : plain(paragraph.trim()).replaceAll(/\uE000(\d+)\uE001/g, (_, at) => links[at]),
    )
    .join('\n\n')
}

/** All that docstrings say of a name, as markdown. */
function documentation(declaration, from, { brief = false } = {}) {
  const signatures = signaturesOf(declaration)
  const get = declaration.getSignature
  const comments = [declaration.comment, ...signatures.map(({ comment }) => comment), get?.comment].filter(Boolean)
  const seen = new Set()
  const once = text => text !== '' && !seen.has(text) && seen.add(text)
  const summaries = comments.map(({ summary }) => prose(summary, from)).filter(once)
  if (brief) return summaries.join('\n\n').split('\n\n')[0] ?? ''
  const parameters = signatures.flatMap(({ parameters = [] }) =>
    parameters.map(({ name, comment }) => [name, prose(comment?.summary, from)]).filter(([, text]) => text !== ''),
  )
  const tags = comments.flatMap(({ blockTags }) => blockTags).map(tag => [tag.tag, tag.name, prose(tag.content, from)])
  const loose = tags.filter(([tag]) => tag === '@param').map(([, name, text]) => [name, text])
  const described = [...parameters, ...loose]
    .map(([name, text]) => `- \`${name}\`: ${text.replaceAll('\n', '\n  ')}`)
    .filter(once)
  const of = (wanted, word) =>
    tags
      .filter(([tag]) => tag === wanted)
      .map(([, , text]) => `**${word}** ${text}`)
      .filter(once)
  return [
    ...summaries,
    described.join('\n'),
    ...of('@returns', 'Returns'),
    ...of('@throws', 'Throws'),
    ...tags.filter(([tag]) => tag === '@example').map(([, , text]) => text),
  ]
    .filter(part => part !== '')
    .join('\n\n')
}

/** The public names that a class or an interface extends. */
const parentsOf = ({ extendedTypes = [] }) =>
  extendedTypes.map(({ reflection }) => reflection).filter(parent => byDeclaration.has(parent))

/** Members that a name does not have from another public one. */
function ownMembers(declaration) {
  const inherited = new Set(parentsOf(declaration).flatMap(({ children = [] }) => children.map(({ name }) => name)))
  return (declaration.children ?? []).filter(
    member =>
      !member.kindOf(ReflectionKind.Constructor) &&
      !member.flags.isExternal &&
      (member.overwrites || !inherited.has(member.name)),
  )
}

const signature = html => `<pre class="signature"><code>${html}</code></pre>`

function headOf({ name, declaration }, from) {
  const bare = name.split('.').at(-1)
  const parents = (declaration.extendedTypes ?? []).map(type => typeOf(type, from))
  const heritage = parents.length > 0 ? ` extends ${parents.join(', ')}` : ''
  if (declaration.kindOf(ReflectionKind.Class)) {
    const abstract = declaration.flags.isAbstract ? 'abstract ' : ''
    const constructors = declaration.children?.find(({ kind }) => kind === ReflectionKind.Constructor)?.signatures ?? []
    return [
      `${abstract}class ${bare}${typeParametersOf(declaration, from)}${heritage}`,
      ...(abstract
        ? []
        : constructors.map(each =>
            callOf({ ...each, type: undefined, typeParameters: [] }, `new ${bare}`, '', from).replace(/unknown$/, ''),
          )),
    ].join('\n')
  }
  if (declaration.kindOf(ReflectionKind.Interface))
    return `interface ${bare}${typeParametersOf(declaration, from)}${heritage}`
  if (declaration.kindOf(ReflectionKind.TypeAlias))
    return isRecord(declaration)
      ? `type ${bare}${typeParametersOf(declaration, from)}`
      : `type ${bare}${typeParametersOf(declaration, from)} = ${typeOf(declaration.type, from)}`
  const signatures = signaturesOf(declaration)
  if (signatures.length > 0) return signatures.map(each => callOf(each, bare, ': ', from)).join('\n')
  return isRecord(declaration) ? `const ${bare}` : `const ${bare}: ${typeOf(declaration.type, from)}`
}

/** Whether a type is an object whose fields are listed below it. */
const isRecord = ({ type }) => type?.type === 'reflection' && !type.declaration.signatures && type.declaration.children

/** Operations, which are methods of tensors too. */
const operations = new Map(names.filter(({ page }) => page.startsWith('operations/')).map(each => [each.name, each]))

function section(named, from) {
  const { name, id, declaration, aliases } = named
  const isTensor = name === 'Tensor'
  const members = isRecord(declaration) ? declaration.type.declaration.children : ownMembers(declaration)
  const constructed = declaration.kindOf(ReflectionKind.Class)
    ? declaration.children?.find(({ kind }) => kind === ReflectionKind.Constructor)
    : undefined
  const list = members.map(member => {
    const operation = isTensor ? operations.get(member.name) : undefined
    const text = documentation(member, from, { brief: operation !== undefined })
    const more = operation ? ` <a href="${hrefOf(operation, from)}">As a function</a>` : ''
    return `<dt id="${id}-${member.name.replaceAll(/[^\w$-]/g, '')}"><code>${memberOf(member, from)}</code></dt>\n<dd>\n\n${text}${more}\n\n</dd>`
  })
  return [
    `## ${name} {#${id}}`,
    signature(headOf(named, from)),
    aliases.size > 0 ? `Also exported as ${[...aliases].map(each => `\`${each}\``).join(', ')}.` : '',
    documentation(declaration, from),
    ...(constructed ? [documentation(constructed, from)] : []),
    ...(list.length > 0 ? [`<dl>\n${list.join('\n')}\n</dl>`] : []),
  ]
    .filter(part => part !== '')
    .join('\n\n')
}

/** The first sentence of the comment at the start of a file, which says what is in it. */
async function headerOf(file) {
  const [comment] = /^(?:\/\/.*\n)+/.exec(await readFile(root + file, 'utf8')) ?? ['']
  const text = comment
    .replaceAll(/^\/\/ ?/gm, '')
    .replaceAll('\n', ' ')
    .trim()
  return /^.*?[.:](?=\s|$)/.exec(text)?.[0].replace(/:$/, '.') ?? text
}

/** The name of its file, after the name of a folder in the folder of the group. */
const titleOf = page => page.split('/').slice(1).join(': ').replaceAll('-', ' ')
const capital = text => text[0].toUpperCase() + text.slice(1)

/** Names by page, in the order in which the files define them. */
const pages = groupBy(names, ({ page }) => page)

await rm(out, { recursive: true, force: true })
const kinds = ({ declaration }) => (declaration.kindOf(ReflectionKind.Interface | ReflectionKind.TypeAlias) ? 1 : 0)
for (const [page, listed] of pages) {
  listed.sort((a, b) => kinds(a) - kinds(b) || a.declaration.sources[0].line - b.declaration.sources[0].line)
  const intro = plain(await headerOf(listed[0].file))
  const from = new Set(listed.flatMap(({ entries }) => entries))
  const text = [
    `---\ntitle: ${JSON.stringify(capital(titleOf(page)))}\neditLink: false\n---`,
    `# ${capital(titleOf(page))} {#top}`,
    '<div v-pre class="reference">',
    intro,
    `Exported by ${[...from].map(entry => `\`${entry}\``).join(', ')}.`,
    ...listed.map(each => section(each, page)),
    '</div>',
  ]
  await mkdir(dirname(`${out}${page}`), { recursive: true })
  await writeFile(`${out}${page}.md`, `${text.join('\n\n')}\n`)
}

const folders = groupBy([...pages.keys()], page => page.split('/')[0])
const sections = Object.entries(groups)
  .map(([folder, text]) => [folder === 'autograd/ops' ? 'operations' : folder, text])
  .filter(([folder]) => folders.has(folder))
  .map(([folder, text]) => ({
    folder,
    text,
    items: folders
      .get(folder)
      .sort((a, b) => titleOf(a).localeCompare(titleOf(b)))
      .map(page => ({ text: capital(titleOf(page)), link: `/reference/${page}` })),
  }))
const left = [...folders.keys()].filter(folder => !sections.some(each => each.folder === folder))
if (left.length > 0) throw new Error(`folders without a group of the sidebar: ${left.join(', ')}`)

/** A sidebar for each folder, with the pages of its group: one with all pages would be most of each page's bytes. */
const sidebar = Object.fromEntries(
  ['', ...sections.map(({ folder }) => folder)].map(open => [
    open === '' ? '/reference/' : `/reference/${open}/`,
    [
      { text: 'All names', link: '/reference/' },
      ...sections.map(({ folder, text, items }) => (folder === open ? { text, items } : { text, link: items[0].link })),
    ],
  ]),
)
await writeFile(`${out}sidebar.json`, JSON.stringify(sidebar))

const overview = sections.flatMap(({ text, items }) => [
  `## ${text}`,
  ...items.map(({ text: title, link }) => {
    const page = link.replace('/reference/', '')
    const all = pages.get(page).map(each => `<a href="${page}.html#${each.id}">${each.name}</a>`)
    return `<p><strong><a href="${page}.html">${title}</a></strong>: ${all.join(', ')}</p>`
  }),
])
await writeFile(
  `${out}index.md`,
  `---\ntitle: Reference\nsearch: false\noutline: 2\n---\n\n# Reference\n\nEvery public name, by its docstring: ${names.length} functions, classes and types.\n\n${overview.join('\n\n')}\n`,
)
// for links from the guides: the address of each name
await writeFile(
  `${out}names.json`,
  JSON.stringify(
    Object.fromEntries(
      names.flatMap(({ name, aliases, page, id }) =>
        [name, ...aliases].map(each => [each, `/reference/${page}#${id}`]),
      ),
    ),
  ),
)
// for the page of kernels: the first sentence of each operation
const sentenceOf = declaration => {
  const comments = [declaration, ...signaturesOf(declaration)].map(({ comment }) => comment?.summary ?? [])
  const written = comments.find(summary => summary.length > 0) ?? []
  const [text] = written
    .map(({ text }) => text.replaceAll('`', ''))
    .join('')
    .split('\n\n')
  return (/^.*?(?<!\bal)\.(?=\s+[A-Z]|$)/s.exec(text)?.[0] ?? text).replaceAll(/\s+/g, ' ')
}
await writeFile(
  `${out}operations.json`,
  JSON.stringify(
    Object.fromEntries(
      Array.from(operations, ([name, { declaration, page, id }]) => [
        name,
        { about: sentenceOf(declaration), page: `/reference/${page}.html#${id}`, group: capital(titleOf(page)) },
      ]),
    ),
  ),
)
console.log(`reference: ${names.length} names on ${pages.size} pages`)
