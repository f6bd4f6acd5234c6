// Sockets of ZeroMQ over TCP, as much as a client of a Jupyter kernel needs: DEALER and SUB by ZMTP 3.0 without security
// (https://rfc.zeromq.org/spec/23). The package zeromq would be a native dependency for two sockets.

import { connect, type Socket } from 'node:net'

const [MORE, LONG, COMMAND] = [1, 2, 4]

const greeting = Buffer.alloc(64)
greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0])
greeting.write('NULL', 12)

function frame(flags: number, body: Uint8Array): Buffer {
  if (body.length < 256) return Buffer.concat([Uint8Array.of(flags, body.length), body])
  const head = Buffer.alloc(9)
  head[0] = flags | LONG
  head.writeBigUInt64BE(BigInt(body.length), 1)
  return Buffer.concat([head, body])
}

function ready(type: string): Buffer {
  const name = 'Socket-Type'
  const length = Buffer.alloc(4)
  length.writeUInt32BE(type.length)
  const text = (value: string) => Buffer.from(String.fromCharCode(value.length) + value, 'latin1')
  return frame(COMMAND, Buffer.concat([text('READY'), text(name), length, Buffer.from(type)]))
}

/** A connected socket; it sends and receives messages of several parts. */
export class ZeroSocket {
  readonly #socket: Socket
  readonly #received: (message: readonly Buffer[]) => void
  #pending = Buffer.alloc(0)
  #parts: Buffer[] = []
  #isGreeted = false
  #ready = () => {}

  private constructor(socket: Socket, received: (message: readonly Buffer[]) => void) {
    this.#socket = socket
    this.#received = received
    socket.on('data', data => this.#take(data))
  }

  /** @param received called with each message */
  static async open(
    type: 'DEALER' | 'SUB',
    port: number,
    received: (message: readonly Buffer[]) => void,
  ): Promise<ZeroSocket> {
    const socket = connect(port, '127.0.0.1')
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    const made = new ZeroSocket(socket, received)
    const isReady = new Promise<void>(resolve => {
      made.#ready = resolve
    })
    socket.write(Buffer.concat([greeting, ready(type)]))
    await isReady
    // all topics
    if (type === 'SUB') made.send([Uint8Array.of(1)])
    return made
  }

  send(parts: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(parts.map((part, i) => frame(i < parts.length - 1 ? MORE : 0, part))))
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(data: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, data])
    if (!this.#isGreeted) {
      if (this.#pending.length < greeting.length) return
      this.#pending = this.#pending.subarray(greeting.length)
      this.#isGreeted = true
    }
    for (;;) {
      const pending = this.#pending
      if (pending.length < 2) return
      const isLong = (pending[0] & LONG) !== 0
      if (isLong && pending.length < 9) return
      const start = isLong ? 9 : 2
      const end = start + (isLong ? Number(pending.readBigUInt64BE(1)) : pending[1])
      if (pending.length < end) return
      this.#pending = pending.subarray(end)
      if (pending[0] & COMMAND) this.#ready()
      else {
        this.#parts.push(pending.subarray(start, end))
        if (pending[0] & MORE) continue
        const message = this.#parts
        this.#parts = []
        this.#received(message)
      }
    }
  }
}
