// OpenCLIP's names, shapes and settings: those of its released models, and settings that are errors.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { architectureOption } from '../../src/cli/options.ts'
import { resolveDualEncoder } from '../../src/models/config.ts'
import { CoCa, type CoCaConfig, presets } from '../../src/models/index.ts'
import { dualEncoderParts } from '../../src/models/size.ts'
import { ConfigError, withoutAllocation } from '../../src/nn/index.ts'
import {
  architectureProblem,
  isArchitecture,
  openClipArchitectureNames,
  openClipArchitectures,
} from '../../src/openclip/architectures.ts'
import { fromClipConfig, isCoCaConfig } from '../../src/openclip/clip.ts'
import { fromOpenClipConfig, openClip, openClipTensors, toOpenClipConfig } from '../../src/openclip/index.ts'
import { tokenizerSettings } from '../../src/openclip/tokenizer-settings.ts'
import { randn } from '../../src/tensor/index.ts'
import { checkRunConfig, openModel } from '../../src/train/index.ts'
import { arranged, assertAbove, coca, ids, largestOf, pictures, rowsOf, small, withoutPad } from '../models/small.ts'
import { assertClose, assertCloseNumbers } from '../support.ts'

/** The model_configs of OpenCLIP 3.3 by name, and how many parameters its own vision transformers and SigLIPs have. */
const golden = JSON.parse(
  gunzipSync(readFileSync(new URL('../golden/model-configs.json.gz', import.meta.url))).toString(),
) as { readonly configs: Readonly<Record<string, object>>; readonly parameters: Readonly<Record<string, number>> }

type Json = Record<string, unknown> & Record<'vision_cfg' | 'text_cfg' | 'multimodal_cfg', Record<string, unknown>>

/** As the released configurations are written. */
const released = (embed: number, vision: Record<string, unknown>, heads: number): Json => ({
  embed_dim: embed,
  vision_cfg: { image_size: 224, attentional_pool: true, attn_pooler_heads: 8, output_tokens: true, ...vision },
  text_cfg: {
    context_length: 76,
    vocab_size: 49408,
    width: embed,
    heads,
    layers: 12,
    embed_cls: true,
    output_tokens: true,
  },
  multimodal_cfg: { context_length: 76, vocab_size: 49408, width: embed, heads, layers: 12, attn_pooler_heads: heads },
  custom_text: true,
})
const b32 = released(512, { layers: 12, width: 768, patch_size: 32 }, 8)
const l14 = released(768, { layers: 24, width: 1024, patch_size: 14 }, 12)

/** As `coca_base.json` of OpenCLIP 3.3. */
const base: Json = {
  embed_dim: 512,
  multimodal_cfg: {
    width: 768,
    context_length: 76,
    vocab_size: 64000,
    mlp_ratio: 4,
    layers: 12,
    dim_head: 64,
    heads: 12,
    n_queries: 256,
    attn_pooler_heads: 8,
  },
  vision_cfg: { image_size: 288, layers: 12, width: 768, patch_size: 18, output_tokens: true },
  text_cfg: {
    context_length: 76,
    vocab_size: 64000,
    layers: 12,
    heads: 12,
    width: 768,
    embed_cls: true,
    output_tokens: true,
  },
  custom_text: true,
}

const built = (json: unknown) => withoutAllocation(() => new CoCa(fromOpenClipConfig(json)))
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)

/** Names with the shapes that ViT-B-32 has, layer # from 0 to 11. */
const manifest = `
  logit_scale
  visual.class_embedding 768; visual.positional_embedding 50,768; visual.conv1.weight 768,3,32,32; visual.proj 512,512
  visual.ln_pre.weight 768; visual.ln_pre.bias 768; visual.ln_post.weight 512; visual.ln_post.bias 512
  visual.attn_pool.query 256,512; visual.attn_pool.ln_q.weight 512; visual.attn_pool.ln_q.bias 512
  visual.attn_pool.ln_k.weight 768; visual.attn_pool.ln_k.bias 768; visual.attn_pool.attn.q_proj_weight 512,512
  visual.attn_pool.attn.k_proj_weight 512,768; visual.attn_pool.attn.v_proj_weight 512,768
  visual.attn_pool.attn.in_proj_bias 1536
  visual.attn_pool.attn.out_proj.weight 512,512; visual.attn_pool.attn.out_proj.bias 512
  text.token_embedding.weight 49408,512; text.positional_embedding 77,512; text.cls_emb 512
  text.ln_final.weight 512; text.ln_final.bias 512; text.text_projection 512,512
  text_decoder.ln_final.weight 512; text_decoder.ln_final.bias 512; text_decoder.text_projection 512,49408
  ${['visual.transformer.resblocks', 'text.transformer.resblocks', 'text_decoder.resblocks', 'text_decoder.cross_attn']
    .map(tower => {
      const w = tower.startsWith('visual') ? 768 : 512
      const norms = ['ln_1', 'ln_2', ...(tower.endsWith('cross_attn') ? ['ln_1_kv'] : [])]
      return [
        ...norms.flatMap(norm => [`${tower}.#.${norm}.weight ${w}`, `${tower}.#.${norm}.bias ${w}`]),
        `${tower}.#.attn.in_proj_weight ${3 * w},${w}; ${tower}.#.attn.in_proj_bias ${3 * w}`,
        `${tower}.#.attn.out_proj.weight ${w},${w}; ${tower}.#.attn.out_proj.bias ${w}`,
        `${tower}.#.mlp.c_fc.weight ${4 * w},${w}; ${tower}.#.mlp.c_fc.bias ${4 * w}`,
        `${tower}.#.mlp.c_proj.weight ${w},${4 * w}; ${tower}.#.mlp.c_proj.bias ${w}`,
      ].join('\n')
    })
    .join('\n')}`
  .split(/[;\n]/)
  .map(line => line.trim())
  .filter(line => line !== '')
  .flatMap(line => (line.includes('#') ? Array.from({ length: 12 }, (_, i) => line.replace('#', `${i}`)) : [line]))

describe("OpenCLIP's released models", () => {
  it('ViT-B-32: 629 tensors by name and shape, 253,560,065 parameters', () => {
    const tensors = openClipTensors(built(b32))
    assert.deepEqual(tensors.map(({ name, shape }) => `${name} ${shape}`.trim()).sort(), manifest.sort())
    assert.equal(tensors.length, 629)
    assert.equal(built(b32).parameterCount(), 253_560_065)
    const of = (prefix: string) =>
      tensors.filter(({ name }) => name.startsWith(prefix)).reduce((sum, { shape }) => sum + sizeOf(shape), 0)
    assert.equal((of('visual.') / 1e6).toFixed(2), '89.16')
    assert.equal((of('text.') / 1e6).toFixed(2), '63.43')
  })

  it('ViT-L-14: 773 tensors, 638.45 M parameters', () => {
    const model = built(l14)
    assert.equal(openClipTensors(model).length, 773)
    assert.equal((model.parameterCount() / 1e6).toFixed(2), '638.45')
  })

  it('are known by name with the settings of OpenCLIP 3.3, or refused by name with the reason', () => {
    const { configs } = golden
    const known = Object.keys(configs).filter(isArchitecture)
    assert.deepEqual(known.sort(), [...openClipArchitectureNames].sort())
    const read = (json: unknown) => (isCoCaConfig(json) ? fromOpenClipConfig(json) : fromClipConfig(json))
    for (const [name, json] of Object.entries(configs)) {
      if (isArchitecture(name)) {
        const own = openClipArchitectures[name]
        assert.deepEqual(read(own), read(json), name)
        assert.deepEqual(tokenizerSettings(own), tokenizerSettings(json), name)
      } else {
        assert.match(architectureProblem(name), /^is not supported: /, name)
        assert.throws(() => read(json), { name: 'ConfigError' }, name)
      }
    }
  })

  it('are refused by name wherever a name is given', async () => {
    const architecture = 'RN50' as never
    const reason = /is not supported: its image tower is a ResNet/
    await assert.rejects(openClip('nowhere', { architecture }), { name: 'OpenClipError', message: reason })
    await assert.rejects(openModel('nowhere', { architecture }), { name: 'OpenClipError', message: reason })
    assert.throws(() => checkRunConfig({ data: 'a', from: 'b', architecture }), {
      name: 'RunConfigError',
      message: reason,
    })
    const flag = architectureOption()
    assert.throws(() => flag.parseArg!('RN50', undefined), reason)
    assert.throws(
      () => flag.parseArg!('ViT-B-64', undefined),
      /must be the name .* ViT-B-32, .*ViT-gopt-16-SigLIP2-384/,
    )
    assert.equal(flag.parseArg!('ViT-g-14', undefined), 'ViT-g-14')
  })

  it('have as many parameters as OpenCLIP 3.3 counts', () => {
    const ofClip = openClipArchitectureNames.filter(name => !name.startsWith('coca'))
    for (const name of ofClip) {
      const count = golden.parameters[name]
      const parts = dualEncoderParts(resolveDualEncoder(fromClipConfig(openClipArchitectures[name])))
      const sum = parts.reduce((all, { times, elements }) => all + times * elements.reduce((a, b) => a + b, 0), 0)
      assert.equal(sum, count, name)
    }
  })

  it('every parameter is in exactly one tensor', () => {
    for (const json of [b32, l14, base, { ...b32, embed_dim: 512, vision_cfg: { ...b32.vision_cfg, width: 512 } }]) {
      const model = built(json)
      const named = openClipTensors(model).flatMap(({ parameters }) => parameters)
      assert.deepEqual(named.sort(), [...model.stateDict().keys()].sort())
    }
  })

  it('the pooler has one matrix for queries, keys and values if the towers have equal widths', () => {
    const model = built({ ...b32, vision_cfg: { ...b32.vision_cfg, width: 512 } })
    const pooler = openClipTensors(model).filter(({ name }) => name.startsWith('visual.attn_pool.attn.in_proj_w'))
    assert.deepEqual(
      pooler.map(({ name, shape }) => [name, [...shape]]),
      [['visual.attn_pool.attn.in_proj_weight', [1536, 512]]],
    )
  })
})

describe('a configuration', () => {
  it('converts there and back to an equal one, in both directions', () => {
    const odd = {
      ...b32,
      quick_gelu: true,
      vision_cfg: { ...b32.vision_cfg, mlp_ratio: 3.3, head_width: 48, no_ln_pre: true },
    }
    const tanh = {
      ...base,
      vision_cfg: { ...base.vision_cfg, image_size: 300, norm_kwargs: { eps: 1e-6 } },
      text_cfg: { ...base.text_cfg, norm_kwargs: { eps: 1e-6 }, act_kwargs: { approximate: 'tanh' } },
    }
    const wide = { ...b32, vision_cfg: { ...b32.vision_cfg, image_size: [224, 352], patch_size: [32, 16] } }
    assert.deepEqual(fromOpenClipConfig(wide).image.size, [224, 352])
    const twice = { ...b32, vision_cfg: { ...b32.vision_cfg, image_size: [224, 224] } }
    assert.deepEqual(fromOpenClipConfig(twice), fromOpenClipConfig(b32))
    for (const json of [b32, l14, base, tanh, odd, wide]) {
      const config = fromOpenClipConfig(json)
      const written = toOpenClipConfig(config)
      assert.deepEqual(fromOpenClipConfig(written), config)
      assert.deepEqual(toOpenClipConfig(fromOpenClipConfig(written)), written)
      assert.deepEqual(fromOpenClipConfig({ model_cfg: written, preprocess_cfg: {} }), config)
    }
  })

  it('is written with the settings that OpenCLIP 3.3 knows', () => {
    const known = {
      '': 'embed_dim multimodal_cfg text_cfg vision_cfg quick_gelu custom_text',
      vision_cfg: `layers width head_width mlp_ratio patch_size image_size attentional_pool attn_pooler_queries
        attn_pooler_heads no_ln_pre output_tokens act_kwargs norm_kwargs`,
      text_cfg: `context_length vocab_size width heads layers mlp_ratio embed_cls output_tokens act_kwargs norm_kwargs`,
      multimodal_cfg: 'context_length vocab_size width heads layers',
    }
    const wide = { normEpsilon: 1e-6, activation: 'geluTanh' } as const
    const other = fromOpenClipConfig(base)
    const multimodal = { ...other.text.multimodal, normEpsilon: 1e-5, activation: 'gelu' } as const
    const unlike = { ...other, image: { ...other.image, ...wide }, text: { ...other.text, ...wide, multimodal } }
    for (const config of [fromOpenClipConfig(b32), other, unlike]) {
      const written = toOpenClipConfig(config) as Json
      for (const [group, names] of Object.entries(known)) {
        const settings = group === '' ? written : written[group as 'vision_cfg']
        const strange = Object.keys(settings).filter(name => !names.split(/\s+/).includes(name))
        assert.deepEqual(strange, [], group)
      }
    }
  })

  it('of a model without pooler gives the class token to the embedding, of another width than the towers', () => {
    const { pooler, image, text, embedding } = fromOpenClipConfig(base)
    assert.deepEqual(pooler, { arrangement: 'none', queries: 0 })
    assert.deepEqual([image.outputNorm, image.width, text.width, embedding], [true, 768, 768, 512])
    const shapes = new Map(openClipTensors(built(base)).map(({ name, shape }) => [name, shape]))
    assert.deepEqual(
      ['visual.ln_post.weight', 'visual.proj', 'text.text_projection'].map(name => shapes.get(name)),
      [[768], [768, 512], [768, 512]],
    )
  })

  it('may have settings that do not change what a model computes', () => {
    const equal: Json = {
      ...b32,
      nonscalar_logit_scale: true,
      vision_cfg: {
        ...b32.vision_cfg,
        patch_dropout: 0.5,
        pos_embed_type: 'sin_cos_2d',
        final_ln_after_pool: true,
        block_type: 'custom',
        qk_norm: false,
        timm_pool: 'avg',
      },
      text_cfg: {
        ...b32.text_cfg,
        final_ln_after_pool: true,
        tokenizer_mode: 'clip',
        pool_type: 'eos',
        eos_id: 2,
        block_type: 'default',
        act_kwargs: { approximate: 'none' },
        norm_kwargs: { eps: 1e-5 },
      },
      multimodal_cfg: { ...b32.multimodal_cfg, norm_kwargs: { eps: 1 }, act_kwargs: {}, qk_norm: true, mlp_ratio: 2 },
    }
    assert.deepEqual(fromOpenClipConfig(equal), fromOpenClipConfig(b32))
  })

  it('has sizes that OpenCLIP rounds down', () => {
    const vision = { ...b32.vision_cfg, image_size: 230, head_width: 100, mlp_ratio: 1.0001 }
    const { image } = fromOpenClipConfig({ ...b32, vision_cfg: { ...vision, width: 714 } })
    assert.deepEqual([image.size, image.cropToPatches, image.heads, image.hidden], [230, true, 7, 714])
    const shapes = openClipTensors(built({ ...b32, vision_cfg: { ...vision, width: 714 } }))
    assert.deepEqual(shapes.find(({ name }) => name === 'visual.positional_embedding')?.shape, [50, 714])
  })

  it('sets the corrected mask if the model or its text tower has it, and the other one otherwise', () => {
    assert.equal(fromOpenClipConfig(b32).text.padMask, 'unimodalLate')
    assert.equal(fromOpenClipConfig({ ...b32, correct_cls_mask: true }).text.padMask, 'unimodal')
    const inTower = { ...b32, text_cfg: { ...b32.text_cfg, correct_cls_mask: true } }
    assert.equal(fromOpenClipConfig(inTower).text.padMask, 'unimodal')
    assert.throws(() => fromOpenClipConfig({ ...inTower, correct_cls_mask: false }), /text_cfg\.correct_cls_mask/)
  })

  const changed = (group: 'vision_cfg' | 'text_cfg' | 'multimodal_cfg', settings: Record<string, unknown>): Json => ({
    ...b32,
    [group]: { ...b32[group], ...settings },
  })
  const refused: [string, unknown, RegExp][] = [
    [
      'a text tower of Hugging Face',
      changed('text_cfg', { hf_model_name: 'roberta-base' }),
      /^text_cfg\.hf_model_name = "roberta-base": text towers of Hugging Face/,
    ],
    [
      'an unknown setting of a tower',
      changed('vision_cfg', { depth: 3 }),
      /^vision_cfg\.depth = 3: is not a known setting/,
    ],
    ['an unknown setting of the model', { ...b32, moe: true }, /^moe = true: is not a known setting/],
    [
      'a model without pooler, whose tokens have another width than its decoder',
      changed('vision_cfg', { attentional_pool: false }),
      /^text_cfg\.width = 512: must be vision_cfg\.width, 768/,
    ],
    [
      'a model without pooler, whose tokens have no norm',
      { ...base, vision_cfg: { ...base.vision_cfg, final_ln_after_pool: true } },
      /^vision_cfg\.final_ln_after_pool = true/,
    ],
    [
      'a pooler with an epsilon of its own',
      changed('vision_cfg', { norm_kwargs: { eps: 1e-6 } }),
      /^vision_cfg\.norm_kwargs = \{"eps":0\.000001\}/,
    ],
    [
      'another option of a norm',
      changed('text_cfg', { norm_kwargs: { bias: false } }),
      /^text_cfg\.norm_kwargs\.bias = false: is not a known setting/,
    ],
    ['norms of queries and keys', changed('vision_cfg', { qk_norm: true }), /^vision_cfg\.qk_norm = true/],
    ['the mean of the tokens', changed('vision_cfg', { pool_type: 'avg' }), /^vision_cfg\.pool_type = "avg"/],
    [
      'a pooler of another kind',
      changed('vision_cfg', { attentional_pool: 'parallel' }),
      /^vision_cfg\.attentional_pool = "parallel"/,
    ],
    ['a CLIP, which has no decoder', { ...b32, multimodal_cfg: undefined }, /^multimodal_cfg = undefined/],
    ['a text without [CLS]', changed('text_cfg', { embed_cls: false }), /^text_cfg\.embed_cls = false/],
    ['layer scale', changed('text_cfg', { ls_init_value: 0.1 }), /^text_cfg\.ls_init_value = 0\.1/],
    ['a ResNet', changed('vision_cfg', { layers: [3, 4, 6, 3] }), /^vision_cfg\.layers = \[3,4,6,3\]/],
    [
      'an image of three sides',
      changed('vision_cfg', { image_size: [224, 336, 3] }),
      /^vision_cfg\.image_size = \[224,336,3\]: must be a whole number above 0, or two/,
    ],
    [
      'heads that do not divide',
      changed('vision_cfg', { head_width: 100 }),
      /^vision_cfg\.head_width = 100: gives 7 heads/,
    ],
    ['one query', changed('vision_cfg', { attn_pooler_queries: 1 }), /^vision_cfg\.attn_pooler_queries = 1/],
    ['a text of another width', changed('text_cfg', { width: 640 }), /^text_cfg\.width = 640/],
    ['a decoder of another width', changed('multimodal_cfg', { width: 640 }), /^multimodal_cfg\.width = 640/],
    ['a bias of the logits', { ...b32, init_logit_bias: -10 }, /^init_logit_bias = -10/],
    ['a text instead of a number', changed('text_cfg', { heads: '8' }), /^text_cfg\.heads = "8"/],
    ['no embedding', { ...b32, embed_dim: undefined }, /^embed_dim = undefined: must be|^embed_dim = null: is missing/],
    ['a list', [], /is not an object of settings/],
  ]
  for (const [what, json, message] of refused)
    it(`throws an error that names the setting: ${what}`, () =>
      assert.throws(
        () => fromOpenClipConfig(json),
        (error: unknown) => error instanceof ConfigError && message.test(error.message),
      ))

  it('that OpenCLIP does not support throws an error that names the setting', () => {
    const config = fromOpenClipConfig(b32)
    const foreign: [string, CoCaConfig][] = [
      ['pooler.arrangement', { ...config, pooler: { ...config.pooler, arrangement: 'cascade' } }],
      ['activation', { ...config, activation: 'silu' }],
      ['text.padMask', { ...config, text: { ...config.text, padMask: 'both' } }],
      ['text.multimodal.selfMlp', { ...config, text: { ...config.text, multimodal: {} } }],
      ['image.classToken', presets.base],
      ['image.channels', { ...config, image: { ...config.image, channels: 1 } }],
    ]
    for (const [field, each] of foreign)
      assert.throws(
        () => toOpenClipConfig(each),
        (error: unknown) => error instanceof ConfigError && error.field.startsWith(field.split('.')[0]),
        field,
      )
  })
})

describe("the differences of OpenCLIP's models", () => {
  const like = (text: Partial<CoCaConfig['text']>): CoCaConfig => ({ ...small, text: { ...small.text, ...text } })
  const padded = ids([[1, 5, 3, 2, 0, 0]])
  const close = (a: { dataSync(): ArrayLike<number> }, b: { dataSync(): ArrayLike<number> }) =>
    assertCloseNumbers(Array.from(a.dataSync()), Array.from(b.dataSync()), 1e-12)
  const far = (a: { dataSync(): ArrayLike<number> }, b: { dataSync(): ArrayLike<number> }) => {
    const [x, y] = [Array.from(a.dataSync()), Array.from(b.dataSync())]
    assertAbove(largestOf(x.map((value, i) => value - y[i])), 1e-6)
  }

  it('with a late mask and padding, [CLS] attends to the first padding token and not to itself', () => {
    const [late, exact] = [coca(like({ padMask: 'unimodalLate' })), coca(like({ padMask: 'unimodal' }))]
    const full = ids([[1, 3, 4, 5, 6, 2]])
    close(late.encodeText(full), exact.encodeText(full))
    far(late.encodeText(padded), exact.encodeText(padded))
    // the embedding depends on the first padding position, not on the second
    const before = late.encodeText(padded)
    const positions = late.unimodal.positions
    for (const [place, counts] of [
      [4, true],
      [5, false],
    ] as const) {
      const kept = positions.add(0)
      const row = ids(Array.from({ length: 7 }, (_, i) => [i === place ? 1 : 0])).cast('float64')
      positions.assign(positions.add(row.mul(randn([8], { dtype: 'float64' }))))
      if (counts) far(late.encodeText(padded), before)
      else close(late.encodeText(padded), before)
      positions.assign(kept)
    }
  })

  it('[CLS] has the next position after a short text, and the last position after a full one', () => {
    const [next, last] = [coca(like({ classPosition: 'next' })), coca(like({ classPosition: 'last' }))]
    close(next.encodeText(padded), last.encodeText(padded))
    far(next.encodeText(ids([[1, 5, 3, 2]])), last.encodeText(ids([[1, 5, 3, 2]])))
  })

  it('padding seen by the upper half changes the logits only at padding positions', () => {
    const [both, lower] = [coca(small), coca(like({ padMask: 'unimodal' }))]
    const [a, b] = [both, lower].map(model => model.forward(pictures(1), padded).logits)
    close(a.slice([0, { stop: 4 }]), b.slice([0, { stop: 4 }]))
    far(a, b)
  })

  for (const padMask of ['unimodal', 'unimodalLate', 'both'] as const)
    it(`a padding id that is a word can be in prompts and captions, with and without a cache (${padMask})`, async () => {
      const model = coca(like({ padMask, padIsWord: true }), 3)
      const options = {
        start: 1,
        prompts: [
          [1, 0, 4],
          [1, 4, 0],
        ],
        beams: 2,
      }
      const images = pictures(2)
      const [cached, plain] = [
        await model.generate(images, options),
        await model.generate(images, { ...options, cache: false }),
      ]
      assert.deepEqual(
        cached.map(caption => caption.ids),
        plain.map(caption => caption.ids),
      )
      assertCloseNumbers(
        cached.map(caption => caption.logProbability),
        plain.map(caption => caption.logProbability),
      )
      if (padMask === 'both') return
      const text = ids([[1, 0, 4, 0, 5, 3]])
      const one = images.slice([{ stop: 1 }])
      const state = model.startDecoding(one)
      const { logits } = model.forward(one, text)
      let seen = 0
      for (const n of [1, 2, 1, 2]) {
        const step = model.decode(text.slice([{}, { start: seen, stop: seen + n }]), state)
        seen += n
        close(step, logits.slice([{}, seen - 1]))
      }
    })

  it('the attention of the decoder is over patches, with and without a class token', async () => {
    for (const config of [{ ...small, image: { ...small.image, classToken: true, inputNorm: true } }]) {
      for (const arrangement of ['cascade', 'parallel', 'shared'] as const) {
        const model = coca({ ...config, pooler: arranged(arrangement).pooler })
        for await (const { attention } of model.stream(pictures(1), { start: 1 })) {
          assert.equal(attention.length, 4)
          assertCloseNumbers([attention.reduce((a, b) => a + b)], [1], 1e-6)
        }
      }
    }
  })

  it('a layer that is not in the options has no parameters', () => {
    const names = [...coca(withoutPad).stateDict().keys()].join()
    for (const field of ['selfMlp', 'memoryNorm.memoryNorm', 'queryNorm', 'inputNorm', 'encoder.classToken'])
      assert.ok(!names.includes(field), field)
  })

  it('rows of a batch do not affect each other', () => {
    const model = coca({
      ...like({ padMask: 'unimodalLate', classPosition: 'next', multimodal: { memoryNorm: true, selfMlp: true } }),
      image: { ...small.image, classToken: true, inputNorm: true, patchBias: false },
      pooler: { ...small.pooler, arrangement: 'shared', queryNorm: true },
    })
    const texts = ids([
      [1, 3, 4, 5, 6, 2],
      [1, 5, 3, 2, 0, 0],
    ])
    const both = model.forward(pictures(2), texts)
    const one = model.forward(pictures(2).slice([{ start: 1 }]), padded)
    assertClose(both.logits.slice([{ start: 1 }]), { shape: [1, 6, 7], data: rowsOf(one.logits)[0] })
    assertCloseNumbers(rowsOf(both.image)[1], rowsOf(one.image)[0])
  })
})
