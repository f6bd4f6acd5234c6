// Which processes wait for an exchange, and in which: a process that has waited too long asks the others. Those that wait answer, because
// they look for questions while they wait. One that does not answer computes, hangs, is stopped, or cannot be reached.

import type { MpiLibrary, Requests } from './library.ts'

/** What a process sends to another one. */
interface Message {
  readonly from: number
  /** the number of the question of the process that asks */
  readonly question: number
  readonly asks: boolean
  /** the exchange in which the sender waits */
  readonly place: string
}

type Call = (name: 'MPI_Isend' | 'MPI_Iprobe' | 'MPI_Recv', ...values: unknown[]) => void

/** Of messages, which must not be taken for numbers that `send` has sent. */
const TAG = 1
/** The most bytes of a message, and the most characters of a place, which has at most 4 bytes each. */
const [MESSAGE_LENGTH, PLACE_LENGTH] = [1024, 200]

/** The questions of a process, and the answers to them. */
export class RollCall {
  readonly #mpi: MpiLibrary
  readonly #call: Call
  /** of this process */
  readonly rank: number
  /** number of processes */
  readonly size: number
  #question = 0
  readonly #answers = new Map<number, string>()
  /** what MPI may still read; a process that is stopped may never receive it */
  readonly #sent: (readonly [Uint8Array, Requests])[] = []

  /** @param call calls a function of MPI, and throws if it fails */
  constructor(mpi: MpiLibrary, call: Call, { rank, size }: { readonly rank: number; readonly size: number }) {
    this.#mpi = mpi
    this.#call = call
    this.rank = rank
    this.size = size
  }

  /** The places of the processes that have answered, by rank. */
  get answers(): ReadonlyMap<number, string> {
    return this.#answers
  }

  /** The other processes that have not answered. */
  get missing(): readonly number[] {
    const others = Array.from({ length: this.size }, (_, rank) => rank)
    return others.filter(rank => rank !== this.rank && !this.#answers.has(rank))
  }

  /** Asks all other processes. */
  ask(place: string): void {
    this.#question++
    this.#answers.clear()
    for (const rank of this.missing) this.#send(rank, { question: this.#question, asks: true, place })
  }

  /** Takes the messages that have arrived, and answers the questions. Returns the lowest rank that has asked. */
  listen(place: string): number | undefined {
    let lowest: number | undefined
    for (let found = this.#received(); found; found = this.#received()) {
      const { from, question, asks, place: theirs } = found
      if (asks) {
        lowest = Math.min(lowest ?? from, from)
        this.#send(from, { question, asks: false, place })
      }
      if (asks || question === this.#question) this.#answers.set(from, theirs)
    }
    return lowest
  }

  #send(to: number, { place, ...others }: Omit<Message, 'from'>): void {
    const { byte, world, requests } = this.#mpi.constants
    const message: Message = { ...others, from: this.rank, place: place.slice(0, PLACE_LENGTH) }
    const text = new TextEncoder().encode(JSON.stringify(message))
    const request = new requests(1)
    this.#sent.push([text, request])
    this.#call('MPI_Isend', text, text.length, byte, to, TAG, world, request)
  }

  #received(): Message | undefined {
    const { anySource, byte, world, noStatus } = this.#mpi.constants
    const flag = new Int32Array(1)
    this.#call('MPI_Iprobe', anySource, TAG, world, flag, noStatus)
    if (flag[0] === 0) return undefined
    const text = new Uint8Array(MESSAGE_LENGTH)
    this.#call('MPI_Recv', text, text.length, byte, anySource, TAG, world, noStatus)
    return JSON.parse(new TextDecoder().decode(text.subarray(0, text.indexOf(0)))) as Message
  }
}
