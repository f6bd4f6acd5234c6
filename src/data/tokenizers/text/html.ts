// HTML references in captions from the web, resolved as by Python's `html.unescape`: CLIP's vocabulary was made with
// it, so its oddities (a reference needs no semicolon, a control character is removed) affect the ids.

import { decodeHTML, decodeHTMLStrict } from 'entities/decode'
import { readControls } from './mojibake.ts'

const REFERENCE = /&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu

/** Replaces `&eacute;`, `&amp`, `&#233;`, `&#xE9;` by characters; anything else is kept. */
export const unescapeHtml = (text: string): string =>
  text.replace(REFERENCE, reference => (reference[1] === '#' ? numbered(reference) : decodeHTML(reference)))

/** Replaces only references that end in a semicolon; a name in capitals gives a capital: `&EACUTE;` is É. */
export const unescapeStrictHtml = (text: string): string =>
  text.replace(/&#?[0-9A-Za-z]{1,24};/g, reference => {
    if (reference[1] === '#') return /^&#(?:\d+|x[0-9a-f]+);$/i.test(reference) ? numbered(reference) : reference
    const plain = decodeHTMLStrict(reference)
    if (plain !== reference || reference !== reference.toUpperCase() || decodeHTML(reference) !== reference)
      return plain
    const lower = reference.toLowerCase()
    const small = decodeHTMLStrict(lower)
    return small === lower ? reference : small.toUpperCase()
  })

/** `&#233;` or `&#xE9;` (HTML, 13.2.5.80); characters that a page may not contain are removed, as in Python. */
function numbered(reference: string): string {
  const digits = reference.slice(2).replace(';', '')
  const code = /^x/i.test(digits) ? Number.parseInt(digits.slice(1), 16) : Number(digits)
  if (code === 0 || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return '\ufffd'
  if (code >= 0x80 && code <= 0x9f) return readControls(String.fromCodePoint(code))
  const isForbidden =
    (code < 0x20 && ![0x09, 0x0a, 0x0c, 0x0d].includes(code)) ||
    code === 0x7f ||
    (code >= 0xfdd0 && code <= 0xfdef) ||
    (code & 0xfffe) === 0xfffe
  return isForbidden ? '' : String.fromCodePoint(code)
}
