// Model soups (Wortsman et al. 2022, arXiv 2203.05482): the mean of the weights of several models that were finetuned from the same
// weights is one model, which costs no more than each of them and often scores better than the best of them.

import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type ImageTextSource, type MultiImageSource, ShardStream } from '../data/index.ts'
import { DataError, writeAtomically } from '../io/index.ts'
import { type FamilyName, familyNames } from '../models/index.ts'
import { Module } from '../nn/index.ts'
import { valuesOf } from '../nn/parameter.ts'
import { averageWeights } from '../optim/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { given } from '../tensor/given.ts'
import { scope } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { CheckpointWeights } from './checkpoint.ts'
import type { RunConfig } from './config.ts'
import { type Naming, objectiveOf, unloadedModelOf } from './objectives/families.ts'
import { provenance, recordProvenance } from './provenance.ts'
import { openRun, openRunData, type Run } from './run.ts'
import { RunFolder } from './run-folder.ts'
import { optimizerFor } from './setup.ts'

/** Runs that cannot be averaged: the message says what differs. */
export class SoupError extends DataError {}

/** Options of `greedySoup`. */
export interface GreedySoupOptions<M extends Module> {
  /** a module of the same shape, which gets the weights of each soup that is scored, and at the end those of the greedy soup */
  readonly model: M
  /** the score of `model` on held-out data, higher is better */
  readonly score: (model: M) => number | Promise<number>
}
const greedyOptions = {
  model: is.instance('a module of the same shape', Module),
  score: is.callback as is.Kind<GreedySoupOptions<Module>['score']>,
} satisfies Settings<GreedySoupOptions<Module>>

/** The result of `greedySoup`. */
export interface GreedySoup {
  /** the score of each model */
  readonly scores: readonly number[]
  /** the positions of the models in the soup, the best model first */
  readonly chosen: readonly number[]
  /** the score of the soup: at least that of the best model */
  readonly score: number
}

/**
 * The greedy soup (Wortsman et al. 2022, recipe 1): the models are tried from the best to the worst score, and each is added to the
 * mean if the score of the mean does not fall. On the data of the score the soup is therefore never worse than the best model.
 *
 *     const model = new Classifier()
 *     const { chosen, score } = await greedySoup([one, two, three], { model, score: model => accuracyOf(model) })
 *
 * @throws StateDictError naming what differs from the first model; RangeError for a score that is not a number
 */
export async function greedySoup<M extends Module>(
  models: readonly M[],
  options: GreedySoupOptions<M>,
): Promise<GreedySoup> {
  const call = 'greedySoup(models, options)'
  checkArguments(call, [areModels], [models])
  const { model, score } = settle(call, options as unknown as GreedySoupOptions<Module>, greedyOptions)
  const load = (some: readonly number[]) =>
    mix(
      model,
      some.map(i => models[i]),
    )
  const scoreOf = async (some: readonly number[]) => {
    load(some)
    const value = await score(model)
    if (typeof value !== 'number' || Number.isNaN(value))
      throw new RangeError(`${call}: score returned ${given(value)}: it must be a number`)
    return value
  }
  const scores: number[] = []
  for (const i of models.keys()) scores.push(await scoreOf([i]))
  const [best, ...others] = [...models.keys()].sort((a, b) => scores[b] - scores[a])
  let chosen = [best]
  let reached = scores[best]
  for (const i of others) {
    const more = [...chosen, i]
    const value = await scoreOf(more)
    if (value < reached) continue
    chosen = more
    reached = value
  }
  load(chosen)
  return { scores, chosen, score: reached }
}

const areModels = new is.Kind<readonly Module[]>(
  'a list of modules, at least one',
  x => Array.isArray(x) && x.length > 0 && x.every(model => model instanceof Module),
)

/** Gives a model the mean of the weights of others. */
const mix = (model: Module, others: readonly Module[]): void =>
  scope(() => void model.loadStateDict(averageWeights(others)))

/** Options of `makeSoup`. */
export interface SoupOptions {
  /** held-out data for the score, as `data` of a configuration: a folder, a list of captions or tars; all of it is used */
  readonly data: string
  /** a new folder for a run with the weights of the soup; default none is written */
  readonly out?: string
  /** the soup that is written to `out`; default uniform */
  readonly write?: 'uniform' | 'greedy'
  /** the weights of each run; default its averages if it has them */
  readonly weights?: CheckpointWeights
  /** called after each evaluation with the runs whose mean was evaluated, and its results */
  readonly onEvaluation?: (runs: readonly string[], values: Readonly<Record<string, number>>) => void
  /** ends with the reason of the signal before the next evaluation; nothing is written */
  readonly signal?: AbortSignal
}
const soupOptions = {
  data: is.text,
  out: is.optional(is.text),
  write: is.choice<'uniform' | 'greedy'>('uniform', 'greedy'),
  weights: is.optional(is.oneOf<CheckpointWeights>('average', 'last')),
  onEvaluation: is.optional(is.callback) as is.Kind<SoupOptions['onEvaluation']>,
  signal: undefined,
} satisfies Settings<SoupOptions>

/** The results of an evaluation by name, as those during training. */
type Values = Readonly<Record<string, number>>

/** A model of a soup, and its source. */
export interface SoupIngredient {
  /** the folder of the run */
  readonly run: string
  /** the checkpoint */
  readonly step: number
  /** which weights of the checkpoint it has */
  readonly weights: CheckpointWeights
  /** SHA-256 of the names, shapes and values of the weights */
  readonly sha256: string
  /** the results of its evaluation */
  readonly values: Values
}

/** The mean of some models. */
export interface Soup {
  /** the folders of the runs */
  readonly runs: readonly string[]
  /** the results of its evaluation */
  readonly values: Values
}

/** The result of `makeSoup`. */
export interface SoupResult {
  /** the value that the greedy soup compares: accuracy, higher is better, if there is one, otherwise the loss, lower is better */
  readonly score: 'accuracy' | 'loss'
  /** number of examples of the data */
  readonly examples: number
  /** the models */
  readonly ingredients: readonly SoupIngredient[]
  /** the mean of all models */
  readonly uniform: Soup
  /** the mean of those that improve the score */
  readonly greedy: Soup
  /** what was written */
  readonly written?: { readonly run: string; readonly soup: 'uniform' | 'greedy' }
}

/**
 * Evaluates runs, the mean of all their weights (uniform soup) and their greedy soup ({@link greedySoup}) on held-out data, by the
 * evaluation during training with the settings of the first run, and writes one of the soups as a run.
 *
 *     const { ingredients, uniform, greedy } = await makeSoup(['runs/a', 'runs/b'], { data: 'validation', out: 'runs/soup' })
 *
 * The run in `out` has the configuration of the best ingredient, one checkpoint of step 0, and soup.json with the ingredients. All
 * models are in memory at the same time, on the current device.
 * @throws SoupError naming what differs, if the runs are not of one family, size, tokenizer or classes, normalisation and origin (the
 *   model that they were finetuned from or, without one, the seed of their initial weights); RunError if a folder is not a run, or
 *   `out` is not empty
 */
export async function makeSoup(runs: readonly string[], options: SoupOptions): Promise<SoupResult> {
  const call = 'makeSoup(runs, options)'
  checkArguments(call, [areRuns], [runs])
  const settled = settle(call, options, soupOptions)
  const { data, out, write, weights, onEvaluation, signal } = settled
  const target = out === undefined ? undefined : new RunFolder(out)
  await target?.checkFree()
  const settings = await Promise.all(runs.map(run => new RunFolder(run).settings()))
  for (const i of runs.keys()) checkFits([runs[0], settings[0]], [runs[i], settings[i]])
  const opened: Run<FamilyName>[] = []
  for (const run of runs) opened.push(await openRun(run, { family: familyNames, weights }))
  const [{ config, ...naming }] = settings as unknown as ({ readonly config: RunConfig } & Naming)[]
  const source = await sourceOf({ ...config, data } as RunConfig)
  const model = unloadedModelOf(config)
  const objective = objectiveOf(model, config, naming)
  model.eval()
  const models = opened.map(each => each.model as Module)
  const evaluate = async (): Promise<Values> => {
    signal?.throwIfAborted()
    return objective.evaluate!(source)
  }
  mix(model, models)
  const uniform = { runs, values: await evaluate() }
  onEvaluation?.(runs, uniform.values)
  const score = 'accuracy' in uniform.values ? 'accuracy' : 'loss'
  const sign = score === 'accuracy' ? 1 : -1
  // first those of each run, then those of the means that the greedy soup tries
  const evaluated: Values[] = []
  const { chosen, score: reached } = await greedySoup<Module>(models, {
    model,
    async score() {
      const values = await evaluate()
      if (evaluated.length < runs.length) onEvaluation?.([runs[evaluated.length]], values)
      evaluated.push(values)
      return sign * values[score]
    },
  })
  const ingredients: SoupIngredient[] = []
  for (const [i, { step, weights, model }] of opened.entries())
    ingredients.push({ run: runs[i], step, weights, sha256: await digest(model), values: evaluated[i] })
  // the last evaluation with the score that was reached is that of the soup
  const values = evaluated.findLast(values => sign * values[score] === reached)!
  const greedy = { runs: chosen.map(i => runs[i]), values }
  if (greedy.runs.length > 1) onEvaluation?.(greedy.runs, greedy.values)
  const result: SoupResult = { score, examples: source.length, ingredients, uniform, greedy }
  if (!target) return result
  if (write === 'uniform') mix(model, models)
  await writeSoup(target, { model, best: opened[chosen[0]], result, data, write })
  return { ...result, written: { run: target.path, soup: write } }
}

const areRuns = new is.Kind<readonly string[]>(
  'a list of folders of runs, at least two',
  x => Array.isArray(x) && x.length > 1 && x.every(run => typeof run === 'string'),
)

/** All examples of the data of a configuration. */
async function sourceOf(config: RunConfig): Promise<ImageTextSource | MultiImageSource> {
  const { train } = await openRunData({ config: { ...config, validation: 0 } as RunConfig })
  return train instanceof ShardStream ? train.all() : train
}

type Settled = { readonly config: RunConfig } & Naming

/** @throws SoupError naming the first difference */
function checkFits([one, first]: readonly [string, Settled], [other, second]: readonly [string, Settled]): void {
  const [a, b] = [first.config, second.config]
  const differs = (what: string, here: unknown, there: unknown) => {
    if (isDeepStrictEqual(here, there)) return
    const shown = [here, there].map(value => JSON.stringify(value) ?? 'missing')
    throw new SoupError(
      shown.some(text => text.length > 80)
        ? `its ${what} is not that of ${one}`
        : `its ${what} is ${shown[1]}, but ${shown[0]} in ${one}`,
      { file: other },
    )
  }
  differs('family', a.family, b.family)
  const fields = (model: object) => new Map(Object.entries(model).filter(([name]) => !isFree(name)))
  const [here, there] = [fields(a.model), fields(b.model)]
  for (const name of new Set([...here.keys(), ...there.keys()]))
    differs(`model.${name}`, here.get(name), there.get(name))
  differs('tokenizer', first.tokenizer?.toJSON(), second.tokenizer?.toJSON())
  differs('list of classes', first.classes, second.classes)
  differs('normalize', a.normalize, b.normalize)
  differs('pixels', a.pixels, b.pixels)
  differs('origin', originOf(a), originOf(b))
}

/** Settings of a model that only its training uses. */
const isFree = (name: string): boolean => name === 'dropout' || name === 'loss'

/** Where the initial weights of a run come from. */
const originOf = ({ from, seed }: RunConfig): string =>
  from === undefined ? `random weights of seed ${seed}` : resolve(from)

async function digest(model: Module): Promise<string> {
  const hash = createHash('sha256')
  for (const [name, tensor] of model.stateDict()) {
    hash.update(`${name} ${tensor.shape}\n`)
    for await (const { buffer, byteOffset, byteLength } of valuesOf(tensor))
      hash.update(new Uint8Array(buffer, byteOffset, byteLength))
  }
  return hash.digest('hex')
}

interface Written {
  /** with the weights of the soup */
  readonly model: Module
  readonly best: Run<FamilyName>
  readonly result: SoupResult
  readonly data: string
  readonly write: 'uniform' | 'greedy'
}

async function writeSoup(folder: RunFolder, { model, best, result, data, write }: Written): Promise<void> {
  const { config: whole, ...naming } = best as unknown as Settled
  const { ema: _, ...config } = whole
  const { batches } = await new RunFolder(best.folder).checkpoint(best.step).readState()
  await folder.create(config as RunConfig, naming)
  const { values: optimizer } = optimizerFor(model, config).stateDict()
  const generator = { seed: config.seed, position: 0 }
  await folder.writeCheckpoint(
    {
      state: { version: 1, step: 0, batches, generator, optimizer },
      model: model.stateDict(),
      optimizer: new Map(),
    },
    1,
  )
  const { ingredients, score, examples } = result
  const { runs, values } = result[write]
  const used = ingredients.map(each => ({ ...each, used: runs.includes(each.run) }))
  const about = { soup: write, data, examples, score, values, ingredients: used }
  await writeAtomically(folder.soupFile, `${JSON.stringify(about, null, 2)}\n`)
  await recordProvenance(folder.provenanceFile, provenance(0, batches.fingerprint))
  const log = await folder.openMetrics()
  await log.add({ kind: 'evaluation', step: 0, seconds: 0, values })
  await log.flush()
  await log.close()
}
