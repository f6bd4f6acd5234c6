// The results of evaluating a run, one JSON object per line in its folder, so that runs can be compared later. A result says what
// it was measured on: two results can only be compared if the fingerprints of their data are equal.

import { z } from 'zod'
import { LineFile, readJsonLines } from '../io/index.ts'
import { RunFolder } from './run-folder.ts'

/** The result of one protocol for one checkpoint of a run, a line of results.jsonl. */
export interface RunResult {
  /** ISO 8601, UTC */
  readonly date: string
  /** step of the checkpoint */
  readonly step: number
  /** the protocol, as `evaluateModel` names it */
  readonly protocol: string
  /** path of the data */
  readonly data: string
  /** the fingerprint of the data: equal for equal examples in equal order */
  readonly fingerprint: string
  /** number of examples that were used */
  readonly examples: number
  /** the options that the values depend on, besides the model and the data */
  readonly options: Readonly<Record<string, unknown>>
  /** what was measured, by the keys of the protocol's measures */
  readonly values: Readonly<Record<string, number>>
}

const text = z.string()
const form = z.looseObject({
  date: text,
  step: z.int().nonnegative(),
  protocol: text,
  data: text,
  fingerprint: text,
  examples: z.int().nonnegative(),
  options: z.record(text, z.unknown()),
  values: z.record(text, z.number().nullable()),
})

const BEGINS = '{"date":'

/**
 * Appends results to the file of a run: whole lines, which a process that is killed does not leave half written.
 * @throws FileError if the folder cannot be written, LockedError while another process writes the file, DataError if the file is
 *   something else; then nothing is written
 */
export async function recordResults(folder: string, results: readonly RunResult[]): Promise<void> {
  const file = await LineFile.open(new RunFolder(folder).resultsFile, { begins: BEGINS })
  try {
    await file.append(
      results.map(({ date, step, protocol, data, fingerprint, examples, options, values }) =>
        JSON.stringify({ date, step, protocol, data, fingerprint, examples, options, values }),
      ),
    )
  } finally {
    await file.close()
  }
}

/**
 * The results of a run, in the order in which they were measured; empty if there are none. An incomplete last line is left out.
 * @throws DataError naming the file, and the line and the field that is wrong
 */
export const readResults = async (folder: string): Promise<RunResult[]> =>
  (await readJsonLines(new RunFolder(folder).resultsFile, form)) as RunResult[]
