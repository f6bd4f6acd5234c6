// The folder of a run. It contains everything about the run: the configuration, the tokenizer, the metrics and the
// checkpoints.
//
//     config.json      tokenizer.json, of a model of texts      classes.json, of a classifier      metrics.jsonl      skipped.jsonl      provenance.jsonl
//     results.jsonl, once the run was evaluated
//     checkpoints/step-000200/{model.safetensors, optimizer.safetensors, state.json}, and average.safetensors with `ema`
//     events.out.tfevents.*, with `tensorboard`
//     soup.json, if the weights are the mean of those of other runs
//     guard/step-000501.safetensors, if the gradient of a step was wrong

import { join } from 'node:path'
import { readTokenizer, type Tokenizer } from '../data/index.ts'
import {
  DataError,
  makeFolder,
  namesIn,
  readJson,
  readText,
  removeFolder,
  removeUnfinished,
  whileLocked,
  writeAtomically,
} from '../io/index.ts'
import { hasClasses, hasTexts } from '../models/config.ts'
import type { ClassFamily, FamilyName, TextFamily } from '../models/index.ts'
import { type Checkpoint, CheckpointFolder } from './checkpoint.ts'
import { stepName } from './checkpoint-state.ts'
import { type RunConfig, readRunConfig } from './config.ts'
import { type MetricsLine, MetricsLog, parseMetrics } from './metrics.ts'
import type { Naming } from './objectives/families.ts'
import { isEventFile } from './tensorboard.ts'

/** A folder that is not a run, or a run with missing parts. */
export class RunError extends DataError {}

const CONFIG = 'config.json'
const TOKENIZER = 'tokenizer.json'
const CLASSES = 'classes.json'
const METRICS = 'metrics.jsonl'
const SKIPPED = 'skipped.jsonl'
const PROVENANCE = 'provenance.jsonl'
const SOUP = 'soup.json'
const RESULTS = 'results.jsonl'
const CHECKPOINTS = 'checkpoints'
const GUARD = 'guard'
const TRAINING = 'training'

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

/** The tokenizer of a run if its family reads texts, and the names of its classes if it predicts classes. */
export type Named<F extends FamilyName> = (F extends ClassFamily ? { readonly classes: readonly string[] } : unknown) &
  (F extends TextFamily ? { readonly tokenizer: Tokenizer } : unknown)

/** The settings that a run was started with: its configuration, and its tokenizer or its classes. */
export type RunSettings<F extends FamilyName = FamilyName> = {
  [K in F]: { readonly config: RunConfig<K> } & Named<K>
}[F]

/** The files of a run. They are read only when a method needs them, and any of them may be missing. */
export class RunFolder {
  /** names of all files and folders that a run may have */
  static readonly parts: readonly string[] = [
    CONFIG,
    TOKENIZER,
    CLASSES,
    METRICS,
    SKIPPED,
    PROVENANCE,
    SOUP,
    RESULTS,
    CHECKPOINTS,
    GUARD,
  ]

  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** Whether a run was started in this folder. */
  async isStarted(): Promise<boolean> {
    return (await namesIn(this.path)).includes(CONFIG)
  }

  /** Whether this is the folder of a run, in any state. */
  async isRun(): Promise<boolean> {
    const names: readonly string[] = await namesIn(this.path).catch(() => [])
    return (
      [CONFIG, CHECKPOINTS].every(name => names.includes(name)) &&
      [TOKENIZER, CLASSES].some(name => names.includes(name))
    )
  }

  /** @throws RunError if the folder is not empty */
  async checkFree(): Promise<void> {
    const names = await namesIn(this.path)
    if (names.includes(CONFIG))
      throw new RunError('already contains a run: resume it, or choose another folder', { file: this.path })
    if (names.length > 0)
      throw new RunError(`is not empty: it contains ${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}`, {
        file: this.path,
      })
  }

  /** @throws RunError if the folder contains anything but a training by `fit` */
  async checkFit(): Promise<void> {
    const names = await namesIn(this.path)
    const kept = [METRICS, CHECKPOINTS, GUARD, `${TRAINING}.lock`]
    if (names.some(name => !kept.includes(name) && !isEventFile(name))) await this.checkFree()
  }

  /**
   * Creates the folder of a new run.
   * @throws RunError if it is not empty
   */
  async create(config: RunConfig, { tokenizer, classes }: Naming): Promise<void> {
    await this.checkFree()
    await makeFolder(this.path, async unfinished => {
      if (tokenizer) await writeAtomically(join(unfinished, TOKENIZER), json(tokenizer))
      if (classes) await writeAtomically(join(unfinished, CLASSES), json(classes))
      await writeAtomically(join(unfinished, CONFIG), json(config))
    })
  }

  /** Trains with a lock: a second process would remove this one's unfinished checkpoints. @throws LockedError */
  whileTraining<T>(train: () => Promise<T>): Promise<T> {
    return whileLocked(join(this.path, TRAINING), train)
  }

  get tokenizerFile(): string {
    return join(this.path, TOKENIZER)
  }

  /**
   * The settings that the run was started with.
   * @throws RunError if the folder is not a run, RunConfigError, TokenizerError or DataError if one of its files is damaged
   */
  async settings(): Promise<RunSettings> {
    const names = await namesIn(this.path)
    if (!names.includes(CONFIG) && (names.includes(CHECKPOINTS) || names.includes(METRICS)))
      throw new RunError(
        `is not a run of cocagrad train: it has no ${CONFIG}. It is a folder of fit, whose model only your program can build. To examine it, call await examine({ objective, batch, optimizer, folder: '${this.path}' }) there, after fit`,
        { file: this.path },
      )
    const demand = (name: string) => {
      if (!names.includes(name)) throw new RunError(`is not a run: it has no ${name}`, { file: this.path })
    }
    demand(CONFIG)
    if (!names.includes(CLASSES)) demand(TOKENIZER)
    const config = await readRunConfig(join(this.path, CONFIG))
    if (hasClasses(config)) demand(CLASSES)
    if (hasTexts(config)) demand(TOKENIZER)
    return {
      config,
      ...(hasClasses(config) && { classes: await this.#classes(config) }),
      ...(hasTexts(config) && { tokenizer: await this.#tokenizer(config) }),
    } as RunSettings
  }

  async #tokenizer({ model }: RunConfig<TextFamily>): Promise<Tokenizer> {
    const tokenizer = await readTokenizer(this.tokenizerFile)
    const { vocabulary } = model.text
    if (tokenizer.vocabularySize !== vocabulary)
      throw new RunError(
        `has ${tokenizer.vocabularySize} ids, but model.text.vocabulary in ${CONFIG} is ${vocabulary}`,
        { file: this.tokenizerFile },
      )
    return tokenizer
  }

  async #classes({ model }: RunConfig<ClassFamily>): Promise<string[]> {
    const file = join(this.path, CLASSES)
    const classes = await readJson(file)
    if (!Array.isArray(classes) || !classes.every(name => typeof name === 'string'))
      throw new DataError('is not a list of names', { file })
    if (classes.length !== model.classes)
      throw new RunError(`has ${classes.length} classes, but model.classes in ${CONFIG} is ${model.classes}`, { file })
    return classes
  }

  /** Replaces the configuration. */
  async writeConfig(config: RunConfig): Promise<void> {
    await writeAtomically(join(this.path, CONFIG), json(config))
  }

  /** The steps with a complete checkpoint, ascending. */
  async steps(): Promise<number[]> {
    const matches = (await namesIn(join(this.path, CHECKPOINTS))).map(name => /^step-(\d{6,})$/.exec(name))
    return matches.flatMap(match => (match ? [Number(match[1])] : [])).sort((a, b) => a - b)
  }

  /** The checkpoint of a step, which need not exist. */
  checkpoint(step: number): CheckpointFolder {
    return new CheckpointFolder(join(this.path, CHECKPOINTS, stepName(step)))
  }

  /** Writes a checkpoint, and then removes all but the last `keepLast`. */
  async writeCheckpoint(checkpoint: Checkpoint, keepLast: number): Promise<CheckpointFolder> {
    const written = this.checkpoint(checkpoint.state.step)
    await written.write(checkpoint)
    for (const step of (await this.steps()).slice(0, -keepLast)) await removeFolder(this.checkpoint(step).path)
    return written
  }

  /** Goes back to a step: removes unfinished and later checkpoints, and later metrics. */
  async goBack(step: number): Promise<void> {
    await removeUnfinished(join(this.path, CHECKPOINTS))
    for (const later of await this.steps()) if (later > step) await removeFolder(this.checkpoint(later).path)
    const lines = await this.#metricsLines()
    const parsed = parseMetrics(lines, this.#metricsFile)
    const kept = lines.filter((_, i) => parsed[i].step <= step)
    await writeAtomically(this.#metricsFile, kept.map(line => `${line}\n`).join(''))
  }

  /**
   * The metrics, in order; empty if training has not begun. An incomplete last line is left out.
   * @throws DataError naming the file and a line that is not JSON
   */
  async metrics(): Promise<MetricsLine[]> {
    return parseMetrics(await this.#metricsLines(), this.#metricsFile)
  }

  /** Opens the metrics to append lines. */
  openMetrics(): Promise<MetricsLog> {
    return MetricsLog.open(this.#metricsFile)
  }

  get #metricsFile(): string {
    return join(this.path, METRICS)
  }

  async #metricsLines(): Promise<string[]> {
    if (!(await namesIn(this.path)).includes(METRICS)) return []
    return (await readText(this.#metricsFile)).split('\n').slice(0, -1)
  }

  /** The file that lists samples that could not be used. */
  get skippedFile(): string {
    return join(this.path, SKIPPED)
  }

  /** The versions, machine and data of each start: see provenance.ts. */
  get provenanceFile(): string {
    return join(this.path, PROVENANCE)
  }

  /** The models that the weights are the mean of: see soup.ts. */
  get soupFile(): string {
    return join(this.path, SOUP)
  }

  /** The results of evaluating the run: see results.ts. */
  get resultsFile(): string {
    return join(this.path, RESULTS)
  }

  /** The file for the batch of a step with a wrong gradient: relative to the run's folder, and as a path. */
  guardFile(step: number): { readonly name: string; readonly path: string } {
    const name = `${GUARD}/${stepName(step)}.safetensors`
    return { name, path: join(this.path, name) }
  }
}
