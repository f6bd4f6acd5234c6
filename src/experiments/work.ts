// The work of an experiment: its parts in order, each computed once and recorded, and the runs that they train.

import { join } from 'node:path'
import type { FamilyName } from '../models/index.ts'
import { makeSoup, openRun, type Run, type RunConfig, RunFolder, resumeTraining, train } from '../train/index.ts'
import { Ledger } from './ledger.ts'

/** What an experiment reports while it runs. */
export interface ExperimentHooks {
  /** ends the experiment after the current step or batch; the signal's reason is thrown */
  readonly signal?: AbortSignal
  /** called before each part that is not finished yet */
  readonly onPart?: (part: { readonly part: string; readonly done: number; readonly total: number }) => void
  /** called within a part */
  readonly onProgress?: (done: number, total: number) => void
}

export class ExperimentWork {
  readonly folder: string
  readonly hooks: ExperimentHooks
  readonly #ledger: Ledger
  #total = 0
  #done = 0

  private constructor(folder: string, ledger: Ledger, hooks: ExperimentHooks) {
    this.folder = folder
    this.#ledger = ledger
    this.hooks = hooks
  }

  /** @throws ExperimentError if the folder has the parts of an experiment with other settings */
  static async open(folder: string, settings: object, hooks: ExperimentHooks): Promise<ExperimentWork> {
    return new ExperimentWork(folder, await Ledger.open(folder, settings), hooks)
  }

  /** Adds to the number of parts of the experiment. */
  expect(parts: number): void {
    this.#total += parts
  }

  /** The values of a part: recorded ones, or those that `compute` returns. */
  async part(
    name: string,
    compute: () => Promise<Readonly<Record<string, number>>>,
  ): Promise<Readonly<Record<string, number>>> {
    const known = this.#ledger.get(name)
    this.#done++
    if (known) return known.values
    this.hooks.signal?.throwIfAborted()
    this.hooks.onPart?.({ part: name, done: this.#done, total: this.#total })
    const began = performance.now()
    const values = await compute()
    await this.#ledger.add({ part: name, seconds: (performance.now() - began) / 1000, values })
    return values
  }

  /** Trains a run to its end, or continues one that was stopped. */
  async train(name: string, config: RunConfig): Promise<string> {
    const { signal, onProgress } = this.hooks
    const folder = join(this.folder, 'runs', name)
    let steps = config.steps ?? 0
    const hooks = {
      signal,
      onStart: (start: { readonly steps: number }) => {
        steps = start.steps
      },
      onStep: ({ step }: { readonly step: number }) => onProgress?.(step, steps),
    }
    const isStarted = await new RunFolder(folder).isStarted()
    const { finished } = await (isStarted ? resumeTraining(folder, hooks) : train(folder, config, hooks))
    if (!finished) throw signal?.reason
    return folder
  }

  /** Writes a run with the mean of the weights of some runs. */
  async soup(
    name: string,
    runs: readonly string[],
    {
      data,
      write,
      signal,
    }: { readonly data: string; readonly write: 'uniform' | 'greedy'; readonly signal?: AbortSignal },
  ): Promise<void> {
    const out = join(this.folder, 'runs', name)
    if (await new RunFolder(out).isStarted()) return
    const folders = runs.map(run => join(this.folder, 'runs', run))
    await makeSoup(folders, { data, out, write, signal })
  }

  /** A trained run. */
  run(name: string, family: FamilyName): Promise<Run<FamilyName>> {
    return openRun(join(this.folder, 'runs', name), { family })
  }

  /** Seconds that the finished parts took. */
  get seconds(): number {
    return this.#ledger.seconds
  }

  close(): Promise<void> {
    return this.#ledger.close()
  }
}
