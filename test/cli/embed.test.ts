// A released model on many pictures through the command line: commands that are killed and run again, unreadable pictures,
// and search.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { encodePng } from '../../src/data/index.ts'
import { readSafetensors } from '../../src/io/index.ts'
import { greys, writeTar } from '../data/shards/make.ts'
import { cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-embed-'))
const inFolder = (...parts: string[]) => join(folder, ...parts)
const [pictures, tokenizer] = [inFolder('pictures'), inFolder('tokenizer.json')]
const weights = fileURLToPath(new URL('../golden/own/weights.safetensors', import.meta.url))
const released = ['--model', weights, '--tokenizer', tokenizer, '--device', 'cpu']
const COUNT = 48
const BROKEN = '07.png'

/** A gradient of one colour for every picture, so that no two are equal. */
const picture = (i: number) =>
  encodePng(
    new Uint8Array(3 * 16 * 16).map((_, at) => (5 * i + at * ((i % 7) + 1)) % 256),
    16,
    16,
  )
const nameOf = (i: number) => `${String(i).padStart(2, '0')}.png`

before(async () => {
  writeFileSync(tokenizer, JSON.stringify({ type: 'words', lowerCase: true, words: ['a', 'red', 'blue', 'grey'] }))
  mkdirSync(pictures)
  const names = Array.from({ length: COUNT }, (_, i) => nameOf(i))
  for (const [i, name] of names.entries()) writeFileSync(join(pictures, name), name === BROKEN ? 'broken' : picture(i))
  const captions = names.map(file => ({ file, caption: file === '01.png' ? ['a red', 'a\u2028blue'] : 'a grey' }))
  writeFileSync(join(pictures, 'captions.jsonl'), captions.map(line => `${JSON.stringify(line)}\n`).join(''))
})

after(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: string[]) {
  const outcome = await cocagrad([...args, ...released])
  assert.equal(outcome.code, 0, outcome.stderr)
  return outcome
}

/** Kills a command as soon as it tells of the broken picture, which is before it is half done. */
async function runAndKill(...args: string[]): Promise<void> {
  const { code } = await cocagrad([...args, ...released], (stderr, child) => {
    if (/skipped/.test(stderr)) child.kill('SIGKILL')
  })
  assert.equal(code, null, 'the command was to be killed before its end')
}

const embed = (out: string) => ['embed', pictures, '--batch-size', '2', '--out', inFolder(out)]

describe('embed', () => {
  it('writes a row for every picture and every caption, and names skipped pictures', async () => {
    const { stderr, stdout } = await run(...embed('whole.safetensors'))
    assert.match(stderr, /skipped .*07\.png: is no PNG/)
    assert.match(stdout, new RegExp(`${COUNT - 1} images and ${COUNT} texts, 24 numbers each, 1 could not be used`))
    const { tensors } = await readSafetensors(inFolder('whole.safetensors'))
    assert.deepEqual(tensors.get('image')?.shape, [COUNT - 1, 24])
    assert.deepEqual(tensors.get('text')?.shape, [COUNT, 24])
    const lines = Buffer.from(tensors.get('samples')!.data as Uint8Array)
      .toString()
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.equal(lines.length, COUNT - 1)
    assert.deepEqual(lines[1], { name: join(pictures, '01.png'), captions: ['a red', 'a\u2028blue'] })
  })

  it('writes the same bytes after it was killed and run again, and no other files', async () => {
    await runAndKill(...embed('killed.safetensors'))
    assert.ok(!readdirSync(folder).includes('killed.safetensors'), 'the file is whole or not there')
    const { stderr } = await run(...embed('killed.safetensors'))
    assert.doesNotMatch(stderr, /skipped/, 'what was told is not told again')
    assert.deepEqual(readFileSync(inFolder('killed.safetensors')), readFileSync(inFolder('whole.safetensors')))
    assert.ok(!readdirSync(folder).includes('killed.safetensors.parts'), 'the parts are gone')
  })

  it('stops cleanly at Ctrl-C, and continues to the same bytes', async () => {
    const { code, stderr } = await cocagrad([...embed('stopped.safetensors'), ...released], (stderr, child) => {
      if (/skipped/.test(stderr) && !/stopping/.test(stderr)) child.kill('SIGINT')
    })
    assert.equal(code, 130)
    assert.match(stderr, /stopping after this batch.*\n.*run the same command to continue/)
    const parts = readdirSync(inFolder('stopped.safetensors.parts'))
    assert.deepEqual(
      parts.filter(name => name.endsWith('.lock')),
      [],
    )
    await run(...embed('stopped.safetensors'))
    assert.deepEqual(readFileSync(inFolder('stopped.safetensors')), readFileSync(inFolder('whole.safetensors')))
  })

  it('does not continue with another model or other pictures, and does not replace files', async () => {
    const again = await cocagrad([...embed('whole.safetensors'), ...released])
    assert.equal(again.code, 2)
    assert.match(again.stderr, /whole\.safetensors: already exists/)
    writeFileSync(inFolder('mine.jsonl'), 'kept')
    const beside = await cocagrad([...embed('mine.npy'), ...released])
    assert.match(beside.stderr, /mine\.jsonl: already exists/)
    await runAndKill(...embed('begun.safetensors'))
    const other = inFolder('other.json')
    writeFileSync(other, JSON.stringify({ type: 'words', lowerCase: true, words: ['a', 'red', 'blue', 'green'] }))
    const args = [...embed('begun.safetensors'), '--model', weights, '--tokenizer', other]
    const model = await cocagrad(args)
    assert.equal(model.code, 2)
    assert.match(model.stderr, /begun\.safetensors\.parts: was started with another model/)
    writeFileSync(inFolder('pictures', 'captions.csv'), 'file,caption\n01.png,a red\n')
    const data = await cocagrad(['embed', join(pictures, 'captions.csv'), ...args.slice(2), '--tokenizer', tokenizer])
    rmSync(inFolder('pictures', 'captions.csv'))
    assert.equal(data.code, 2)
    assert.match(data.stderr, /was started with other pictures/)
  })

  it('writes the same rows for NumPy, also from shards', async () => {
    await run(...embed('whole.npy'))
    const { tensors } = await readSafetensors(inFolder('whole.safetensors'))
    for (const [name, file] of [
      ['image', 'whole.npy'],
      ['text', 'whole.text.npy'],
    ]) {
      const bytes = readFileSync(inFolder(file))
      assert.equal(bytes.subarray(1, 6).toString(), 'NUMPY')
      assert.deepEqual(bytes.subarray(128), Buffer.from(tensors.get(name)!.data.buffer))
    }
    for (const [i, first] of [0, 8].entries()) await writeTar(inFolder(`${i}.tar`), greys(first, 8))
    await run('embed', inFolder('{0..1}.tar'), '--out', inFolder('shards.npy'))
    const lines = readFileSync(inFolder('shards.jsonl'), 'utf8').trimEnd().split('\n')
    assert.equal(lines.length, 16)
    assert.deepEqual(JSON.parse(lines[9]), { name: `${inFolder('1.tar')}: 0009`, captions: ['grey 9'] })
  })

  it('stops at an unreadable picture with --strict', async () => {
    const { code, stderr } = await cocagrad([...embed('strict.npy'), '--strict', ...released])
    assert.equal(code, 2)
    assert.match(stderr, /07\.png: is no PNG/)
  })
})

describe('retrieve', () => {
  const found = async (...args: string[]) =>
    JSON.parse((await run('retrieve', '--top', '3', '--json', ...args)).stdout).found

  it('finds the same in an index as in the folder, without unreadable pictures', async () => {
    const { stdout, stderr } = await run('retrieve', '--top', '3', '--json', '--images', pictures, '--query', 'a red')
    const { found: inFolderItself, pictures: count } = JSON.parse(stdout)
    assert.equal(count, COUNT - 1)
    assert.match(stderr, new RegExp(`skipped .*${BROKEN}: is no PNG`))
    const rounded = (each: { image: string; cosine: number }) => [each.image, each.cosine.toFixed(5)]
    for (const index of ['whole.npy', 'whole.safetensors'])
      assert.deepEqual(
        (await found('--index', inFolder(index), '--query', 'a red')).map(rounded),
        inFolderItself.map(rounded),
      )
  })

  it('finds a picture by itself', async () => {
    const image = join(pictures, nameOf(20))
    const [first] = await found('--index', inFolder('whole.npy'), '--image', image)
    assert.equal(first.image, image)
    assert.ok(first.cosine > 0.9999, `cosine ${first.cosine}`)
  })

  it("rejects another model's index, and both galleries or none", async () => {
    const other = inFolder('other.json')
    const query = ['retrieve', '--query', 'a red', '--model', weights, '--tokenizer', other]
    const foreign = await cocagrad([...query, '--index', inFolder('whole.npy')])
    assert.equal(foreign.code, 2)
    assert.match(foreign.stderr, /--index .*whole\.npy was made with another model/)
    assert.match((await cocagrad(query)).stderr, /give either --images or --index/)
  })
})

describe('evaluate', () => {
  it('gives the same results on shards as on a folder of the same pictures', async () => {
    const folder = inFolder('greys')
    mkdirSync(folder)
    const samples = greys(0, 16)
    const [images, texts] = ['.png', '.txt'].map(ending => samples.filter(([name]) => name.endsWith(ending)))
    for (const [name, bytes] of images) writeFileSync(join(folder, name), bytes)
    const lines = images.map(([name], i) => JSON.stringify({ file: name, caption: texts[i][1] }))
    writeFileSync(join(folder, 'captions.jsonl'), lines.join('\n'))
    const evaluate = async (data: string) => {
      const { stdout, stderr } = await run('evaluate', '--json', '--data', data, '--labels', 'grey 1,grey 2')
      assert.match(stderr, /14 of 16 images match no label, or several/)
      return JSON.parse(stdout)
    }
    const inShards = await evaluate(inFolder('{0..1}.tar'))
    assert.equal(inShards.zeroShot.images, 2)
    assert.deepEqual(inShards, await evaluate(folder))
  })
})

describe('caption', () => {
  const caption = (out: string) => ['caption', pictures, '--out', inFolder(out)]

  it('continues to the same lines after it was killed in the middle of a line', async () => {
    const { stdout } = await run(...caption('captions.jsonl'))
    assert.match(stdout, new RegExp(`${COUNT - 1} captions, 1 could not be read`))
    const whole = readFileSync(inFolder('captions.jsonl'), 'utf8')
    const lines = whole.trimEnd().split('\n')
    assert.equal(lines.length, COUNT - 1)
    assert.deepEqual(Object.keys(JSON.parse(lines[0])), ['file', 'caption', 'logProbability', 'model'])
    await runAndKill(...caption('killed-captions.jsonl'))
    const killed = readFileSync(inFolder('killed-captions.jsonl'), 'utf8')
    assert.ok(whole.startsWith(killed) && killed.length < whole.length, 'a part of the lines stands there')
    // a batch is 16 pictures, one of the first of them broken
    writeFileSync(inFolder('killed-captions.jsonl'), `${lines.slice(0, 15).join('\n')}\n${lines[15].slice(0, 40)}`)
    await run(...caption('killed-captions.jsonl'))
    assert.equal(readFileSync(inFolder('killed-captions.jsonl'), 'utf8'), whole)
  })

  it("does not continue with another model's captions", async () => {
    const line = { file: 'a.png', caption: 'a', logProbability: -1, model: '0123456789ab' }
    writeFileSync(inFolder('others.jsonl'), `${JSON.stringify(line)}\n`)
    const { code, stderr } = await cocagrad([...caption('others.jsonl'), ...released])
    assert.equal(code, 2)
    assert.match(stderr, /others\.jsonl:1: was written with another model \(0123456789ab, this one is [0-9a-f]{12}\)/)
    assert.equal(readFileSync(inFolder('others.jsonl'), 'utf8'), `${JSON.stringify(line)}\n`)
  })

  it('does not write into a file of another kind', async () => {
    writeFileSync(inFolder('notes.txt'), 'things to do')
    const { code, stderr } = await cocagrad([...caption('notes.txt'), ...released])
    assert.equal(code, 2)
    assert.match(stderr, /notes\.txt:1: does not begin with \{"file":/)
    assert.equal(readFileSync(inFolder('notes.txt'), 'utf8'), 'things to do')
  })
})

describe('which model', () => {
  const image = join(pictures, nameOf(2))

  it('a released model classifies too', async () => {
    const { stdout } = await run('classify', image, '--labels', 'red,blue')
    assert.match(stdout, /02\.png: (red|blue) /)
  })

  it('no model, two models, or a tokenizer for a run are mistakes', async () => {
    for (const [args, words] of [
      [[], /give the model: --run .* or --model/],
      [['--run', 'a', '--model', 'b'], /give either --run or --model/],
      [['--run', 'a', '--tokenizer', tokenizer], /--tokenizer .*: a run has its own tokenizer/],
      [['--model', weights], /has no tokenizer next to its weights: .*--tokenizer/],
    ] as const) {
      const { code, stderr } = await cocagrad(['caption', image, ...args])
      assert.equal(code, 2, stderr)
      assert.match(stderr, words)
    }
  })
})
