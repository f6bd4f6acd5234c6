// An interpreter of pickles. A pickle is a program that may call any function of Python. This interpreter calls
// nothing: it makes numbers, texts and containers, and passes any other name or call in the program to the caller,
// which decides whether it is allowed. Opcodes: Lib/pickletools.py of CPython, protocols 2 to 5.

/** A program that is truncated, is not valid, or uses more than containers. */
export class PickleError extends Error {
  override readonly name = 'PickleError'
}

/** A Python tuple; Python lists are plain arrays. */
export class Tuple {
  readonly items: readonly unknown[]

  constructor(items: readonly unknown[]) {
    this.items = items
  }
}

/** A name in a Python module that the host allows. */
export class Global {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }
}

/** What a program may use beyond containers. `call` and `persistent` throw PickleError for anything they do not support. */
export interface PickleHost {
  /** whether a program may use a name of a Python module */
  knows(path: string): boolean
  /** the value of a call */
  call(what: Global, args: readonly unknown[]): unknown
  /** a value that is stored outside of the program */
  persistent(id: unknown): unknown
}

const MARK = Symbol('mark')

/** The instructions that are used for containers and tensors. */
const OP = {
  PROTO: 0x80,
  FRAME: 0x95,
  MARK: 0x28,
  POP: 0x30,
  POP_MARK: 0x31,
  DUP: 0x32,
  NONE: 0x4e,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  LONG1: 0x8a,
  LONG4: 0x8b,
  BINFLOAT: 0x47,
  SHORT_BINUNICODE: 0x8c,
  BINUNICODE: 0x58,
  BINUNICODE8: 0x8d,
  SHORT_BINBYTES: 0x43,
  BINBYTES: 0x42,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  APPENDS: 0x65,
  LIST: 0x6c,
  EMPTY_DICT: 0x7d,
  DICT: 0x64,
  SETITEM: 0x73,
  SETITEMS: 0x75,
  EMPTY_SET: 0x8f,
  ADDITEMS: 0x90,
  FROZENSET: 0x91,
  EMPTY_TUPLE: 0x29,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  TUPLE: 0x74,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  MEMOIZE: 0x94,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  GLOBAL: 0x63,
  STACK_GLOBAL: 0x93,
  BINPERSID: 0x51,
  REDUCE: 0x52,
  NEWOBJ: 0x81,
  BUILD: 0x62,
  STOP: 0x2e,
} as const

/** Longest integer in bytes: more than any number in a checkpoint needs. */
const LONGEST_INTEGER = 16

/**
 * The value that a pickle describes. Dictionaries are Maps; integers are numbers if these are exact, otherwise bigints.
 * @throws PickleError for anything but a complete program over containers and values that the host allows
 */
export function unpickle(bytes: Uint8Array, host: PickleHost): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stack: unknown[] = []
  const memo = new Map<number, unknown>()
  let position = 0

  /** The start of the next n bytes; moves the position behind them. */
  const skip = (n: number): number => {
    if (n > bytes.length - position) throw new PickleError(`ends within the instruction at byte ${position}`)
    position += n
    return position - n
  }
  const pop = (): unknown => {
    if (stack.length === 0 || stack.at(-1) === MARK)
      throw new PickleError(`takes a value from an empty stack, at byte ${position}`)
    return stack.pop()
  }
  const top = (): unknown => {
    const value = pop()
    stack.push(value)
    return value
  }
  const sinceMark = (): unknown[] => {
    const mark = stack.lastIndexOf(MARK)
    if (mark < 0) throw new PickleError(`goes back to a missing mark, at byte ${position}`)
    const items = stack.splice(mark)
    return items.slice(1)
  }
  const isExact = (length: bigint): number => {
    if (length > BigInt(bytes.length)) throw new PickleError(`claims ${length} bytes, but has ${bytes.length}`)
    return Number(length)
  }
  const text = (length: number): string => {
    const start = skip(length)
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(start, start + length))
    } catch {
      throw new PickleError(`has a text at byte ${start} that is not UTF-8`)
    }
  }
  const line = (): string => {
    const end = bytes.indexOf(10, position)
    if (end < 0) throw new PickleError(`ends within the name at byte ${position}`)
    const found = text(end - position)
    skip(1)
    return found
  }
  const raw = (length: number): Uint8Array => {
    const start = skip(length)
    return bytes.slice(start, start + length)
  }
  const integer = (length: number): number | bigint => {
    if (length > LONGEST_INTEGER) throw new PickleError(`has an integer of ${length} bytes`)
    const start = skip(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[start + i])
    const signed = BigInt.asIntN(8 * length, value)
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed
  }
  const recall = (key: number): unknown => {
    if (!memo.has(key)) throw new PickleError(`recalls value ${key}, which it never stored`)
    return memo.get(key)
  }
  const put = (target: unknown, pairs: readonly unknown[]): void => {
    if (!(target instanceof Map)) throw new PickleError('sets an item of a value that is not a dictionary')
    if (pairs.length % 2 !== 0) throw new PickleError('sets an item without a value')
    for (let i = 0; i < pairs.length; i += 2) target.set(pairs[i], pairs[i + 1])
  }
  const append = (target: unknown, items: readonly unknown[]): void => {
    if (!Array.isArray(target)) throw new PickleError('appends to a value that is not a list')
    for (const item of items) target.push(item)
  }
  const tuple = (n: number): Tuple => new Tuple(Array.from({ length: n }, pop).reverse())
  const named = (path: string): Global => {
    if (!host.knows(path))
      throw new PickleError(`names ${path}: only tensors and plain containers are read, and nothing is executed`)
    return new Global(path)
  }
  const call = (what: unknown, args: unknown): unknown => {
    if (!(what instanceof Global)) throw new PickleError('calls a value that is not a function')
    if (!(args instanceof Tuple)) throw new PickleError(`calls ${what.path} without a tuple of arguments`)
    return host.call(what, args.items)
  }
  /** Sets the state of an object: only attributes of a dictionary, which are ignored. */
  const build = (): void => {
    pop()
    const target = top()
    if (!(target instanceof Map)) throw new PickleError('sets the state of a value that is not a dictionary')
  }

  const instructions: Readonly<Record<number, () => void>> = {
    [OP.PROTO]: () => {
      const protocol = bytes[skip(1)]
      if (protocol < 2 || protocol > 5) throw new PickleError(`has protocol ${protocol}; only 2 to 5 are read`)
    },
    [OP.FRAME]: () => skip(8),
    [OP.MARK]: () => stack.push(MARK),
    [OP.POP]: () => pop(),
    [OP.POP_MARK]: () => sinceMark(),
    [OP.DUP]: () => stack.push(top()),
    [OP.NONE]: () => stack.push(null),
    [OP.NEWTRUE]: () => stack.push(true),
    [OP.NEWFALSE]: () => stack.push(false),
    [OP.BININT]: () => stack.push(view.getInt32(skip(4), true)),
    [OP.BININT1]: () => stack.push(bytes[skip(1)]),
    [OP.BININT2]: () => stack.push(view.getUint16(skip(2), true)),
    [OP.LONG1]: () => stack.push(integer(bytes[skip(1)])),
    [OP.LONG4]: () => stack.push(integer(view.getUint32(skip(4), true))),
    [OP.BINFLOAT]: () => stack.push(view.getFloat64(skip(8), false)),
    [OP.SHORT_BINUNICODE]: () => stack.push(text(bytes[skip(1)])),
    [OP.BINUNICODE]: () => stack.push(text(view.getUint32(skip(4), true))),
    [OP.BINUNICODE8]: () => stack.push(text(isExact(view.getBigUint64(skip(8), true)))),
    [OP.SHORT_BINBYTES]: () => stack.push(raw(bytes[skip(1)])),
    [OP.BINBYTES]: () => stack.push(raw(view.getUint32(skip(4), true))),
    [OP.EMPTY_LIST]: () => stack.push([]),
    [OP.APPEND]: () => {
      const item = pop()
      append(top(), [item])
    },
    [OP.APPENDS]: () => {
      const items = sinceMark()
      append(top(), items)
    },
    [OP.LIST]: () => stack.push(sinceMark()),
    [OP.EMPTY_DICT]: () => stack.push(new Map()),
    [OP.DICT]: () => {
      const pairs = sinceMark()
      const made = new Map()
      put(made, pairs)
      stack.push(made)
    },
    [OP.SETITEM]: () => {
      const value = pop()
      const key = pop()
      put(top(), [key, value])
    },
    [OP.SETITEMS]: () => {
      const pairs = sinceMark()
      put(top(), pairs)
    },
    [OP.EMPTY_SET]: () => stack.push(new Set()),
    [OP.ADDITEMS]: () => {
      const items = sinceMark()
      const target = top()
      if (!(target instanceof Set)) throw new PickleError('adds to a value that is not a set')
      for (const item of items) target.add(item)
    },
    [OP.FROZENSET]: () => stack.push(new Set(sinceMark())),
    [OP.EMPTY_TUPLE]: () => stack.push(tuple(0)),
    [OP.TUPLE1]: () => stack.push(tuple(1)),
    [OP.TUPLE2]: () => stack.push(tuple(2)),
    [OP.TUPLE3]: () => stack.push(tuple(3)),
    [OP.TUPLE]: () => stack.push(new Tuple(sinceMark())),
    [OP.BINPUT]: () => memo.set(bytes[skip(1)], top()),
    [OP.LONG_BINPUT]: () => memo.set(view.getUint32(skip(4), true), top()),
    [OP.MEMOIZE]: () => memo.set(memo.size, top()),
    [OP.BINGET]: () => stack.push(recall(bytes[skip(1)])),
    [OP.LONG_BINGET]: () => stack.push(recall(view.getUint32(skip(4), true))),
    [OP.GLOBAL]: () => stack.push(named(`${line()}.${line()}`)),
    [OP.STACK_GLOBAL]: () => {
      const [name, module] = [pop(), pop()]
      if (typeof name !== 'string' || typeof module !== 'string')
        throw new PickleError('names a global by a value that is not a text')
      stack.push(named(`${module}.${name}`))
    },
    [OP.BINPERSID]: () => stack.push(host.persistent(pop())),
    [OP.REDUCE]: () => {
      const args = pop()
      stack.push(call(pop(), args))
    },
    [OP.NEWOBJ]: () => {
      const args = pop()
      stack.push(call(pop(), args))
    },
    [OP.BUILD]: build,
  }

  for (;;) {
    const at = position
    const code = bytes[skip(1)]
    if (code === OP.STOP) break
    const instruction = Object.hasOwn(instructions, code) ? instructions[code] : undefined
    if (!instruction) throw new PickleError(`has an unsupported instruction 0x${code.toString(16)} at byte ${at}`)
    instruction()
  }
  return pop()
}
