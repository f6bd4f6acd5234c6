// The versions, the machine and the data of each start of a run. Two runs with the same configuration can differ because of
// any of these, and a run that is resumed on another machine does not repeat its steps bit for bit.

import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { z } from 'zod'
import { LineFile, parseJsonLine, readJsonLines } from '../io/index.ts'
import { device } from '../tensor/index.ts'
import { RunFolder } from './run-folder.ts'

// the same relative path from src/train and from dist/train
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

/** One start of a run, a line of provenance.jsonl. */
export interface Provenance {
  /** the step that it started from: 0 for a new run */
  readonly step: number
  /** ISO 8601, UTC */
  readonly startedAt: string
  /** versions of this package and of Node */
  readonly cocagrad: string
  /** version of Node */
  readonly node: string
  /** operating system, architecture and processor */
  readonly machine: string
  /** name of the device, and its backend: instructions, threads, BLAS, adapter */
  readonly device: string
  /** what computes on the device */
  readonly backend: string
  /** SHA-256 of the names and captions of the training examples */
  readonly data: string
}

const text = z.string()
const form = z.looseObject({
  step: z.int().nonnegative(),
  startedAt: text,
  cocagrad: text,
  node: text,
  machine: text,
  device: text,
  backend: text,
  data: text,
})

/**
 * The provenance of a run that starts now, on the current device.
 * @param data the fingerprint of the training examples
 */
export function provenance(step: number, data: string): Provenance {
  const processor = cpus()[0]?.model.trim()
  return {
    step,
    startedAt: new Date().toISOString(),
    cocagrad: version,
    node: process.version,
    machine: [process.platform, process.arch, processor].filter(Boolean).join(' '),
    device: device.current,
    backend: device.description,
    data,
  }
}

/** The fields that are compared, with their names in messages. */
const compared = {
  cocagrad: 'cocagrad',
  node: 'Node',
  machine: 'the machine',
  device: 'the device',
  backend: 'the backend',
} as const satisfies Partial<Record<keyof Provenance, string>>

/** The differences between two starts of a run, one sentence each. */
export function changesBetween(before: Provenance, now: Provenance): string[] {
  const changes = Object.entries(compared).flatMap(([key, what]) => {
    const [was, is] = [before, now].map(start => start[key as keyof typeof compared])
    return was === is ? [] : [`${what} was ${was} and is now ${is}`]
  })
  return before.data === now.data ? changes : [...changes, 'the training data has changed']
}

/**
 * Appends a start of a run to a file, as one line.
 * @returns the changes since the previous start
 * @throws DataError naming file and line if the last line is damaged; then nothing is written
 */
export async function recordProvenance(path: string, now: Provenance): Promise<string[]> {
  const file = await LineFile.open(path, { begins: '{"step":' })
  try {
    const before = lastOf(file)
    await file.append([JSON.stringify(now)])
    return before ? changesBetween(before, now) : []
  } finally {
    await file.close()
  }
}

/**
 * Every start of a run, in order; empty if none was recorded. An incomplete last line is left out.
 * @throws DataError naming the file, and the line and the field that is wrong
 */
export const readProvenance = (folder: string): Promise<Provenance[]> =>
  readJsonLines(new RunFolder(folder).provenanceFile, form)

function lastOf({ path, lines }: LineFile): Provenance | undefined {
  const last = lines.at(-1)
  return last === undefined ? undefined : parseJsonLine(last, form, { file: path, line: lines.length })
}
