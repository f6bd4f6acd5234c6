// Where the main thread leaves calls for another one, in the shared memory: a few words, each in a cache line of its own,
// and a queue of numbers. A call is the number of its kernel, how many arguments there are, and the arguments. Where a kernel
// fails, the characters of its message stand in the queue instead.

export const mailbox = {
  /** word that changes when there is work */
  bell: 0,
  /** word that is the bell's when the work is done */
  done: 16,
  /** word that is 1 while the thread must be woken */
  sleeps: 32,
  /** word that is 1 once a kernel has failed */
  failed: 48,
  /** word with the number of numbers in the queue */
  length: 64,
  /** word that says who does the work: whoever changes it from `open` */
  claim: 80,
  open: 0,
  claimed: 1,
  /** byte at which the queue begins */
  queue: 384,
  /** numbers that the queue can hold */
  capacity: 4048,
  bytes: 384 + 8 * 4048,
} as const
