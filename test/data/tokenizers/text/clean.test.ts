import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cleanText, repairText } from '../../../../src/data/tokenizers/text/clean.ts'
import { unescapeHtml } from '../../../../src/data/tokenizers/text/html.ts'
import { repairMojibake } from '../../../../src/data/tokenizers/text/mojibake.ts'
import { fc } from '../../../support.ts'

/** What a program shows that reads UTF-8 as windows-1252. */
function misread(text: string): string {
  const high = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'
  return Array.from(new TextEncoder().encode(text), byte =>
    byte >= 0x80 && byte < 0xa0 ? high[byte - 0x80] : String.fromCharCode(byte),
  ).join('')
}

const sentences = [
  "L'été à la plage, déjà vu",
  'Größe und Übermut',
  'El niño comió piñas',
  'Москва зимой',
  '東京タワーの夜景',
  'مرحبا بالعالم',
  'नमस्ते दुनिया',
  '“quoted” – and more…',
  'Tiếng Việt có dấu',
  '🐶 and 👨‍👩‍👧',
  'zażółć gęślą jaźń',
]

test('text that was misread once or twice is repaired, alone and beside good text', () => {
  for (const text of sentences) {
    assert.equal(repairMojibake(misread(text)), text)
    assert.equal(repairMojibake(misread(misread(text))), text)
    assert.equal(repairMojibake(`☃ ${misread(text)}`), `☃ ${text}`)
  }
})

test('good text does not change', () => {
  const good = [
    ...sentences.flatMap(text => [text, text.toUpperCase()]),
    'É…',
    'CAFÉ™ – “CAFÉ”',
    '«déjà»…',
    'thé’ / voilà»',
    'MAÇÃ – “MAÇÃ”',
    'Í°Í Þð',
    'x² ± ½°',
    '5 €–10 €',
  ]
  for (const text of good) assert.equal(repairMojibake(text), text)
})

test('HTML references are resolved as in Python', () => {
  const known: Record<string, string> = {
    '&lt;b&gt;': '<b>',
    '&amp &ampx &notit; &foo;': '& &x ¬it; &foo;',
    '&#233;&#xE9;&#XE9 x': 'éée9'.slice(0, 2).concat('é x'),
    '&#0;&#55296;&#1114112;': '\ufffd\ufffd\ufffd',
    'a&#1;b&#127;c&#xFFFE;d': 'abcd',
    '&#128;&#x99;': '€™',
    '&CounterClockwiseContourIntegral;': '∳',
  }
  for (const [text, expected] of Object.entries(known)) assert.equal(unescapeHtml(text), expected)
})

test('references are resolved at any depth of escaping, but only twice beside a <', () => {
  assert.equal(cleanText('&amp;amp;amp; &EACUTE;'), '& é')
  assert.equal(cleanText('< &amp;amp;amp;'), '< &amp;')
})

test('equivalent forms become equal, white space becomes one space, letters become lower case', () => {
  assert.equal(
    cleanText(' ＦＵＬＬ　width ﬁ “it’s” \u001b[31mred\u001b[0m\u0000 A\r\n\tB\u2028C\ufeff '),
    `full width fi "it's" red a b c`,
  )
  assert.equal(cleanText('e\u0301 \ud800!'), 'é \ufffd!')
  assert.equal(cleanText('İ ΟΔΟΣ'), 'i̇ οδος')
})

test('repairing any text twice changes nothing more', () => {
  const text = fc.string({
    unit: fc.oneof(fc.string({ unit: 'binary', maxLength: 1 }), fc.constantFrom('Ã', '©', 'â€™', '&amp;', '<', '\n')),
  })
  fc.assert(fc.property(text, text => assert.equal(repairText(repairText(text)), repairText(text))))
})
