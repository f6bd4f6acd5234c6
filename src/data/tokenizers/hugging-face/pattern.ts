// Regular expressions of a tokenizer.json. They are written for Oniguruma (Ruby's syntax), whose `\w`, `$`, `\h` and
// character classes differ from those of JavaScript, and a pattern such as `(a+)+$` takes JavaScript a time that is
// exponential in the length of the text. So patterns are parsed and matched here, and the number of steps is bounded.
// What this parser does not know is refused by name.

import { TokenizerError } from '../../../io/browser.ts'

import { type Field, shown } from './fields.ts'

/** Part of a text, in code units. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly isMatch: boolean
}

/** Steps that matching may take: so many for any text, and so many more for every code unit of it. */
const STEPS = 1_000_000
const STEPS_PER_UNIT = 2_000
/** Instructions in a pattern with its repetitions written out. */
const LARGEST = 5_000
const MOST_REPETITIONS = 1_000
const DEEPEST = 50

type Has = (code: number) => boolean

type Node =
  | { readonly kind: 'character'; readonly has: Has }
  | { readonly kind: 'sequence'; readonly nodes: readonly Node[] }
  | { readonly kind: 'choice'; readonly nodes: readonly Node[] }
  | {
      readonly kind: 'repeat'
      readonly node: Node
      readonly min: number
      readonly max: number
      readonly greedy: boolean
    }
  | { readonly kind: 'look'; readonly node: Node; readonly behind: boolean; readonly negative: boolean }
  | { readonly kind: 'atomic'; readonly node: Node }
  | { readonly kind: 'place'; readonly holds: (text: string, at: number) => boolean }

/** The set of characters that a JavaScript class contains, tested once for each character. */
function setOf(javascript: string): Has {
  const expression = new RegExp(`^[${javascript}]$`, 'u')
  const known = new Map<number, boolean>()
  return code => {
    let has = known.get(code)
    if (has === undefined) {
      has = expression.test(String.fromCodePoint(code))
      known.set(code, has)
    }
    return has
  }
}

const not =
  (has: Has): Has =>
  code =>
    !has(code)

const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}'
const sets = {
  space: setOf('\\p{White_Space}'),
  digit: setOf('\\p{Nd}'),
  hexadecimal: setOf('0-9A-Fa-f'),
  // Oniguruma counts ², ³, ¹, ¼, ½ and ¾ as letters of words outside [ ] only
  word: setOf(`${WORD}\\u00B2\\u00B3\\u00B9\\u00BC-\\u00BE`),
  wordInClass: setOf(WORD),
  notNewline: (code: number) => code !== 0x0a,
}

/** The classes of `[:name:]`, which `\p{Name}` also means. */
const POSIX: Readonly<Record<string, string>> = {
  alnum: '\\p{Alphabetic}\\p{Nd}',
  alpha: '\\p{Alphabetic}',
  ascii: '\\0-\\x7f',
  blank: '\\t\\p{Zs}',
  cntrl: '\\p{Cc}',
  digit: '\\p{Nd}',
  lower: '\\p{Lowercase}',
  punct: '\\p{P}\\p{S}',
  space: '\\p{White_Space}',
  upper: '\\p{Uppercase}',
  word: WORD,
  xdigit: '0-9A-Fa-f',
}

const CATEGORY = /^(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfon]?)$/

const ESCAPED: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27 }

/** The characters that a letter equals where case is ignored. */
function ignoringCase(code: number): Has {
  const letter = String.fromCodePoint(code).toLowerCase()
  const alike = new Set([letter, letter.toUpperCase(), ...(letter === 's' ? ['ſ'] : letter === 'k' ? ['\u212a'] : [])])
  const codes = new Set([...alike].map(each => each.codePointAt(0)))
  return each => codes.has(each)
}

const before = (text: string, at: number): number => {
  const isPair = at >= 2 && text.codePointAt(at - 2)! > 0xffff
  return isPair ? at - 2 : at - 1
}

const isWordAt = (text: string, at: number): boolean => at >= 0 && at < text.length && sets.word(text.codePointAt(at)!)
const isBoundary = (text: string, at: number): boolean => isWordAt(text, before(text, at)) !== isWordAt(text, at)

const places: Readonly<Record<string, (text: string, at: number) => boolean>> = {
  '^': (text, at) => at === 0 || (at < text.length && text[at - 1] === '\n'),
  $: (text, at) => at === text.length || text[at] === '\n',
  A: (_, at) => at === 0,
  z: (text, at) => at === text.length,
  Z: (text, at) => at === text.length || (at === text.length - 1 && text[at] === '\n'),
  b: isBoundary,
  B: (text, at) => !isBoundary(text, at),
}

/** Reads a pattern from left to right. */
class Parser {
  readonly #source: readonly string[]
  readonly #refuse: (reason: string) => never
  #at = 0
  #depth = 0
  #ignoresCase = false

  constructor(source: string, refuse: (reason: string) => never) {
    this.#source = [...source]
    this.#refuse = refuse
  }

  parse(): Node {
    if (this.#takes('(?i)')) this.#ignoresCase = true
    const node = this.#choice()
    if (this.#at < this.#source.length) this.#refuse("a ')' closes nothing")
    return node
  }

  /** Moves past these characters if they are next. */
  #takes(characters: string): boolean {
    const isNext = [...characters].every((character, i) => this.#source[this.#at + i] === character)
    if (isNext) this.#at += characters.length
    return isNext
  }

  #take(): string {
    if (this.#at >= this.#source.length) this.#refuse('it ends too early')
    return this.#source[this.#at++]
  }

  #choice(): Node {
    if (++this.#depth > DEEPEST) this.#refuse(`groups are nested more than ${DEEPEST} levels deep`)
    const nodes = [this.#sequence()]
    while (this.#takes('|')) nodes.push(this.#sequence())
    this.#depth--
    return nodes.length === 1 ? nodes[0] : { kind: 'choice', nodes }
  }

  #sequence(): Node {
    const nodes: Node[] = []
    let literals = ''
    while (this.#at < this.#source.length && this.#source[this.#at] !== '|' && this.#source[this.#at] !== ')') {
      literals += this.#source[this.#at]
      nodes.push(this.#repeated(this.#atom()))
    }
    // these pairs of letters equal one letter, such as ß and ﬁ
    if (this.#ignoresCase && /s[st]|f[fil]/i.test(literals))
      this.#refuse("case is ignored for 'ss', 'st', 'ff', 'fi' or 'fl', which is not supported: write out both cases")
    return nodes.length === 1 ? nodes[0] : { kind: 'sequence', nodes }
  }

  #repeated(node: Node): Node {
    const counts = this.#counts()
    if (!counts) return node
    const { min, max, isBraces } = counts
    if (node.kind === 'place' || node.kind === 'look') this.#refuse('a position in the text is repeated')
    if (max > min && canBeEmpty(node)) this.#refuse('something that can be empty is repeated')
    const lazy = this.#takes('?')
    if (isBraces && lazy) this.#refuse("'?' after a count in braces is not supported")
    const plus = !lazy && this.#takes('+')
    if (this.#counts()) this.#refuse('a repetition is repeated: put it in a group (?:…)')
    const repeat: Node = { kind: 'repeat', node, min, max, greedy: !lazy }
    if (!plus) return repeat
    if (!isBraces) return { kind: 'atomic', node: repeat }
    // after a count in braces, '+' repeats it, and does not make it possessive
    if (canBeEmpty(repeat)) this.#refuse('something that can be empty is repeated')
    return { kind: 'repeat', node: repeat, min: 1, max: Infinity, greedy: true }
  }

  #counts(): { min: number; max: number; isBraces?: boolean } | undefined {
    if (this.#takes('*')) return { min: 0, max: Infinity }
    if (this.#takes('+')) return { min: 1, max: Infinity }
    if (this.#takes('?')) return { min: 0, max: 1 }
    if (this.#source[this.#at] !== '{') return undefined
    const close = this.#source.indexOf('}', this.#at)
    const found = /^\{(\d*)(,?)(\d*)\}$/.exec(this.#source.slice(this.#at, Math.min(close + 1, this.#at + 30)).join(''))
    if (!found || found[0].length < 3 || (found[1] === '' && found[3] === '')) return undefined // an ordinary brace
    this.#at = close + 1
    const [, least, comma, most] = found
    const min = Number(least)
    const max = comma === '' ? min : most === '' ? Infinity : Number(most)
    if (Math.max(min, max === Infinity ? 0 : max) > MOST_REPETITIONS)
      this.#refuse(`${found[0]} repeats more than ${MOST_REPETITIONS} times`)
    if (min > max) this.#refuse(`${found[0]} has its smaller number second`)
    return { min, max, isBraces: true }
  }

  #atom(): Node {
    const character = this.#take()
    if (character === '(') return this.#group()
    if (character === '[') return { kind: 'character', has: this.#class() }
    if (character === '.') return { kind: 'character', has: sets.notNewline }
    if (character === '^' || character === '$') return { kind: 'place', holds: places[character] }
    if (character === '\\') return this.#escape()
    if ('*+?'.includes(character)) this.#refuse(`'${character}' repeats nothing`)
    return this.#letter(character.codePointAt(0)!)
  }

  /** A character for itself. */
  #letter(code: number): Node {
    return { kind: 'character', has: this.#equal(code) }
  }

  #equal(code: number): Has {
    if (!this.#ignoresCase) return each => each === code
    if (code > 0x7f) this.#refuse('case is ignored for a character that is not ASCII')
    return ignoringCase(code)
  }

  #group(): Node {
    const outer = this.#ignoresCase
    const closed = (): Node => {
      const node = this.#choice()
      if (!this.#takes(')')) this.#refuse('a group is not closed')
      this.#ignoresCase = outer
      return node
    }
    if (this.#takes('?:')) return closed()
    if (this.#takes('?i:')) {
      this.#ignoresCase = true
      return closed()
    }
    if (this.#takes('?=')) return { kind: 'look', node: closed(), behind: false, negative: false }
    if (this.#takes('?!')) return { kind: 'look', node: closed(), behind: false, negative: true }
    if (this.#takes('?<=')) return this.#lookbehind(closed(), false)
    if (this.#takes('?<!')) return this.#lookbehind(closed(), true)
    if (this.#takes('?>')) return { kind: 'atomic', node: closed() }
    if (this.#source[this.#at] === '?')
      this.#refuse(`groups of the form '(${this.#source.slice(this.#at, this.#at + 3).join('')}' are not supported`)
    return closed()
  }

  #lookbehind(node: Node, negative: boolean): Node {
    if (widthOf(node) === undefined) this.#refuse('a lookbehind has parts of several lengths')
    return { kind: 'look', node, behind: true, negative }
  }

  #escape(): Node {
    const character = this.#take()
    if (Object.hasOwn(places, character)) return { kind: 'place', holds: places[character] }
    const has = this.#escapedSet(character, sets.word)
    if (has && this.#ignoresCase && /p/i.test(character)) this.#refuse('case is ignored for \\p{…}')
    return has ? { kind: 'character', has } : this.#letter(this.#escapedCode(character))
  }

  #escapedSet(character: string, word: Has): Has | undefined {
    if (character === 's') return sets.space
    if (character === 'S') return not(sets.space)
    if (character === 'd') return sets.digit
    if (character === 'D') return not(sets.digit)
    if (character === 'w') return word
    if (character === 'W') return not(word)
    if (character === 'h') return sets.hexadecimal
    if (character === 'H') return not(sets.hexadecimal)
    return character === 'p' || character === 'P' ? this.#property(character === 'P') : undefined
  }

  #escapedCode(character: string): number {
    if (Object.hasOwn(ESCAPED, character)) return ESCAPED[character]
    if (character === 'x' || character === 'u') {
      const braced = /^\{([0-9A-Fa-f]{1,6})\}/
      const plain = character === 'x' ? /^([0-9A-Fa-f]{2})/ : /^([0-9A-Fa-f]{4})/
      const next = this.#source.slice(this.#at, this.#at + 8).join('')
      const found = (character === 'x' ? braced.exec(next) : null) ?? plain.exec(next)
      const code = found ? Number.parseInt(found[1], 16) : Number.NaN
      const isByte = character === 'x' && found?.[0].length === 2
      if (!found || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || (isByte && code > 0x7f))
        this.#refuse(`'\\${character}' needs the number of a character, as in \\x{e9}`)
      this.#at += found[0].length
      return code
    }
    if (/[A-Za-z0-9]/.test(character)) this.#refuse(`'\\${character}' is not supported`)
    return character.codePointAt(0)!
  }

  #property(isNegated: boolean): Has {
    const found = /^\{(\^?)([A-Za-z_ -]{1,40})\}/.exec(this.#source.slice(this.#at, this.#at + 44).join(''))
    if (!found) this.#refuse("'\\p' needs a property in braces, as in \\p{L}")
    this.#at += found[0].length
    const name = found[2]
    const posix = POSIX[name.toLowerCase()]
    const has = posix ? setOf(posix) : CATEGORY.test(name) ? setOf(`\\p{${name}}`) : scriptOf(name)
    if (!has) this.#refuse(`the property '${name}' is not known: use a category such as L or Nd, or a script`)
    return isNegated !== (found[1] === '^') ? not(has) : has
  }

  /** After `[`: everything to the `]` that closes it. */
  #class(): Has {
    if (++this.#depth > DEEPEST) this.#refuse(`classes are nested more than ${DEEPEST} levels deep`)
    const isNegated = this.#takes('^')
    if (this.#ignoresCase && isNegated) this.#refuse('case is ignored for a class of the form [^…]')
    if (this.#source[this.#at] === ']') this.#refuse("a class is empty; write ']' in a class as '\\]'")
    const operands: Has[][] = [[]]
    for (;;) {
      if (this.#takes(']')) break
      if (this.#takes('&&')) operands.push([])
      else operands[operands.length - 1].push(this.#classItem())
    }
    this.#depth--
    if (operands.some(items => items.length === 0)) this.#refuse("one side of '&&' is empty")
    const has: Has = code => operands.every(items => items.some(item => item(code)))
    return isNegated ? not(has) : has
  }

  #classItem(): Has {
    const character = this.#take()
    if (character === '[') return this.#takes(':') ? this.#posix() : this.#class()
    let first = character.codePointAt(0)!
    if (character === '\\') {
      const escaped = this.#take()
      const has = this.#escapedSet(escaped, sets.wordInClass)
      if (has) {
        if (this.#ignoresCase) this.#refuse(`case is ignored for a class with '\\${escaped}'`)
        if (this.#source[this.#at] === '-' && this.#source[this.#at + 1] !== ']')
          this.#refuse("a class has '-' after a set of characters: write '\\-'")
        return has
      }
      first = escaped === 'b' ? 8 : this.#escapedCode(escaped)
    }
    if (this.#source[this.#at] !== '-' || this.#source[this.#at + 1] === ']') return this.#equal(first)
    if (character === '-') this.#refuse("a class has '-' at the start of a range: write '\\-'")
    this.#at++
    let end = this.#take()
    if (end === '[' || end === '&') this.#refuse(`a class has a range that ends with '${end}': write '\\${end}'`)
    let last = end.codePointAt(0)!
    if (end === '\\') {
      end = this.#take()
      if (/[sSdDwWhHpPb]/.test(end)) this.#refuse(`a class has a range that ends with '\\${end}'`)
      last = this.#escapedCode(end)
    }
    if (last < first) this.#refuse('a class has a range whose end is before its start')
    if (!this.#ignoresCase) return code => code >= first && code <= last
    if (last > 0x7f) this.#refuse('case is ignored for a character that is not ASCII')
    const alike = Array.from({ length: last - first + 1 }, (_, i) => ignoringCase(first + i))
    return code => alike.some(has => has(code))
  }

  #posix(): Has {
    const found = /^(\^?)([a-z]{1,10}):\]/.exec(this.#source.slice(this.#at, this.#at + 14).join(''))
    const set = found && POSIX[found[2]]
    if (!set) this.#refuse("a class has '[:' with a name that is not known")
    if (this.#ignoresCase) this.#refuse("case is ignored for a class with '[:'")
    this.#at += found[0].length
    return found[1] === '' ? setOf(set) : not(setOf(set))
  }
}

function scriptOf(name: string): Has | undefined {
  try {
    return setOf(`\\p{Script=${name}}`)
  } catch {
    return undefined
  }
}

function canBeEmpty(node: Node): boolean {
  if (node.kind === 'character') return false
  if (node.kind === 'sequence') return node.nodes.every(canBeEmpty)
  if (node.kind === 'choice') return node.nodes.some(canBeEmpty)
  if (node.kind === 'repeat') return node.min === 0 || canBeEmpty(node.node)
  return node.kind !== 'atomic' || canBeEmpty(node.node)
}

/** The number of characters that a node matches, if it is always the same. */
function widthOf(node: Node): number | undefined {
  if (node.kind === 'character') return 1
  if (node.kind === 'place' || node.kind === 'look') return 0
  if (node.kind === 'atomic') return widthOf(node.node)
  if (node.kind === 'repeat') {
    const width = widthOf(node.node)
    return width === undefined || node.min !== node.max ? undefined : width * node.min
  }
  const widths = node.nodes.map(widthOf)
  if (node.kind === 'choice') return widths.every(width => width === widths[0]) ? widths[0] : undefined
  return widths.reduce((sum, width) => (sum === undefined || width === undefined ? undefined : sum + width), 0)
}

/** What the matcher does at one position; then it goes on with the next instruction, or with `to`. */
type Instruction =
  | { readonly does: 'character'; readonly has: Has }
  | { readonly does: 'place'; readonly holds: (text: string, at: number) => boolean }
  | { readonly does: 'look'; readonly width: number; readonly negative: boolean; to: number }
  | { readonly does: 'atomic'; to: number }
  /** tries `to` first and then the other, or the other way around */
  | { readonly does: 'try'; first: number; second: number }
  | { readonly does: 'go'; to: number }
  | { readonly does: 'end' }

/** A pattern, ready to be found in texts. */
export class Pattern {
  readonly #program: Instruction[] = []
  readonly #source: string
  #steps = 0

  /**
   * @param source in Oniguruma's syntax
   * @param refuse throws an error with this reason
   */
  constructor(source: string, refuse: (reason: string) => never) {
    this.#source = source
    const reject = (reason: string): never =>
      refuse(`the regular expression ${shown(source)} cannot be used: ${reason}`)
    this.#compile(new Parser(source, reject).parse(), reject)
    this.#program.push({ does: 'end' })
  }

  /** A pattern that is this text. */
  static ofText(text: string): Pattern {
    const refuse = (reason: string): never => {
      throw new TokenizerError(reason)
    }
    return new Pattern(text.replace(/[\\^$.|?*+()[\]{}&-]/g, '\\$&'), refuse)
  }

  #compile(node: Node, refuse: (reason: string) => never): void {
    const program = this.#program
    if (program.length > LARGEST) refuse('it is too large with its repetitions written out')
    if (node.kind === 'character') program.push({ does: 'character', has: node.has })
    else if (node.kind === 'place') program.push({ does: 'place', holds: node.holds })
    else if (node.kind === 'sequence') for (const each of node.nodes) this.#compile(each, refuse)
    else if (node.kind === 'choice') this.#compileChoice(node.nodes, refuse)
    else if (node.kind === 'repeat') this.#compileRepeat(node, refuse)
    else {
      const inner: Extract<Instruction, { does: 'look' | 'atomic' }> =
        node.kind === 'atomic'
          ? { does: 'atomic', to: 0 }
          : { does: 'look', width: node.behind ? widthOf(node.node)! : 0, negative: node.negative, to: 0 }
      program.push(inner)
      this.#compile(node.node, refuse)
      program.push({ does: 'end' })
      inner.to = program.length
    }
  }

  #compileChoice(nodes: readonly Node[], refuse: (reason: string) => never): void {
    const program = this.#program
    const exits: { does: 'go'; to: number }[] = []
    for (const node of nodes.slice(0, -1)) {
      const choice = { does: 'try' as const, first: program.length + 1, second: 0 }
      program.push(choice)
      this.#compile(node, refuse)
      const exit = { does: 'go' as const, to: 0 }
      program.push(exit)
      exits.push(exit)
      choice.second = program.length
    }
    this.#compile(nodes[nodes.length - 1], refuse)
    for (const exit of exits) exit.to = program.length
  }

  #compileRepeat(repeat: Extract<Node, { kind: 'repeat' }>, refuse: (reason: string) => never): void {
    const { node, min, max, greedy } = repeat
    const program = this.#program
    for (let i = 0; i < min; i++) this.#compile(node, refuse)
    const optional: { does: 'try'; first: number; second: number }[] = []
    const isEndless = max === Infinity
    for (let i = min; i < (isEndless ? min + 1 : max); i++) {
      const choice = { does: 'try' as const, first: program.length + 1, second: program.length + 1 }
      program.push(choice)
      optional.push(choice)
      this.#compile(node, refuse)
      if (isEndless) program.push({ does: 'go', to: program.indexOf(choice) })
    }
    for (const choice of optional) choice[greedy ? 'second' : 'first'] = program.length
  }

  /** The end of the match that begins here, or -1. */
  #match(text: string, start: number, begin: number, most: number): number {
    const waiting = [start, begin]
    while (waiting.length > 0) {
      let at = waiting.pop()!
      let next = waiting.pop()!
      for (;;) {
        if (++this.#steps > most)
          throw new TokenizerError(
            `the regular expression ${shown(this.#source)} of the tokenizer takes more than ${most} steps for a text of ${text.length} characters: ` +
              'shorten the text, or use a tokenizer whose patterns do not repeat repetitions',
          )
        const instruction = this.#program[next]
        const does = instruction.does
        if (does === 'character') {
          if (at >= text.length) break
          const code = text.codePointAt(at)!
          if (!instruction.has(code)) break
          at += code > 0xffff ? 2 : 1
          next++
        } else if (does === 'try') {
          waiting.push(instruction.second, at)
          next = instruction.first
        } else if (does === 'go') next = instruction.to
        else if (does === 'end') return at
        else if (does === 'place') {
          if (!instruction.holds(text, at)) break
          next++
        } else if (does === 'atomic') {
          at = this.#match(text, next + 1, at, most)
          if (at < 0) break
          next = instruction.to
        } else {
          let from = at
          for (let i = 0; i < instruction.width && from >= 0; i++) from = from === 0 ? -1 : before(text, from)
          const found = from >= 0 && this.#match(text, next + 1, from, most) >= 0
          if (found === instruction.negative) break
          next = instruction.to
        }
      }
    }
    return -1
  }

  /**
   * The text in parts that match and parts that do not. An empty match that touches the one before does not count.
   * @throws TokenizerError if the pattern needs more steps than a pattern in use needs
   */
  find(text: string): Span[] {
    if (text === '') return [{ start: 0, end: 0, isMatch: false }]
    this.#steps = 0
    const most = STEPS + STEPS_PER_UNIT * text.length
    const spans: Span[] = []
    let end = 0
    let isFirst = true
    for (let at = 0; at <= text.length; ) {
      const found = this.#match(text, 0, at, most)
      if (found < 0 || (found === at && at === end && !isFirst)) {
        at += at < text.length && text.codePointAt(at)! > 0xffff ? 2 : 1
        continue
      }
      if (at > end) spans.push({ start: end, end: at, isMatch: false })
      spans.push({ start: at, end: found, isMatch: true })
      isFirst = false
      end = found
      at = found
    }
    if (end < text.length) spans.push({ start: end, end: text.length, isMatch: false })
    return spans
  }

  /** The text with every match replaced. */
  replace(text: string, content: string): string {
    return this.find(text)
      .map(({ start, end, isMatch }) => (isMatch ? content : text.slice(start, end)))
      .join('')
  }
}

/** `{ "String": … }` or `{ "Regex": … }`. */
export function patternOf(field: Field): Pattern {
  const regex = field.get('Regex')
  const refuse = (reason: string) => regex.fail(reason)
  if (regex.value !== undefined) return new Pattern(regex.text(), refuse)
  const text = field.get('String')
  if (text.value === undefined) field.refuse('{ "String": … } or { "Regex": … }')
  if (text.text() === '') text.refuse('at least one character')
  return Pattern.ofText(text.text())
}
