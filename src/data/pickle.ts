// Pickle is a small machine whose programs may call anything that Python has. This one runs the program and calls nothing:
// numbers, texts and containers are made as they come, and whatever else a program names or calls is handed to the
// caller, who knows what it may be. Opcodes: Lib/pickletools.py of CPython, protocols 2 to 5.

/** A program that is cut short, does what no pickler does, or asks for more than containers. */
export class PickleError extends Error {
  override readonly name = 'PickleError'
}

/** A Python tuple; lists are arrays of their own. */
export class Tuple {
  readonly items: readonly unknown[]

  constructor(items: readonly unknown[]) {
    this.items = items
  }
}

/** Something of a Python module, by its name; nobody has looked at what it is. */
export class Global {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }
}

/** What a program may ask for beyond containers. Each throws PickleError for what it does not know. */
export interface PickleHost {
  /** the value of a call */
  call(what: Global, args: readonly unknown[]): unknown
  /** what lies outside of the program */
  persistent(id: unknown): unknown
}

const MARK = Symbol('mark')

/** Longest integer, in bytes: more than any number in a checkpoint takes. */
const LONGEST_INTEGER = 16

/**
 * The value that a pickle describes. Dictionaries are Maps; integers are numbers where those hold them, else bigints.
 * @throws PickleError for anything that is not a whole program over containers and what the host knows
 */
export function unpickle(bytes: Uint8Array, host: PickleHost): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stack: unknown[] = []
  const memo = new Map<number, unknown>()
  let position = 0

  /** Where the next n bytes begin; the position is behind them then. */
  const skip = (n: number): number => {
    if (n > bytes.length - position) throw new PickleError(`ends within the instruction at byte ${position}`)
    position += n
    return position - n
  }
  const pop = (): unknown => {
    if (stack.length === 0 || stack.at(-1) === MARK)
      throw new PickleError(`takes what is not there, at byte ${position}`)
    return stack.pop()
  }
  const top = (): unknown => {
    const value = pop()
    stack.push(value)
    return value
  }
  const sinceMark = (): unknown[] => {
    const mark = stack.lastIndexOf(MARK)
    if (mark < 0) throw new PickleError(`goes back to a mark that is not there, at byte ${position}`)
    const items = stack.splice(mark)
    return items.slice(1)
  }
  const isExact = (length: bigint): number => {
    if (length > BigInt(bytes.length)) throw new PickleError(`claims ${length} bytes of the ${bytes.length} there are`)
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
    if (!memo.has(key)) throw new PickleError(`recalls number ${key}, which it never kept`)
    return memo.get(key)
  }
  const put = (target: unknown, pairs: readonly unknown[]): void => {
    if (!(target instanceof Map)) throw new PickleError('sets an item of what is no dictionary')
    if (pairs.length % 2 !== 0) throw new PickleError('sets an item without a value')
    for (let i = 0; i < pairs.length; i += 2) target.set(pairs[i], pairs[i + 1])
  }
  const append = (target: unknown, items: readonly unknown[]): void => {
    if (!Array.isArray(target)) throw new PickleError('appends to what is no list')
    for (const item of items) target.push(item)
  }
  const tuple = (n: number): Tuple => new Tuple(Array.from({ length: n }, pop).reverse())
  const call = (what: unknown, args: unknown): unknown => {
    if (!(what instanceof Global)) throw new PickleError('calls what is no function')
    if (!(args instanceof Tuple)) throw new PickleError(`calls ${what.path} without a tuple of arguments`)
    return host.call(what, args.items)
  }
  /** What a program does to an object after it was made: only the attributes of a dictionary, which nobody needs. */
  const build = (): void => {
    pop()
    const target = top()
    if (!(target instanceof Map)) throw new PickleError('sets the state of what is no dictionary')
  }

  const instructions: Readonly<Record<number, () => void>> = {
    128: () => {
      const protocol = bytes[skip(1)]
      if (protocol < 2 || protocol > 5) throw new PickleError(`is of protocol ${protocol}; 2 to 5 are read`)
    }, // PROTO
    149: () => skip(8), // FRAME
    40: () => stack.push(MARK), // (
    48: () => pop(), // 0 POP
    49: () => sinceMark(), // 1 POP_MARK
    50: () => stack.push(top()), // 2 DUP
    78: () => stack.push(null), // N
    136: () => stack.push(true), // NEWTRUE
    137: () => stack.push(false), // NEWFALSE
    74: () => stack.push(view.getInt32(skip(4), true)), // J BININT
    75: () => stack.push(bytes[skip(1)]), // K BININT1
    77: () => stack.push(view.getUint16(skip(2), true)), // M BININT2
    138: () => stack.push(integer(bytes[skip(1)])), // LONG1
    139: () => stack.push(integer(view.getUint32(skip(4), true))), // LONG4
    71: () => stack.push(view.getFloat64(skip(8), false)), // G BINFLOAT
    140: () => stack.push(text(bytes[skip(1)])), // SHORT_BINUNICODE
    88: () => stack.push(text(view.getUint32(skip(4), true))), // X BINUNICODE
    141: () => stack.push(text(isExact(view.getBigUint64(skip(8), true)))), // BINUNICODE8
    67: () => stack.push(raw(bytes[skip(1)])), // C SHORT_BINBYTES
    66: () => stack.push(raw(view.getUint32(skip(4), true))), // B BINBYTES
    93: () => stack.push([]), // ] EMPTY_LIST
    97: () => {
      const item = pop()
      append(top(), [item])
    }, // a APPEND
    101: () => {
      const items = sinceMark()
      append(top(), items)
    }, // e APPENDS
    108: () => stack.push(sinceMark()), // l LIST
    125: () => stack.push(new Map()), // } EMPTY_DICT
    100: () => {
      const pairs = sinceMark()
      const made = new Map()
      put(made, pairs)
      stack.push(made)
    }, // d DICT
    115: () => {
      const value = pop()
      const key = pop()
      put(top(), [key, value])
    }, // s SETITEM
    117: () => {
      const pairs = sinceMark()
      put(top(), pairs)
    }, // u SETITEMS
    143: () => stack.push(new Set()), // EMPTY_SET
    144: () => {
      const items = sinceMark()
      const target = top()
      if (!(target instanceof Set)) throw new PickleError('adds to what is no set')
      for (const item of items) target.add(item)
    }, // ADDITEMS
    145: () => stack.push(new Set(sinceMark())), // FROZENSET
    41: () => stack.push(tuple(0)), // ) EMPTY_TUPLE
    133: () => stack.push(tuple(1)), // TUPLE1
    134: () => stack.push(tuple(2)), // TUPLE2
    135: () => stack.push(tuple(3)), // TUPLE3
    116: () => stack.push(new Tuple(sinceMark())), // t TUPLE
    113: () => memo.set(bytes[skip(1)], top()), // q BINPUT
    114: () => memo.set(view.getUint32(skip(4), true), top()), // r LONG_BINPUT
    148: () => memo.set(memo.size, top()), // MEMOIZE
    104: () => stack.push(recall(bytes[skip(1)])), // h BINGET
    106: () => stack.push(recall(view.getUint32(skip(4), true))), // j LONG_BINGET
    99: () => stack.push(new Global(`${line()}.${line()}`)), // c GLOBAL
    147: () => {
      const [name, module] = [pop(), pop()]
      if (typeof name !== 'string' || typeof module !== 'string') throw new PickleError('names a global by no text')
      stack.push(new Global(`${module}.${name}`))
    }, // STACK_GLOBAL
    81: () => stack.push(host.persistent(pop())), // Q BINPERSID
    82: () => {
      const args = pop()
      stack.push(call(pop(), args))
    }, // R REDUCE
    129: () => {
      const args = pop()
      stack.push(call(pop(), args))
    }, // NEWOBJ
    98: build, // b BUILD
  }

  for (;;) {
    const at = position
    const code = bytes[skip(1)]
    // . STOP
    if (code === 0x2e) break
    const instruction = Object.hasOwn(instructions, code) ? instructions[code] : undefined
    if (!instruction)
      throw new PickleError(`has an instruction 0x${code.toString(16)} at byte ${at} that no checkpoint needs`)
    instruction()
  }
  return pop()
}
