// Checkpoints that are opened from files of a page and from URLs, beside the same ones opened from a folder.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { JsonTokenizer } from '../../src/data/index.ts'
import { encodeSafetensors, NonFiniteWeightsError, parseSafetensors } from '../../src/io/index.ts'
import { OpenClipError, openClip, openOpenClip, parseOpenClipTokenizer } from '../../src/openclip/index.ts'
import { openClipTokenizer } from '../../src/openclip/tokenizer.ts'
import { device, tensor } from '../../src/tensor/index.ts'
import { temporaryFolder } from '../data/folder.ts'

await device.use('cpu')

const golden = (name: string) => new URL(`../golden/${name}`, import.meta.url).pathname

async function filesOf(name: string) {
  const [config, bytes] = await Promise.all([
    readFile(golden(`${name}/${name === 'clip' ? 'open_clip_config.json' : 'config.json'}`), 'utf8'),
    readFile(golden(`${name}/${name === 'clip' ? 'open_clip_model.safetensors' : 'weights.safetensors'}`)),
  ])
  return { config, bytes: new Uint8Array(bytes), weights: new Blob([bytes]) }
}

/** A server that sends parts of some bytes; the lengths of what it sent. */
async function served(t: TestContext, bytes: Uint8Array): Promise<{ url: URL; sent: number[] }> {
  const sent: number[] = []
  const server = createServer((request, response) => {
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')!.map(Number)
    const part = bytes.subarray(first, last + 1)
    sent.push(part.length)
    const range = `bytes ${first}-${first + part.length - 1}/${bytes.length}`
    response.writeHead(206, { 'content-range': range, 'content-type': 'application/octet-stream' }).end(part)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/model.safetensors`), sent }
}

const FAMILIES = ['coca', 'dual-encoder'] as const

for (const name of ['own', 'coca-a', 'coca-base', 'clip'])
  test(`${name} has the weights of the folder, bit for bit`, async () => {
    const { config, weights } = await filesOf(name)
    const opened = await openOpenClip({ config, weights }, { family: FAMILIES })
    const before = device.get().memory().bytes
    const model = await opened.read()
    assert.ok(device.get().memory().bytes - before < 1.2 * 4 * opened.parameterCount + 100_000, 'nothing else is kept')
    const beside = await openClip(golden(name), { family: FAMILIES })
    assert.equal(opened.family, beside.family)
    assert.deepEqual(opened.preprocessing, beside.preprocessing)
    assert.deepEqual(opened.config, beside.model.config)
    assert.equal(opened.parameterCount, model.parameterCount())
    assert.equal(model.training, false)
    const own = new Map(model.namedParameters())
    for (const [path, parameter] of beside.model.namedParameters())
      assert.deepEqual(await own.get(path)!.data(), await parameter.data(), path)
    const ids = tensor([[1, 5, 2]], { dtype: 'int32' })
    assert.deepEqual(await model.encodeText(ids).data(), await beside.model.encodeText(ids).data())
  })

test('progress counts every byte of the weights once, and what it throws ends the reading', async () => {
  const { config, weights } = await filesOf('own')
  const opened = await openOpenClip({ config, weights })
  const seen: (readonly [number, number])[] = []
  await opened.read({ onProgress: (done, count) => seen.push([done, count]) })
  assert.ok(seen.every(([done, count], i) => count === opened.byteCount && done > (seen[i - 1]?.[0] ?? 0)))
  assert.equal(seen.at(-1)?.[0], opened.byteCount)
  const stop = new Error('stop')
  const reading = opened.read({
    onProgress: () => {
      throw stop
    },
  })
  await assert.rejects(reading, stop)
})

test('a URL is asked for its header first, and for the weights when they are read', async t => {
  const { config, bytes } = await filesOf('own')
  const { url, sent } = await served(t, bytes)
  const opened = await openOpenClip({ config, weights: url })
  assert.equal(sent.length, 1)
  const model = await opened.read()
  assert.ok(sent.reduce((all, length) => all + length) <= bytes.length + 2 ** 16)
  const beside = await (await openOpenClip({ config, weights: bytes })).read()
  assert.deepEqual(await model.logScale.data(), await beside.logScale.data())
})

test('halves and doubles become float32, and other names and values are refused', async () => {
  const { config, bytes } = await filesOf('own')
  const { tensors } = parseSafetensors(bytes)
  const changed = (change: (all: typeof tensors) => void) => {
    const all = new Map(tensors)
    change(all)
    return openOpenClip({ config, weights: new Blob(encodeSafetensors(all) as BlobPart[]) })
  }
  const scale = tensors.get('logit_scale')!
  const doubled = await changed(all =>
    all.set('logit_scale', { dtype: 'F64', shape: [], data: new Float64Array([0.1]) }),
  )
  assert.equal(await (await doubled.read()).logScale.item(), Math.fround(0.1))
  await assert.rejects(
    changed(all => all.delete('logit_scale')),
    (error: unknown) => error instanceof OpenClipError && /missing: logit_scale/.test(error.message),
  )
  const infinite = await changed(all => all.set('logit_scale', { ...scale, data: new Float32Array([Infinity]) }))
  await assert.rejects(infinite.read(), NonFiniteWeightsError)
})

test('what is missing is said', async () => {
  const { config, weights } = await filesOf('clip')
  await assert.rejects(openOpenClip({ weights }), /give the text of open_clip_config\.json/)
  await assert.rejects(openOpenClip({ config, weights }), /is a checkpoint of a dual-encoder, not of a coca/)
  await assert.rejects(openOpenClip({ config: '{', weights }), OpenClipError)
})

test('a tokenizer that is given as bytes makes the rows of the one in a folder', async t => {
  const folder = await temporaryFolder(t)
  const read = async (name: string) =>
    JSON.parse(gunzipSync(await readFile(golden(`tokenizers/${name}.json.gz`))).toString())
  const [{ file }] = (await read('siglip')).tokenizers
  const json = JSON.stringify({ ...file, normalizer: (await read('t5')).normalizer })
  const tokenizerConfig = { pad_token: '</s>' }
  await writeFile(`${folder}/tokenizer.json`, json)
  await writeFile(`${folder}/tokenizer_config.json`, JSON.stringify(tokenizerConfig))
  const { ownIds } = JsonTokenizer.fromJSON(JSON.parse(json))
  const source = { settings: {}, text: { vocabulary: ownIds, summary: 'last' } }
  const beside = await openClipTokenizer(`${folder}/tokenizer.json`, source)
  const own = await parseOpenClipTokenizer(json, { ...source, tokenizerConfig })
  const texts = ['A photo of a cat!', '']
  assert.deepEqual(own.tokenize(texts, 16), beside.tokenize(texts, 16))
  assert.equal(own.tokenize(['a'], 16).at(-1), own.end, 'rows are filled with the end')
  await assert.rejects(parseOpenClipTokenizer(json, source), /put the tokenizer_config\.json of the model beside it/)
})
