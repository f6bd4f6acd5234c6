// The mailboxes through which the main thread sends calls to another thread, in shared memory: a few words, each in its
// own cache line, and a queue of numbers. A call is the number of its kernel, the number of arguments, and the
// arguments. If a kernel fails, the queue holds the characters of its message instead.

export const mailbox = {
  /** word that changes when there is work */
  bell: 0,
  /** word that equals the bell when the work is done */
  done: 16,
  /** word that is 1 while the thread must be woken */
  sleeps: 32,
  /** word that is 1 once a kernel has failed */
  failed: 48,
  /** word with the number of numbers in the queue */
  length: 64,
  /** word that assigns the work: the thread that changes it from `open` does it */
  claim: 80,
  open: 0,
  claimed: 1,
  /** byte at which the queue begins */
  queue: 384,
  /** numbers that the queue can hold */
  capacity: 4048,
  bytes: 384 + 8 * 4048,
} as const
