// Checkpoints as PyTorch writes them (.bin, .pt): a zip archive with a pickle that lists the tensors, and their data as
// other members. The pickle is not trusted: it may name only tensors, parameters and containers.

import { DataError, TorchFileError } from '../errors.ts'
import { type OpenedFile, piecesOf, type ReadRange, withFile } from '../ranges.ts'
import { crc32 } from './crc.ts'
import { Global, PickleError, type PickleHost, Tuple, unpickle } from './pickle.ts'
import {
  decodePiece,
  decodeSafetensor,
  MOST_DIMENSIONS,
  type SafetensorsData,
  type SafetensorsDtype,
  type SafetensorsLayout,
  type SafetensorsTensor,
  safetensorElementBytes,
} from './safetensors.ts'
import { elementsOf, type RowRange } from './tensor-file.ts'
import { checkMember, compareChecksum, readMember, readZip, ZipError, type ZipMember } from './zip.ts'

/** Storage classes and their element types. */
const DTYPES: Readonly<Record<string, SafetensorsDtype>> = {
  'torch.DoubleStorage': 'F64',
  'torch.FloatStorage': 'F32',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
}

/** Largest pickle that is read, in bytes: far more than the description of a checkpoint needs. */
const LARGEST_PICKLE = 100_000_000

/** Maximum size of a tensor that has more elements than its storage. */
const MOST_REPEATED = 2 ** 24

/** Storage of tensors: elements in the member data/<key> of the archive. */
class TorchStorage {
  readonly dtype: SafetensorsDtype
  readonly key: string
  readonly length: number

  constructor(dtype: SafetensorsDtype, key: string, length: number) {
    this.dtype = dtype
    this.key = key
    this.length = length
  }
}

/** A tensor within a storage; positions are in elements. */
class TorchTensor {
  readonly storage: TorchStorage
  readonly offset: number
  readonly shape: readonly number[]
  readonly strides: readonly number[]

  constructor(storage: TorchStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage
    this.offset = offset
    this.shape = shape
    this.strides = strides
  }

  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1)
  }

  /** Elements from the first to the last. */
  get span(): number {
    return this.size === 0 ? 0 : this.shape.reduce((span, extent, axis) => span + (extent - 1) * this.strides[axis], 1)
  }
}

/**
 * Opens a checkpoint: a dictionary of tensors, or one of a training script that contains it under one of the names
 * {@link STATE_NAMES}; of several the first in that list. Tensors are read when they are requested.
 * @throws TorchFileError if the file is damaged, or names or calls anything but tensors, parameters and containers
 */
export async function openTorch(path: string): Promise<TorchFile> {
  return withFile(path, async file => {
    try {
      return await openArchive(path, file)
    } catch (error) {
      if (error instanceof PickleError || error instanceof ZipError)
        throw new TorchFileError(error.message, { file: path, cause: error })
      throw error instanceof DataError && error.file === undefined
        ? new TorchFileError(error.reason, { file: path, cause: error })
        : error
    }
  })
}

async function openArchive(path: string, { read, length, version }: OpenedFile): Promise<TorchFile> {
  const members = await readZip(read, length)
  const pickles = [...members.keys()].filter(name => /(^|\/)data\.pkl$/.test(name))
  if (pickles.length !== 1)
    throw new ZipError(`has ${pickles.length} members data.pkl: it is not a file that torch.save wrote`)
  const root = pickles[0].slice(0, -'data.pkl'.length)
  const bytesOf = async (member: ZipMember) => {
    const size = member.end - member.begin
    if (size > LARGEST_PICKLE) throw new ZipError(`has '${member.name}' of ${size} bytes`)
    return readMember(read, member)
  }
  const order = members.get(`${root}byteorder`)
  if (order && new TextDecoder().decode(await bytesOf(order)) !== 'little')
    throw new ZipError('has its numbers in big-endian order')
  const pickle = await bytesOf(members.get(pickles[0])!)
  const value = unpickle(pickle, host(`${root}data/`, members, pickle.length))
  return new TorchFile(path, version, tensorsIn(value), key => members.get(`${root}data/${key}`)!)
}

/** The functions that a checkpoint's pickle may call, and their results. */
const CALLS: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
  'collections.OrderedDict': orderedDict,
  'torch._utils._rebuild_tensor_v2': rebuild,
  'torch._utils._rebuild_parameter': ([tensor]) => {
    if (!(tensor instanceof TorchTensor)) throw new PickleError('makes a parameter of a value that is not a tensor')
    return tensor
  },
  'torch.Size': ([sizes]) => sizes,
}

/**
 * What training scripts write beside the tensors: numpy's numbers and arrays, arguments, paths, devices and dtypes. Nothing is called; each
 * becomes an empty dictionary, which is no tensor.
 */
const LEFT_OUT = new Set([
  ...['numpy.core', 'numpy._core'].flatMap(module =>
    ['scalar', '_reconstruct'].map(name => `${module}.multiarray.${name}`),
  ),
  ...['numpy.dtype', 'numpy.ndarray', '_codecs.encode', 'argparse.Namespace', 'types.SimpleNamespace'],
  ...['Path', 'PosixPath', 'WindowsPath', 'PurePosixPath', 'PureWindowsPath'].map(name => `pathlib.${name}`),
  ...['device', 'float16', 'bfloat16', 'float32', 'float64', 'int32', 'int64', 'bool'].map(name => `torch.${name}`),
])

/** @param budget most items that all dictionaries made by calls may have together: each item of an honest pickle takes a byte */
function host(folder: string, members: ReadonlyMap<string, ZipMember>, budget: number): PickleHost {
  let made = 0
  return {
    knows: path => Object.hasOwn(CALLS, path) || Object.hasOwn(DTYPES, path) || LEFT_OUT.has(path),
    call({ path }, args) {
      if (LEFT_OUT.has(path)) return new Map()
      if (!Object.hasOwn(CALLS, path)) throw new PickleError(`calls ${path}, which is not a supported function`)
      const [first] = args
      if (Array.isArray(first)) made += first.length
      if (made > budget)
        throw new PickleError(`makes dictionaries of more than ${budget} items together, the bytes of the whole pickle`)
      return CALLS[path](args)
    },
    persistent(id) {
      const [kind, type, key, , length] = id instanceof Tuple ? id.items : []
      if (kind !== 'storage' || !(type instanceof Global) || typeof key !== 'string' || !isSize(length))
        throw new PickleError('refers to an external value that is not a storage')
      if (!Object.hasOwn(DTYPES, type.path))
        throw new PickleError(`has a storage of ${type.path}, which is not a storage class`)
      const dtype = DTYPES[type.path]
      const member = members.get(folder + key)
      if (!member) throw new PickleError(`has no member ${folder}${key} for a storage`)
      const bytes = length * safetensorElementBytes(dtype)
      if (member.end - member.begin !== bytes)
        throw new PickleError(
          `storage ${key} of ${length} ${dtype} takes ${bytes} bytes, but has ${member.end - member.begin}`,
        )
      return new TorchStorage(dtype, key, length)
    },
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** An ordered dictionary of nothing, or of a list of pairs. */
function orderedDict([items = []]: readonly unknown[]): Map<unknown, unknown> {
  if (!Array.isArray(items)) throw new PickleError('makes a dictionary of a value that is not a list')
  return new Map(
    items.map((item: unknown): [unknown, unknown] => {
      const pair = item instanceof Tuple ? item.items : item
      if (!Array.isArray(pair) || pair.length !== 2)
        throw new PickleError('makes a dictionary of values that are not pairs')
      return [pair[0], pair[1]]
    }),
  )
}

/** A tensor by storage, offset, shape and strides; every element must be within the storage. */
function rebuild([storage, offset, shape, strides]: readonly unknown[]): TorchTensor {
  if (!(storage instanceof TorchStorage)) throw new PickleError('makes a tensor of a value that is not a storage')
  const sizes = shape instanceof Tuple ? shape.items : undefined
  const steps = strides instanceof Tuple ? strides.items : undefined
  if (!isSize(offset) || !sizes?.every(isSize) || !steps?.every(isSize) || sizes.length !== steps.length)
    throw new PickleError('makes a tensor of an invalid offset, shape or strides')
  if (sizes.length > MOST_DIMENSIONS)
    throw new PickleError(`makes a tensor of ${sizes.length} dimensions; at most ${MOST_DIMENSIONS} are read`)
  const tensor = new TorchTensor(storage, offset, sizes, steps)
  const end = offset + tensor.span
  if (end > storage.length)
    throw new PickleError(
      `a tensor of [${sizes}] with strides [${steps}] at ${offset} ends at ${end}, but its storage ${storage.key} has ${storage.length} elements`,
    )
  if (tensor.size > Math.max(storage.length, MOST_REPEATED))
    throw new PickleError(`a tensor of [${sizes}] repeats the ${storage.length} elements of storage ${storage.key}`)
  return tensor
}

/**
 * Where training scripts keep the state dict, in the order in which it is looked for: most of them under `state_dict`, DeiT and MAE
 * under `model`, DINO under `teacher`, whose weights are the average of those of `student`.
 */
const STATE_NAMES = [
  ...['state_dict', 'model', 'model_state_dict', 'model_state', 'teacher', 'student', 'module', 'network', 'net'],
  ...['encoder', 'backbone', 'params', 'weights', 'model_ema', 'state_dict_ema', 'ema'],
]

/** The tensors of a state dict, which may be part of a larger checkpoint. */
function tensorsIn(value: unknown): Map<string, TorchTensor> {
  const state = stateIn(value)
  if (!state) throw new PickleError('holds no dictionary of tensors')
  const tensors = new Map<string, TorchTensor>()
  for (const [name, tensor] of state) {
    if (typeof name !== 'string') throw new PickleError('has a tensor whose name is not a text')
    if (!(tensor instanceof TorchTensor)) throw new PickleError(`has '${name}', which is not a tensor`)
    tensors.set(name, tensor)
  }
  return tensors
}

/** A dictionary of tensors, or the one that a training script wrote it into: `model` may hold a `state_dict`. */
function stateIn(value: unknown): ReadonlyMap<unknown, unknown> | undefined {
  let state = value
  for (let depth = 0; depth < 3 && state instanceof Map; depth++) {
    const outer: ReadonlyMap<unknown, unknown> = state
    // what is left out of a pickle is an empty dictionary
    const inner = STATE_NAMES.map(name => outer.get(name)).find(each => each instanceof Map && each.size > 0)
    if (inner === undefined) break
    state = inner
  }
  return state instanceof Map ? state : undefined
}

/** A checkpoint whose pickle has been read and checked. Made by {@link openTorch}. */
export class TorchFile {
  readonly path: string
  readonly #version: string
  readonly #tensors: ReadonlyMap<string, TorchTensor>
  readonly #memberOf: (key: string) => ZipMember
  /** names of the members whose bytes were compared with their checksum */
  readonly #checked = new Set<string>()

  constructor(
    path: string,
    version: string,
    tensors: ReadonlyMap<string, TorchTensor>,
    memberOf: (key: string) => ZipMember,
  ) {
    this.path = path
    this.#version = version
    this.#tensors = tensors
    this.#memberOf = memberOf
  }

  get names(): string[] {
    return [...this.#tensors.keys()]
  }

  entry(name: string): SafetensorsLayout {
    const { storage, shape } = this.#find(name)
    return { dtype: storage.dtype, shape }
  }

  /** @throws TorchFileError if there is no such tensor, the file has changed, or its bytes are not those of its checksum */
  async tensor(name: string): Promise<SafetensorsTensor> {
    const { storage, offset, shape, strides, span } = this.#find(name)
    const { dtype } = storage
    const width = safetensorElementBytes(dtype)
    const member = this.#memberOf(storage.key)
    const bytes = await withFile(this.path, async ({ read, version }) => {
      if (version !== this.#version)
        throw new TorchFileError('the file has changed since it was opened', { file: this.path })
      return this.#checkedRange(read, member, offset * width, span * width)
    })
    const isContiguous = isRowMajor(this.#find(name))
    return decodeSafetensor({ dtype, shape }, isContiguous ? bytes : gather(bytes, width, shape, strides))
  }

  /** A tensor, or some of its rows, in pieces; each is valid until the next is asked for. @throws as {@link tensor} */
  *pieces(name: string, rows?: RowRange): Generator<SafetensorsData> {
    const tensor = this.#find(name)
    const { storage, offset, shape, strides, span } = tensor
    const { dtype, key } = storage
    const width = safetensorElementBytes(dtype)
    const part = elementsOf(name, shape, rows)
    if (isRowMajor(tensor)) {
      const [first, last] = [offset + part.begin, offset + part.end].map(place => place * width)
      for (const bytes of this.#checkedPieces(this.#memberOf(key), first, last)) yield decodePiece(dtype, bytes)
      return
    }
    const whole = new Uint8Array(span * width)
    let filled = 0
    for (const bytes of this.#checkedPieces(this.#memberOf(key), offset * width, offset * width + whole.length)) {
      whole.set(bytes, filled)
      filled += bytes.length
    }
    const bytes = gather(whole, width, shape, strides)
    yield decodePiece(dtype, bytes.slice(part.begin * width, part.end * width))
  }

  /** As {@link #checkedRange}, in pieces: after the last one the checksum has been compared. */
  *#checkedPieces(member: ZipMember, begin: number, end: number): Generator<Uint8Array<ArrayBuffer>> {
    const { name } = member
    const isWhole = begin === 0 && end === member.end - member.begin
    const isNew = !this.#checked.has(name) && member.crc !== 0
    const read = (from: number, to: number) =>
      piecesOf(this.path, this.#version, member.begin + from, member.begin + to)
    let crc = 0
    if (isNew && !isWhole) {
      for (const bytes of read(0, member.end - member.begin)) crc = crc32(bytes, crc)
      this.#compare(member, crc)
    }
    for (const bytes of read(begin, end)) {
      if (isNew && isWhole) crc = crc32(bytes, crc)
      yield bytes
    }
    if (isNew && isWhole) this.#compare(member, crc)
    this.#checked.add(name)
  }

  #compare(member: ZipMember, crc: number): void {
    try {
      compareChecksum(member, crc)
    } catch (error) {
      throw new TorchFileError((error as ZipError).message, { file: this.path, cause: error })
    }
  }

  /** Some bytes of a member, whose checksum is compared when it is first read. */
  async #checkedRange(read: ReadRange, member: ZipMember, offset: number, length: number): Promise<Uint8Array> {
    const isWhole = offset === 0 && length === member.end - member.begin
    const isNew = !this.#checked.has(member.name)
    try {
      if (isNew && !isWhole) await checkMember(read, member)
      const bytes = isNew && isWhole ? await readMember(read, member) : await read(member.begin + offset, length)
      this.#checked.add(member.name)
      return bytes
    } catch (error) {
      if (!(error instanceof ZipError)) throw error
      throw new TorchFileError(error.message, { file: this.path, cause: error })
    }
  }

  #find(name: string): TorchTensor {
    const tensor = this.#tensors.get(name)
    if (!tensor) throw new TorchFileError(`has no tensor '${name}'`, { file: this.path })
    return tensor
  }
}

const isRowMajor = ({ size, span, shape, strides }: TorchTensor): boolean =>
  size === span && rowMajor(shape).every((step, axis) => shape[axis] < 2 || step === strides[axis])

const rowMajor = (shape: readonly number[]): number[] =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1))

/** The elements of a strided tensor one after the other. */
function gather(
  bytes: Uint8Array,
  width: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array<ArrayBuffer> {
  const size = shape.reduce((a, b) => a * b, 1)
  const result = new Uint8Array(size * width)
  const index = shape.map(() => 0)
  for (let i = 0, from = 0; i < size; i++) {
    for (let b = 0; b < width; b++) result[i * width + b] = bytes[from * width + b]
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]
      if (++index[axis] < shape[axis]) break
      from -= shape[axis] * strides[axis]
      index[axis] = 0
    }
  }
  return result
}
