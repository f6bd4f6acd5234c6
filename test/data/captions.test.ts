import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readCaptions } from '../../src/data/captions.ts'
import { DataError } from '../../src/io/errors.ts'
import { temporaryFolder } from './folder.ts'

/** A folder with one caption file and the images a.png, b.png and sub/c.png, which are not decoded. */
async function folderWith(t: TestContext, name: string, content: string | Uint8Array): Promise<string> {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'sub'))
  for (const file of ['a.png', 'b.png', 'sub/c.png']) await writeFile(join(folder, file), '')
  await writeFile(join(folder, name), content)
  return folder
}

test('a caption file can have any name, with its images in the same folder', async t => {
  const folder = await folderWith(t, 'train-2.csv', 'file,caption\na.png,one\nsub/c.png,three')
  const images = await readCaptions(join(folder, 'train-2.csv'))
  assert.deepEqual(
    images.map(image => image.file),
    ['a.png', 'sub/c.png'],
  )
})

test('JSON lines: one or several captions, several lines per file, other fields kept, order of the first line', async t => {
  const lines = [
    '\ufeff{"file": "b.png", "caption": "two cats", "source": "x"}\r',
    '',
    '{"file": "a.png", "caption": ["one", " another "], "size": [1, 2]}',
    '{"file": "./sub/../b.png", "caption": "zwei Katzen", "source": "y"}',
    '{"file": "sub/c.png", "caption": "日本語"}',
  ]
  assert.deepEqual(await readCaptions(await folderWith(t, 'captions.jsonl', lines.join('\n'))), [
    { file: 'b.png', captions: ['two cats', 'zwei Katzen'], fields: { source: 'y' } },
    { file: 'a.png', captions: ['one', 'another'], fields: { size: [1, 2] } },
    { file: 'sub/c.png', captions: ['日本語'], fields: {} },
  ])
})

test('comma-separated: quoted commas and line breaks, columns in any order', async t => {
  const text = 'caption,id,file\n"a cat, ""asleep""",1,a.png\r\n"two\nlines",2,b.png\n'
  assert.deepEqual(await readCaptions(await folderWith(t, 'captions.csv', text)), [
    { file: 'a.png', captions: ['a cat, "asleep"'], fields: { id: '1' } },
    { file: 'b.png', captions: ['two\nlines'], fields: { id: '2' } },
  ])
})

test('tab-separated: a quotation mark is an ordinary character', async t => {
  const text = 'file\tcaption\na.png\ta 12" pizza\nb.png\t"quoted", with a comma\n'
  const captions = (await readCaptions(await folderWith(t, 'captions.tsv', text))).flatMap(image => image.captions)
  assert.deepEqual(captions, ['a 12" pizza', '"quoted", with a comma'])
})

const good = '{"file": "a.png", "caption": "a"}'
const broken: [what: string, name: string, content: string | Uint8Array, line: number | undefined, reason: RegExp][] = [
  ['a line that is not JSON', 'captions.jsonl', `${good}\n{"file": "b.png"`, 2, /is not JSON/],
  ['a line that is a list', 'captions.jsonl', `${good}\n\n["b.png", "b"]`, 3, /is not an object/],
  ['a line without a file', 'captions.jsonl', '{"caption": "a"}', 1, /has no 'file'/],
  ['a file that is a number', 'captions.jsonl', '{"file": 3, "caption": "a"}', 1, /'file' is not a file name/],
  ['a line without a caption', 'captions.jsonl', `${good}\n{"file": "b.png"}`, 2, /has no 'caption'/],
  ['an empty caption', 'captions.jsonl', '{"file": "a.png", "caption": "  "}', 1, /'caption' is empty/],
  [
    'an empty caption among others',
    'captions.jsonl',
    '{"file": "a.png", "caption": ["a", ""]}',
    1,
    /'caption' is empty/,
  ],
  ['a list without captions', 'captions.jsonl', '{"file": "a.png", "caption": []}', 1, /'caption' is an empty list/],
  ['a caption that is a number', 'captions.jsonl', '{"file": "a.png", "caption": 3}', 1, /'caption' is 3, not text/],
  ['a file above the folder', 'captions.jsonl', '{"file": "x/../../a", "caption": "a"}', 1, /must be a path below/],
  ['an absolute file', 'captions.jsonl', '{"file": "/etc/passwd", "caption": "a"}', 1, /must be a path below/],
  ['a file with a drive', 'captions.jsonl', '{"file": "C:a.png", "caption": "a"}', 1, /must be a path below/],
  ['a file with backslashes', 'captions.jsonl', '{"file": "..\\\\a.png", "caption": "a"}', 1, /must be a path below/],
  ['a file with a NUL', 'captions.jsonl', '{"file": "a.png\\u0000", "caption": "a"}', 1, /NUL/],
  [
    'a file that does not exist',
    'captions.jsonl',
    `${good}\n{"file": "d.png", "caption": "d"}`,
    2,
    /'d.png', which does not exist/,
  ],
  ['a file below a file', 'captions.jsonl', '{"file": "a.png/b", "caption": "d"}', 1, /'a.png\/b'/],
  ['a file that is a folder', 'captions.jsonl', '{"file": "sub", "caption": "d"}', 1, /'sub', which is a folder/],
  [
    'bytes that are not text',
    'captions.jsonl',
    Buffer.concat([Buffer.from(`${good}\n`), Buffer.of(0xff)]),
    2,
    /not UTF-8/,
  ],
  ['no line', 'captions.jsonl', '\n \n', undefined, /empty dataset/],
  ['an empty .csv', 'captions.csv', '', undefined, /empty dataset/],
  ['a header alone', 'captions.csv', 'file,caption\n', undefined, /empty dataset/],
  [
    'a header without captions',
    'captions.csv',
    'file,text\na.png,a\n',
    1,
    /the header has no 'caption': it reads file, text/,
  ],
  ['a header with a name twice', 'captions.csv', 'file,caption,caption\na.png,a,b\n', 1, /names 'caption' twice/],
  ['a row that is too short', 'captions.csv', 'file,caption\na.png,a\nb.png\n', 3, /Invalid Record Length/],
  ['a quote that never ends', 'captions.csv', 'file,caption\na.png,"a\n', 2, /Quote Not Closed/],
  ['an empty cell', 'captions.csv', 'file,caption\na.png,a\n\nb.png,\n', 4, /'caption' is empty/],
  ['an unknown file in .tsv', 'captions.tsv', 'file\tcaption\nz.png\ta\n', 2, /'z.png', which does not exist/],
]
for (const [what, name, content, line, reason] of broken)
  test(`${what} throws an error with file and line`, async t => {
    const folder = await folderWith(t, name, content)
    const file = join(folder, name)
    await assert.rejects(readCaptions(folder), error => {
      assert.ok(error instanceof DataError, String(error))
      assert.deepEqual([error.file, error.line], [file, line], error.message)
      assert.ok(error.message.startsWith(line === undefined ? `${file}: ` : `${file}:${line}: `), error.message)
      assert.match(error.reason, reason)
      return true
    })
  })

test('a folder without a caption file, or with two, throws', async t => {
  const folder = await folderWith(t, 'notes.txt', '')
  await assert.rejects(readCaptions(folder), /has none of captions.jsonl, captions.csv, captions.tsv/)
  await writeFile(join(folder, 'captions.csv'), '')
  await writeFile(join(folder, 'captions.tsv'), '')
  await assert.rejects(readCaptions(folder), /has captions.csv and captions.tsv: keep one of them/)
  await assert.rejects(readCaptions(join(folder, 'absent')), /absent: does not exist/)
  await assert.rejects(
    readCaptions(join(folder, 'a.png')),
    /a.png: is neither a folder of images nor a \.jsonl, \.csv or \.tsv/,
  )
})

test('several mistaken lines are named by one error: the first few, and the number of the others', async t => {
  const bad = ['{', '[1]', '{"caption": "a"}', '{"file": "z.png", "caption": "a"}', '{"file": "a.png", "caption": ""}']
  const reason = async (lines: string[]) => {
    const folder = await folderWith(t, 'captions.jsonl', lines.join('\n'))
    const error: unknown = await readCaptions(folder).catch(error => error)
    assert.ok(error instanceof DataError)
    assert.equal(error.file, join(folder, 'captions.jsonl'))
    return { line: error.line, reasons: error.reason.split('\n').map(each => each.trim()) }
  }
  const two = await reason([good, '{"file": "b.png"}', good, bad[4]])
  assert.deepEqual(two, { line: 2, reasons: ["has no 'caption'", "line 4: 'caption' is empty"] })
  const { line, reasons } = await reason([good, ...bad])
  assert.equal(line, 2)
  assert.match(reasons[0], /^is not JSON/)
  assert.deepEqual(reasons.slice(1), [
    'line 3: is not an object like {"file": "a.png", "caption": "a cat"}',
    "line 4: has no 'file'",
    "line 5: 'file' is 'z.png', which does not exist",
    "line 6: 'caption' is empty",
  ])
  assert.equal((await reason([...bad, bad[4], good])).reasons.at(-1), 'and 1 more line')
  assert.equal((await reason([...bad, ...Array(40).fill('{}')])).reasons.at(-1), 'and 40 more lines')
  assert.equal((await reason(Array(1500).fill('{}'))).reasons.at(-1), 'and at least 995 more lines')
})

test('a line nested deeply or with a field __proto__ is refused, and NaN is read as null', async t => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  const read = async (fields: string) =>
    readCaptions(await folderWith(t, 'captions.jsonl', `{"file": "a.png", "caption": "a", ${fields}}`))
  await assert.rejects(read(`"x": ${deep}`), { name: 'DataError', line: 1, message: /deeper than 100/ })
  await assert.rejects(read('"__proto__": {"x": 1}'), { name: 'DataError', line: 1, message: /a field '__proto__'/ })
  assert.deepEqual((await read('"score": NaN, "constructor": "Ferrari"'))[0].fields, {
    score: null,
    constructor: 'Ferrari',
  })
})

test('a pipe is called a pipe', { skip: process.platform === 'win32' && 'Windows has no mkfifo' }, async t => {
  const folder = await folderWith(t, 'captions.jsonl', '{"file": "pipe.png", "caption": "a"}')
  execFileSync('mkfifo', [join(folder, 'pipe.png')])
  await assert.rejects(readCaptions(folder), /'file' is 'pipe\.png', which is a pipe, not a file/)
})
