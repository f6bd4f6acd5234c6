// Small checkpoints of OpenCLIP's architectures with random weights, as folders and from another server, and pictures for them.

import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { encode } from 'fast-png'
import { noGrad } from '../../src/autograd/index.ts'
import { ClipTokenizer, JsonTokenizer, OpenClipTokenizer, type Tokenizer } from '../../src/data/index.ts'
import { CoCa, DualEncoder } from '../../src/models/index.ts'
import { withoutAllocation } from '../../src/nn/index.ts'
import { openClipArchitectures } from '../../src/openclip/architectures.ts'
import {
  fromClipConfig,
  fromOpenClipConfig,
  type OpenClipArchitecture,
  openClipTensors,
  saveOpenClip,
} from '../../src/openclip/index.ts'
import { seed, sizeOf } from '../../src/tensor/index.ts'

export const SIDE = 32
export const CONTEXT = 12

/** A picture of a gradient, as the bytes of a PNG. */
function png(hue: number): Buffer {
  const [width, height] = [50, 40]
  const data = new Uint8Array(width * height * 3)
  for (let p = 0; p < width * height; p++)
    data.set([(hue * (p % width)) % 256, (5 * Math.floor(p / width) + hue) % 256, 255 - hue], 3 * p)
  return Buffer.from(encode({ width, height, data, channels: 3 }))
}
export const pictures = [png(3), png(90), png(200)]

export const clipWords = ClipTokenizer.fromMerges('#version: 0.2\na t</w>\nc at</w>\nd o\ndo g</w>\np h\n')

/** Writes a CoCa as OpenCLIP releases it. */
export async function writeCheckpoint(folder: string): Promise<void> {
  const tokenizer = clipWords
  const tower = { context_length: CONTEXT, vocab_size: tokenizer.vocabularySize, width: 32, heads: 4, layers: 2 }
  const vision = { image_size: SIDE, patch_size: 8, width: 32, head_width: 8, layers: 2 }
  seed(5)
  const model = new CoCa(
    fromOpenClipConfig({
      embed_dim: 32,
      vision_cfg: {
        ...vision,
        attentional_pool: true,
        attn_pooler_queries: 5,
        attn_pooler_heads: 4,
        output_tokens: true,
      },
      text_cfg: { ...tower, embed_cls: true, output_tokens: true },
      multimodal_cfg: tower,
      custom_text: true,
    }),
  )
  // so that some tokens are far more probable than others
  const { weight } = model.multimodal.output
  weight.assign(noGrad(() => weight.mul(12)))
  await saveOpenClip(folder, { model, tokenizer })
}

/** Writes a CLIP. */
export async function writeClip(folder: string): Promise<void> {
  seed(6)
  const text = { context_length: CONTEXT, vocab_size: clipWords.vocabularySize, width: 32, heads: 4, layers: 2 }
  const vision = { image_size: SIDE, patch_size: 8, width: 32, head_width: 8, layers: 2 }
  const model = new DualEncoder(fromClipConfig({ embed_dim: 16, vision_cfg: vision, text_cfg: text }))
  await saveOpenClip(folder, { model, tokenizer: clipWords })
}

/** Writes a SigLIP with a small text tower, a tokenizer of Hugging Face and the name of its padding. @returns the tokenizer */
export async function writeSigLip(folder: string): Promise<Tokenizer> {
  const golden = new URL('../../test/golden/tokenizers/', import.meta.url)
  const read = async (name: string) => JSON.parse(gunzipSync(await readFile(new URL(name, golden))).toString())
  const [{ file }] = (await read('siglip.json.gz')).tokenizers
  const words = JsonTokenizer.fromJSON({ ...file, normalizer: (await read('t5.json.gz')).normalizer })
  const tokenizer = new OpenClipTokenizer(words, { clean: 'canonicalize', pad: words.idOf('</s>')!, name: 'small' })
  const { model_cfg, preprocess_cfg } = openClipArchitectures['ViT-B-32-SigLIP2-256'] as unknown as SigLipConfig
  const small = { context_length: CONTEXT, vocab_size: words.ownIds, layers: 1, hf_tokenizer_name: 'small' }
  const config = { model_cfg: { ...model_cfg, text_cfg: { ...model_cfg.text_cfg, ...small } }, preprocess_cfg }
  await mkdir(folder)
  await writeFile(join(folder, 'open_clip_config.json'), JSON.stringify(config))
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(words.toJSON()))
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(tokenizer.config))
  await writeWeights(join(folder, 'open_clip_model.safetensors'), config, { dtype: 'F32', prefix: '' })
  return tokenizer
}

/** Writes weights of zeros, of which only the header takes space, as a training checkpoint has them: without a configuration. */
export const writeUnnamed = (file: string, architecture: OpenClipArchitecture): Promise<void> =>
  writeWeights(file, openClipArchitectures[architecture], { dtype: 'F16', prefix: 'module.' })

interface SigLipConfig {
  readonly model_cfg: { readonly text_cfg: object }
  readonly preprocess_cfg: object
}

/** Writes the weights of a CLIP or SigLIP without making the model, which takes long: as F32 the same random numbers again and again. */
async function writeWeights(
  file: string,
  config: object,
  { dtype, prefix }: { readonly dtype: 'F32' | 'F16'; readonly prefix: string },
): Promise<void> {
  const model = withoutAllocation(() => new DualEncoder(fromClipConfig(config)))
  const isCustom = model.logitBias !== undefined
  const tensors = openClipTensors(model).map(({ name, shape }) => ({
    name: prefix + (isCustom ? name : name.replace(/^text\./, '')),
    shape,
    size: sizeOf(shape),
  }))
  let end = 0
  const entries = tensors.map(({ name, shape, size }) => {
    const begin = end
    end += (dtype === 'F16' ? 2 : 4) * size
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const
  })
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const handle = await open(file, 'w')
  await handle.write(Buffer.concat([length, header]))
  if (dtype === 'F16') await handle.truncate(8 + header.length + end)
  else {
    const noise = Float32Array.from({ length: 10007 }, (_, i) => 0.05 * Math.sin(i * i))
    for (const { name, shape, size } of tensors) {
      // norms, the temperature and the bias of a SigLIP
      const mean = name === 'logit_bias' ? -3 : shape.length < 2 && !name.endsWith('bias') ? 1 : 0
      const values = new Float32Array(size)
      for (let at = 0; at < size; at += noise.length) values.set(noise.subarray(0, size - at), at)
      if (mean !== 0) for (let i = 0; i < size; i++) values[i] += mean
      await handle.write(values)
    }
  }
  await handle.close()
}

export const FILES = ['open_clip_model.safetensors', 'open_clip_config.json', 'tokenizer.json']

/**
 * Another server with the weights and the configuration of a folder, which sends parts.
 * @param stalls whether it sends the header of the weights and then nothing
 */
export async function serveWeights(folder: string, { stalls = false } = {}) {
  /** lengths of the parts */
  const sent: number[] = []
  const server = createServer(async (request, response) => {
    const headers = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'content-range' }
    const name = (request.url ?? '').slice(1)
    if (!FILES.slice(0, 2).includes(name)) return response.writeHead(404, headers).end()
    const bytes = await readFile(join(folder, name))
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')?.map(Number) ?? []
    if (last === undefined) return response.writeHead(200, headers).end(bytes)
    if (stalls && first > 0) return
    const part = bytes.subarray(first, last + 1)
    sent.push(part.length)
    const range = `bytes ${first}-${first + part.length - 1}/${bytes.length}`
    return response.writeHead(206, { ...headers, 'content-range': range }).end(part)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const end = () => {
    server.closeAllConnections()
    server.close()
  }
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, sent, end }
}
