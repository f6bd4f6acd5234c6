// Questions about pictures: how their lists are read, what an example is, and the errors of people's lists.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { encodePng } from '../../src/data/images/image.ts'
import { type OpenQuestionsOptions, openData, QuestionDataset } from '../../src/data/index.ts'
import { DataError } from '../../src/io/errors.ts'
import { OptionsError } from '../../src/tensor/options.ts'
import { temporaryFolder } from './folder.ts'

/** A folder with the pictures 1.png … 9.png, 4 × 4 and of the grey level of their name, and one list. */
async function folderWith(t: TestContext, name: string, list: string): Promise<string> {
  const folder = await temporaryFolder(t)
  for (let grey = 1; grey < 10; grey++)
    await writeFile(join(folder, `${grey}.png`), encodePng(new Uint8Array(48).fill(grey), 4, 4))
  await writeFile(join(folder, name), list)
  return folder
}

const lines = (...values: readonly object[]) => values.map(value => JSON.stringify(value)).join('\n')

const open = (path: string, options: Partial<OpenQuestionsOptions> = {}) =>
  QuestionDataset.open(path, { imageSize: 4, ...options })

const greys = (pixels: Float32Array): number[] =>
  Array.from({ length: pixels.length / 48 }, (_, i) => Math.round(pixels[48 * i] * 255))

const QUESTIONS = lines(
  { file: '3.png', text: ' how many? ', label: 'two', kind: 'count' },
  { file: '3.png', text: 'what colour?', labels: ['red', 'blue', 'red'] },
  { files: ['5.png'], text: 'how many?', label: 10 },
)

test('every line is an example, also of the same picture', async t => {
  const folder = await folderWith(t, 'questions.jsonl', QUESTIONS)
  for (const path of [folder, join(folder, 'questions.jsonl')]) {
    const data = await open(path)
    assert.equal(data.length, 3)
    assert.equal(data.imagesPerExample, 1)
    assert.deepEqual(data.classes, ['10', 'blue', 'red', 'two'])
    assert.deepEqual(data.examples[0], {
      files: ['3.png'],
      captions: ['how many?'],
      labels: ['two'],
      fields: { kind: 'count' },
    })
    assert.deepEqual(data.captions(1), ['what colour?'])
    assert.deepEqual(data.labels?.(1), ['red', 'blue'])
    assert.equal(data.name(2), join(folder, '5.png'))
    const pixels = await data.images(2)
    assert.equal(pixels.length, 3 * 4 * 4)
    assert.deepEqual(greys(pixels), [5])
  }
})

test('the pictures of an example come in the order of the list', async t => {
  const statement = { text: 'the left one is darker', label: 'true' }
  const folder = await folderWith(
    t,
    'questions.jsonl',
    lines({ files: ['2.png', '7.png'], ...statement }, { files: ['7.png', '2.png'], ...statement, label: 'false' }),
  )
  const data = await open(folder, { images: 2, cacheBytes: 0 })
  assert.deepEqual(greys(await data.images(0)), [2, 7])
  assert.deepEqual(greys(await data.images(1)), [7, 2])
  assert.equal(data.name(1), `${join(folder, '7.png')}, ${join(folder, '2.png')}`)
  const crop = { scale: [0.5, 0.6], seed: 1 } as const
  assert.deepEqual(greys(await data.images(1, crop)), [7, 2])
})

test('a column of files separates their names by |', async t => {
  const csv = 'files,text,label\n"1.png|2.png","one, or two?",two\n 3.png | 4.png ,same?,no\n'
  const folder = await folderWith(t, 'questions.csv', csv)
  const data = await open(folder, { images: 2 })
  assert.deepEqual(
    data.examples.map(({ files }) => files),
    [
      ['1.png', '2.png'],
      ['3.png', '4.png'],
    ],
  )
  assert.deepEqual(data.captions(0), ['one, or two?'])
  assert.deepEqual(data.classes, ['no', 'two'])
  const tsv = await folderWith(t, 'questions.tsv', 'text\tfile\tlabel\nhow many?\t4.png\t2\n')
  assert.deepEqual((await open(tsv)).examples[0].files, ['4.png'])
})

test('the fingerprint depends on pictures, texts and answers', async t => {
  const fingerprint = async (list: object) =>
    (await open(await folderWith(t, 'questions.jsonl', lines(list)))).fingerprint
  const line = { file: '1.png', text: 'a', label: 'b' }
  const all = [
    line,
    { ...line, file: '2.png' },
    { ...line, text: 'c' },
    { ...line, label: 'c' },
    { ...line, note: 'c' },
  ]
  const prints = await Promise.all(all.map(fingerprint))
  assert.equal(new Set(prints.slice(0, 4)).size, 4)
  assert.equal(prints[4], prints[0])
})

test('a split puts all questions about a picture into the same part', async t => {
  const about = (grey: number) =>
    ['a', 'b', 'c'].map((text, i) => ({ file: `${grey}.png`, text, label: String((grey + i) % 3) }))
  const folder = await folderWith(t, 'questions.jsonl', lines(...[1, 2, 3, 4, 5, 6, 7, 8].flatMap(about)))
  const data = await open(folder)
  const { train, validation } = data.split({ validation: 0.25, seed: 3 })
  assert.equal(train.length, 18)
  assert.equal(validation.length, 6)
  const filesOf = ({ examples }: QuestionDataset) => new Set(examples.map(({ files }) => files[0]))
  assert.equal(filesOf(validation).size, 2)
  for (const file of filesOf(validation)) assert.ok(!filesOf(train).has(file))
  assert.deepEqual(validation.classes, data.classes)
  assert.deepEqual(greys(await validation.images(0)), [Number.parseInt(validation.examples[0].files[0], 10)])
  assert.throws(() => data.split({ validation: 0.01 }), /0\.01 of 8 pictures for validation leaves one part empty/)
})

test('errors name the list, the line and what is wrong', async t => {
  const good = { file: '1.png', text: 'a?', label: 'b' }
  const { text: _, ...noText } = good
  const { label: __, ...noLabel } = good
  const mistakes: readonly (readonly [line: object, reason: RegExp, options?: Partial<OpenQuestionsOptions>])[] = [
    [{ text: 'a?', label: 'b' }, /has no 'file' and no 'files'/],
    [{ ...good, files: ['1.png'] }, /has both 'file' and 'files'/],
    [{ ...good, file: ['1.png'] }, /'file' is not a file name/],
    [{ ...good, file: undefined, files: '1.png' }, /'files' is "1\.png", not a list of file names/],
    [{ ...good, file: undefined, files: [] }, /has 0 pictures, and 1 are wanted/],
    [{ ...good, file: undefined, files: ['1.png', 2] }, /'files' is not a file name/],
    [
      { ...good, file: undefined, files: ['1.png', '2.png', '3.png'] },
      /has 3 pictures, and 2 are wanted/,
      { images: 2 },
    ],
    [good, /has 1 picture, and 2 are wanted/, { images: 2 }],
    [{ ...good, file: 'none.png' }, /the picture is 'none\.png', which does not exist/],
    [{ ...good, file: '.' }, /which is a folder/],
    [{ ...good, file: '../1.png' }, /must be a path below the folder/],
    [noText, /has no 'text'/],
    [{ ...good, text: ' ' }, /'text' is empty/],
    [{ ...good, text: ['a?', 'b?'] }, /'text' is a list of 2: write a line for each of them/],
    [noLabel, /has no 'label' and no 'labels'/],
    [{ ...good, label: true }, /'label' is true, neither text nor a whole number/],
    [[1], /is not an object like \{"file"/],
  ]
  for (const [line, reason, options = {}] of mistakes) {
    const { images = 1 } = options
    const first = { files: ['7.png', '8.png'].slice(0, images), text: 'c?', label: 'd' }
    const folder = await folderWith(t, 'questions.jsonl', `${lines(first)}\n\n${lines(line)}`)
    await assert.rejects(open(folder, options), (error: unknown) => {
      assert.ok(error instanceof DataError)
      assert.match(error.message, reason)
      assert.ok(error.message.includes('questions.jsonl:3: '), error.message)
      return true
    })
  }
})

test('the text and the pictures of an earlier line are an error', async t => {
  const line = { file: '1.png', text: 'a?', label: 'b' }
  const folder = await folderWith(t, 'questions.jsonl', lines(line, { ...line, text: 'c?' }, { ...line, label: 'd' }))
  await assert.rejects(
    open(folder),
    /questions\.jsonl:3: has the text and the pictures of line 1: write one line with 'labels'/,
  )
})

test('errors of the list as a whole', async t => {
  await assert.rejects(open(await folderWith(t, 'questions.jsonl', '\n')), /empty dataset: it has no question/)
  await assert.rejects(open(await folderWith(t, 'questions.csv', 'file,text\n1.png,a\n')), /no 'label' and no 'labels'/)
  await assert.rejects(open(await folderWith(t, 'questions.csv', 'text,label\na,b\n')), /no 'file' and no 'files'/)
  await assert.rejects(open(await folderWith(t, 'captions.jsonl', '')), /has none of questions\.jsonl, questions\.csv/)
  const folder = await folderWith(t, 'questions.jsonl', QUESTIONS)
  await assert.rejects(
    open(join(folder, '1.png')),
    /neither a folder of questions nor a \.jsonl, \.csv or \.tsv of questions/,
  )
  await assert.rejects(open(folder, { images: 0 }), /images must be a positive integer, not 0/)
  await assert.rejects(open(folder, { imageSize: 0 }), /imageSize must be a whole number above 0, or \[height, width\]/)
  await assert.rejects(open(folder, { labels: true } as object), OptionsError)
  await assert.rejects(openData(folder, { imageSize: 4 }), /a list of questions.*QuestionDataset\.open/)
})

test('several mistaken lines are named by one error', async t => {
  const folder = await folderWith(
    t,
    'questions.jsonl',
    lines({ file: '1.png', text: 'a?' }, { file: '1.png', label: true }, [1]),
  )
  await assert.rejects(open(folder), (error: unknown) => {
    assert.ok(error instanceof DataError)
    assert.match(
      error.message,
      /questions\.jsonl:1: has no 'label' and no 'labels'\n {2}line 2: has no 'text'\n {2}line 3: is not an object/,
    )
    return true
  })
})
