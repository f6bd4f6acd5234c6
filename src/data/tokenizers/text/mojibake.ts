// Repairs text whose UTF-8 bytes were read as windows-1252 or Latin-1: `Ã©tÃ©` was `été`. Only text that cannot be
// intended is changed, because `É…` and `déjà»` are valid text too.

/**
 * Bytes 0x80 to 0x9F in windows-1252; the five without a character remain control characters. Some versions of Node read
 * this encoding as Latin-1, so TextDecoder is not used.
 */
const WINDOWS = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'

/** U+0080 to U+009F as windows-1252, which is nearly always the intended meaning. */
export const readControls = (text: string): string =>
  text.replace(/[\u0080-\u009f]/g, control => WINDOWS[control.charCodeAt(0) - 0x80])

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The byte of a character before it was misread, as Latin-1 or as windows-1252. */
const BYTES = new Map<string, number>()
for (let byte = 0; byte < 256; byte++) {
  BYTES.set(String.fromCharCode(byte), byte)
  BYTES.set(readControls(String.fromCharCode(byte)), byte)
}

/** A character class of the characters that some bytes were misread as. */
const classOf = (first: number, last: number, except = '') =>
  `[${[...BYTES]
    .filter(([character, byte]) => byte >= first && byte <= last && !except.includes(character))
    .map(([character]) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')}]`

/** Signs that may follow a letter in valid text. */
const PUNCTUATION = '‘’‚“”„–—…•»›™°\u00a0'

const [two, three, four] = [classOf(0xc2, 0xdf), classOf(0xe0, 0xef), classOf(0xf0, 0xf4)]
const next = classOf(0x80, 0xbf)
const odd = classOf(0x80, 0xbf, PUNCTUATION)

/** Sequences that do not occur in valid text: two such letters in a row, one before an odd sign, or a long sequence. */
const EVIDENCE = new RegExp(
  [
    `[ÂÃ]${odd}`,
    `Ã[–…„\u00a0](?=\\p{Ll})`,
    `${two}${odd}${two}${next}`,
    `${three}(?:${odd}${next}|${next}${odd})`,
    `${four}(?:${odd}${next}${next}|${next}${odd}${next})`,
  ].join('|'),
  'u',
)
const SEQUENCES = new RegExp(`(?:${two}${next}|${three}${next}{2}|${four}${next}{3})+`, 'gu')

/** The repaired text, or the text itself. Text that was misread twice is repaired too. */
export function repairMojibake(text: string): string {
  let repaired = text
  while (EVIDENCE.test(repaired)) {
    const better = reread(repaired) ?? repaired.replace(SEQUENCES, part => reread(part) ?? part)
    if (better === repaired) break
    repaired = better
  }
  return repaired
}

/** The same bytes read as UTF-8, if they are valid UTF-8. */
function reread(text: string): string | undefined {
  const bytes = Uint8Array.from(text, character => BYTES.get(character) ?? 0xff)
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
