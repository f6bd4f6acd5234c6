// What processes exchange, and how errors of MPI appear.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { answerOf, mpich, openMpi, runRanks } from './ranks.ts'

const programs = 'communicator.program.ts'
const implementations = {
  'Open MPI': { mpi: openMpi, wrongRoot: /MPI_ERR_ROOT/, file: 'libmpi.so.40' },
  MPICH: { mpi: mpich, wrongRoot: /Invalid root/, file: 'libmpich.so.12' },
} as const

for (const [title, { mpi, wrongRoot }] of Object.entries(implementations))
  describe(`a communicator of ${title}`, { skip: mpi.skip }, () => {
    it('gathers, sums and broadcasts numbers of every type, and names the function that fails', async () => {
      const found = answerOf<Record<string, unknown>>(await runRanks(3, programs, [], {}, mpi))
      const { wrong, library, ...others } = found
      assert.deepEqual(others, {
        gathered: { values: [10, 20, 21], counts: [0, 1, 2] },
        sums: [
          [3, 1.5],
          [1, 3],
        ],
        sent: [7],
        bytes: [0, 255, 1, 255, 2, 255],
        // broadcasts of rank 0 are its own numbers; the second was summed twice
        begun: [[0], [9, 9], [9], [0, 1], [15], [15, 3]],
        started: [150, 0, 0],
        ring: [2],
        differs: [true, 'the text: not the same on rank 1 as on rank 0; write one'],
        late: 'MPI_Ibarrier: called after finalize() or abort() (error 0)',
        any: [true, false],
        isSame: true,
        hasWaited: true,
      })
      const [isError, name, message] = wrong as [boolean, string, string]
      assert.ok(isError)
      assert.equal(name, 'MPI_Ibcast')
      assert.match(message, /^MPI_Ibcast: .* \(error \d+\)$/s)
      assert.match(message, wrongRoot)
      // where both are installed, it is that of the launcher
      assert.match(library as string, new RegExp(`^${title} v?\\d+(\\.\\d+)+ \\(lib`))
    })
  })

describe('a library that is not that of the launcher', { skip: openMpi.skip || mpich.skip }, () => {
  const { 'Open MPI': open, MPICH } = implementations
  for (const [launcher, library] of [
    [open, MPICH],
    [MPICH, open],
  ] as const)
    it(`is refused: ${library.file} under ${launcher.mpi.command[0]}`, async () => {
      const ended = await runRanks(2, programs, [], { COCAGRAD_MPI: library.file }, launcher.mpi)
      assert.notEqual(ended.code, 0)
      assert.match(
        ended.stderr,
        /MpiUnavailableError: the launcher has started 2 processes, but for .* there is one \(\w+=2\)/,
      )
    })
})

it('nothing of MPI is loaded by the import of cocagrad/train', { skip: !existsSync('/proc/self/maps') }, () => {
  const train = fileURLToPath(new URL('../../src/entries/train.ts', import.meta.url))
  const program = `await import(${JSON.stringify(train)}); console.log((await import('node:fs')).readFileSync('/proc/self/maps', 'utf8'))`
  const node = ['--import', 'tsx', '--conditions=source', '--input-type=module', '-e', program]
  const maps = execFileSync(process.execPath, node, { encoding: 'utf8', maxBuffer: 2 ** 26 })
  assert.match(maps, /node/)
  assert.doesNotMatch(maps, /libmpi|koffi/)
})
