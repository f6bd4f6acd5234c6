// What made a run: the versions, the machine and the data of each time that it was started. Two runs with one configuration
// can differ because of any of these, and a run that is resumed on another machine does not repeat its steps to the bit.

import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { LineFile, readText } from '../io/index.ts'
import { device } from '../tensor/index.ts'

// as far away from src/train as from dist/train
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

/** One start of a run: a line of its file provenance.jsonl. */
export interface Provenance {
  /** the step that it began with: 0 for a new run */
  readonly step: number
  /** ISO 8601, UTC */
  readonly startedAt: string
  /** versions of this package and of Node */
  readonly cocagrad: string
  readonly node: string
  /** operating system, architecture and processor */
  readonly machine: string
  /** name of the device, and what runs on it: instructions, threads, BLAS, adapter */
  readonly device: string
  readonly backend: string
  /** SHA-256 of the names and captions of the examples to learn from */
  readonly data: string
}

/** What makes a run that starts now, on the current device. @param data the fingerprint of the examples to learn from */
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

/** What is compared, in the words of a message. */
const compared = {
  cocagrad: 'cocagrad',
  node: 'Node',
  machine: 'the machine',
  device: 'the device',
  backend: 'what it computes with',
} as const satisfies Partial<Record<keyof Provenance, string>>

/** What differs between two starts of a run, a sentence each; nothing where they agree. */
export function changesBetween(before: Provenance, now: Provenance): string[] {
  const changes = Object.entries(compared).flatMap(([key, what]) => {
    const [was, is] = [before, now].map(start => start[key as keyof typeof compared])
    return was === is ? [] : [`${what} was ${was} and is ${is}`]
  })
  return before.data === now.data ? changes : [...changes, 'the data to learn from has changed']
}

/** The starts of a run, in order. @param file as {@link recordProvenance} writes it */
export async function readProvenance(file: string): Promise<Provenance[]> {
  const lines = (await readText(file)).split('\n')
  // a run that was killed may have left half a line at the end
  return lines.slice(0, -1).map(line => JSON.parse(line) as Provenance)
}

/**
 * Writes a start of a run into a file, a line each.
 * @returns what has changed since the start before it
 */
export async function recordProvenance(path: string, now: Provenance): Promise<string[]> {
  const file = await LineFile.open(path, { begins: '{"step":' })
  try {
    const last = file.lines.at(-1)
    await file.append([JSON.stringify(now)])
    return last === undefined ? [] : changesBetween(JSON.parse(last) as Provenance, now)
  } finally {
    await file.close()
  }
}
