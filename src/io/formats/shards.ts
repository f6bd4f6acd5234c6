// Checkpoints in parts, as Hugging Face saves large models: an index (model.safetensors.index.json, pytorch_model.bin.index.json) says
// which file beside it holds each tensor.

import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { DataError, messageOf } from '../errors.ts'
import { readText } from '../files.ts'
import { OBJECT_NAMES, parseJson } from '../json.ts'
import { quoted } from '../plain.ts'
import type { TensorFile } from './tensor-file.ts'

const form = z.looseObject({ weight_map: z.record(z.string(), z.string()) })

/**
 * Opens a checkpoint in parts by its index. All headers are read, and values when they are asked for.
 * @param open opens one part
 * @throws DataError if the index is damaged, names a part that is not a file beside it, or names a tensor that its part does not have
 */
export async function openShards(path: string, open: (part: string) => Promise<TensorFile>): Promise<TensorFile> {
  const partOf = await readIndex(path)
  const parts = new Map<string, TensorFile>()
  for (const name of new Set(partOf.values())) parts.set(name, await open(join(dirname(path), name)))
  for (const [name, part] of parts) {
    const given = new Set(part.names)
    const missing = [...partOf].find(([tensor, where]) => where === name && !given.has(tensor))
    if (missing) throw new DataError(`says that ${name} has ${quoted(missing[0])}, which it does not`, { file: path })
  }
  const find = (name: string): TensorFile => {
    const part = partOf.get(name)
    if (part === undefined) throw new DataError(`has no tensor '${name}'`, { file: path })
    return parts.get(part)!
  }
  return {
    path,
    names: [...partOf.keys()],
    entry: name => find(name).entry(name),
    tensor: async name => find(name).tensor(name),
    pieces: (name, rows) => find(name).pieces(name, rows),
  }
}

/** The part of each tensor. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const text = await readText(path)
  let json: unknown
  try {
    json = parseJson(text, { refused: OBJECT_NAMES })
  } catch (cause) {
    throw new DataError(`is not an index of a checkpoint in parts: ${messageOf(cause)}`, { file: path, cause })
  }
  const found = form.safeParse(json)
  if (!found.success)
    throw new DataError(
      "is JSON, but not an index of a checkpoint in parts: it has no 'weight_map' that names a file for each tensor",
      { file: path },
    )
  const entries = Object.entries(found.data.weight_map)
  for (const [tensor, part] of entries)
    if (part === '' || part === '.' || part === '..' || basename(part) !== part || part.includes('\\'))
      throw new DataError(
        `says that ${quoted(tensor)} is in ${quoted(part)}, which is not the name of a file beside it`,
        {
          file: path,
        },
      )
  return new Map(entries)
}
