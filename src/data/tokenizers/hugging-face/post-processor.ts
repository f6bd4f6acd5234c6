// The post-processor of a tokenizer.json: which tokens stand before and after a text. A row of ids has one of each, so a
// file that puts more of them is refused.

import type { Field } from './fields.ts'

/** The ids before and after a text, where the file puts any. */
export interface Around {
  readonly start?: number
  readonly end?: number
}

const TYPES = ['BertProcessing', 'ByteLevel', 'RobertaProcessing', 'Sequence', 'TemplateProcessing'] as const

/**
 * @param count number of ids
 * @throws TokenizerError naming the field
 */
export function aroundOf(field: Field, count: number): Around {
  const type = field.get('type').oneOf(TYPES)
  if (type === 'ByteLevel') return {}
  if (type === 'TemplateProcessing') return templateOf(field, count)
  if (type !== 'Sequence') return { start: pairOf(field.get('cls'), count), end: pairOf(field.get('sep'), count) }
  const found = field
    .get('processors')
    .list()
    .map(each => aroundOf(each, count))
    .filter(({ start, end }) => start !== undefined || end !== undefined)
  if (found.length > 1) field.fail('two processors put tokens around a text: keep one of them')
  return found[0] ?? {}
}

function idOf(field: Field, count: number): number {
  const id = field.integer()
  if (id >= count) field.refuse(`an id of the vocabulary, which has ${count}`)
  return id
}

/** `["[CLS]", id]` */
function pairOf(field: Field, count: number): number {
  const pair = field.list()
  if (pair.length !== 2) field.refuse('a token and its id')
  pair[0].text()
  return idOf(pair[1], count)
}

function templateOf(field: Field, count: number): Around {
  const single = field.get('single')
  const ids: { start: number[]; end: number[] } = { start: [], end: [] }
  let isAfter = false
  for (const part of partsOf(single)) {
    const sequence = part.get('Sequence')
    const token = part.get('SpecialToken')
    if (sequence.value !== undefined) {
      if (isAfter || sequence.get('id').value !== 'A') part.fail('a row has one text, { "Sequence": { "id": "A" } }')
      isAfter = true
    } else {
      if (token.value === undefined) part.refuse('{ "Sequence": … } or { "SpecialToken": … }')
      const own = field.get('special_tokens').get(token.get('id').text())
      if (own.value === undefined) token.get('id').fail('special_tokens has no token of this name')
      for (const id of own.get('ids').list()) ids[isAfter ? 'end' : 'start'].push(idOf(id, count))
    }
  }
  if (!isAfter) single.fail('it has no text, { "Sequence": { "id": "A" } }')
  for (const [place, found] of Object.entries(ids))
    if (found.length > 1)
      single.fail(`it puts ${found.length} ids at the ${place} of a text, and a row has one: keep one of them`)
  return { start: ids.start[0], end: ids.end[0] }
}

/** A list of parts, or the text "[CLS] $A [SEP]", which older files have. */
function partsOf(field: Field): Field[] {
  if (typeof field.value === 'string')
    field.fail('a template that is a text is not supported: save the file with a current version of tokenizers')
  return field.list()
}
