// JSON of other people: with the numbers that Python writes and JSON does not have, and without nesting that overflows the
// stack of the functions that read the value.

/** The most lists and objects within each other. Data of people has fewer than ten. */
const MOST_LEVELS = 200

/**
 * Parses JSON. `NaN`, `Infinity` and `-Infinity` without quotation marks, which Python's `json` writes, become null.
 * @throws SyntaxError if the text is not JSON, or has more than 200 lists and objects within each other
 */
export function parseJson(text: string): unknown {
  checkLevels(text)
  try {
    return JSON.parse(text)
  } catch (error) {
    const plain = text.replace(STRING_OR_NUMBER, found => (found.startsWith('"') ? found : 'null'))
    if (plain === text) throw error
    return JSON.parse(plain)
  }
}

/** A string, or a number that JSON does not have. */
const STRING_OR_NUMBER = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [...'"\\[]{}'].map(each =>
  each.charCodeAt(0),
)

/** Counts brackets outside of strings, so that no function has to follow them. */
function checkLevels(text: string): void {
  if (text.length <= MOST_LEVELS) return
  let levels = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i)
    if (inString) {
      if (character === BACKSLASH) i++
      else if (character === QUOTE) inString = false
    } else if (character === QUOTE) inString = true
    else if (character === OPEN_LIST || character === OPEN_OBJECT) {
      if (++levels > MOST_LEVELS) throw new SyntaxError(`more than ${MOST_LEVELS} lists and objects within each other`)
    } else if (character === CLOSE_LIST || character === CLOSE_OBJECT) levels--
  }
}
