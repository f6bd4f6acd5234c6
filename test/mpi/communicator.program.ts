// The functions of a communicator; rank 0 prints what it found as JSON.

import { MpiError, openMpi, RanksDifferError } from '../../src/mpi/index.ts'

const ranks = openMpi()
const { rank, size } = ranks
/** rank 0 sends none, rank 1 one, … */
const own = Float64Array.from({ length: rank }, (_, i) => 10 * rank + i)
const gathered = ranks.allGather(own)
const [floats, doubles] = [Float32Array.of(rank, 0.5), Float64Array.of(1 / 3, rank)]
ranks.allReduceSum(floats)
ranks.allReduceSum(doubles)
const sent = Int32Array.of(rank + 5)
ranks.broadcast(sent, size - 1)
const bytes = ranks.allGather(Uint8Array.of(rank, 255)).values
// more than there is room for at first
const begun = Array.from({ length: 150 }, (_, i) => (i % 2 ? Float64Array.of(rank * i, 1) : Float32Array.of(rank + i)))
for (const [i, values] of begun.entries())
  if (i % 3 === 0) ranks.startBroadcast(values, i % size)
  else ranks.startAllReduceSum(values)
const before = ranks.started
while (!ranks.progress());
const after = ranks.started
ranks.startAllReduceSum(begun[1])
ranks.complete()
const ring = Float32Array.of(rank)
if (rank === 0) ranks.receive(ring, size - 1)
if (rank === size - 1) ranks.send(Float32Array.of(rank, 7).subarray(0, 1), 0)

const thrownBy = (f: () => void) => {
  try {
    f()
  } catch (error) {
    return error
  }
  return undefined
}
const wrong = thrownBy(() => ranks.broadcast(sent, size)) as MpiError
const differs = thrownBy(() => ranks.requireSame('the text', rank === 1 ? 'b' : 'a', 'write one')) as RanksDifferError
const any = [ranks.any(rank === size - 1), ranks.any(false)]
ranks.barrier()
const isSame = openMpi() === ranks
const { library, seconds } = ranks
ranks.finalize()
ranks.finalize()
const late = thrownBy(() => ranks.barrier()) as MpiError

if (rank === 0)
  console.log(
    JSON.stringify({
      gathered: { values: [...gathered.values], counts: gathered.counts },
      sums: [[...floats], [...doubles]],
      sent: [...sent],
      bytes: [...bytes],
      begun: begun.slice(0, 6).map(values => [...values]),
      started: [before, after, ranks.started],
      ring: [...ring],
      wrong: [wrong instanceof MpiError, wrong.functionName, wrong.message],
      differs: [differs instanceof RanksDifferError, differs.message],
      late: late.message,
      any,
      isSame,
      library,
      hasWaited: seconds > 0,
    }),
  )
