// The added tokens of a tokenizer.json: texts that have an id of their own wherever they occur. Definitions are those of
// Hugging Face's `tokenizers` 0.23 (tokenizers/src/tokenizer/added_vocabulary.rs).

import { type Field, shown } from './fields.ts'
import type { Normalizer } from './normalizers.ts'
import { Prefixes } from './prefixes.ts'

export interface AddedToken {
  readonly id: number
  readonly content: string
  /** such as the start of a text; others are words that the model shall not split */
  readonly isSpecial: boolean
  /** only where no letter touches it */
  readonly isWord: boolean
  /** takes the white space before it, or after it */
  readonly takesLeft: boolean
  readonly takesRight: boolean
  /** looked for after the text is normalized */
  readonly isNormalized: boolean
}

/** Part of a text: its id if it is an added token. */
export interface Section {
  readonly start: number
  readonly end: number
  readonly id?: number
}

/**
 * The added tokens of a file.
 * @param ids of the model's own tokens
 * @throws TokenizerError naming the field
 */
export function addedTokensOf(field: Field, ids: ReadonlyMap<string, number>): readonly AddedToken[] {
  const tokens = new Map<string, AddedToken>()
  const owners = new Map<number, string>()
  for (const [content, id] of ids) owners.set(id, content)
  for (const each of field.or([], list => list.list())) {
    const token = addedTokenOf(each)
    const { id, content } = token
    if (tokens.has(content)) each.fail(`the token ${shown(content)} is listed twice`)
    const own = ids.get(content)
    if (own !== undefined && own !== id) each.get('id').refuse(`${own}, the id of ${shown(content)} in model.vocab`)
    const owner = owners.get(id)
    if (owner !== undefined && owner !== content) each.get('id').fail(`${id} is the id of ${shown(owner)} too`)
    owners.set(id, content)
    tokens.set(content, token)
  }
  return [...tokens.values()]
}

function addedTokenOf(field: Field): AddedToken {
  const flag = (name: string, otherwise = false) => field.get(name).or(otherwise, each => each.boolean())
  const content = field.get('content').text()
  if (content === '') field.get('content').refuse('at least one character')
  const isSpecial = flag('special')
  return {
    id: field.get('id').integer(),
    content,
    isSpecial,
    isWord: flag('single_word'),
    takesLeft: flag('lstrip'),
    takesRight: flag('rstrip'),
    isNormalized: flag('normalized', !isSpecial),
  }
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u

/** Finds tokens in a text. At each place the longest counts. */
export class AddedTokens {
  readonly #tokens = new Map<string, AddedToken>()
  readonly #prefixes: Prefixes

  /** @param written the tokens and what to look for */
  private constructor(written: readonly (readonly [string, AddedToken])[], field: Field) {
    for (const [text, token] of written) {
      const other = this.#tokens.get(text)
      if (other)
        field.fail(
          `${shown(other.content)} and ${shown(token.content)} are both ${shown(text)} after the normalizer: set normalized to false`,
        )
      this.#tokens.set(text, token)
    }
    this.#prefixes = new Prefixes(this.#tokens.keys())
  }

  /** Those that are looked for before a text is normalized, and those after. */
  static of(
    tokens: readonly AddedToken[],
    normalize: Normalizer | undefined,
    field: Field,
  ): [AddedTokens, AddedTokens] {
    const before = tokens.filter(token => !token.isNormalized)
    const after = tokens
      .filter(token => token.isNormalized)
      .map(token => {
        const text = normalize ? normalize(token.content).text : token.content
        if (text === '')
          field.fail(`nothing is left of ${shown(token.content)} after the normalizer: set normalized to false`)
        return [text, token] as const
      })
    return [
      new AddedTokens(
        before.map(token => [token.content, token] as const),
        field,
      ),
      new AddedTokens(after, field),
    ]
  }

  /** The text in sections, none of them empty. */
  split(text: string): Section[] {
    const sections: Section[] = []
    let done = 0
    for (let at = 0; at < text.length; ) {
      const token = this.#longestAt(text, at)
      if (!token) {
        at++
        continue
      }
      let start = at
      let end = at + token.length
      at = end
      const { id, isWord, takesLeft, takesRight } = token.token
      if (isWord && (isWordBefore(text, start) || isWordAt(text, end))) continue
      if (takesLeft) while (start > done && /\p{White_Space}/u.test(text[start - 1])) start--
      if (takesRight) while (end < text.length && /\p{White_Space}/u.test(text[end])) end++
      if (start > done) sections.push({ start: done, end: start })
      sections.push({ start, end, id })
      done = end
    }
    if (done < text.length) sections.push({ start: done, end: text.length })
    return sections
  }

  #longestAt(text: string, at: number): { token: AddedToken; length: number } | undefined {
    let longest: string | undefined
    this.#prefixes.at(text, at, token => {
      longest = token
    })
    return longest === undefined ? undefined : { token: this.#tokens.get(longest)!, length: longest.length }
  }
}

const isWordAt = (text: string, at: number): boolean =>
  at < text.length && WORD.test(String.fromCodePoint(text.codePointAt(at)!))

function isWordBefore(text: string, at: number): boolean {
  if (at === 0) return false
  const isPair = at >= 2 && text.codePointAt(at - 2)! > 0xffff
  return isWordAt(text, isPair ? at - 2 : at - 1)
}
