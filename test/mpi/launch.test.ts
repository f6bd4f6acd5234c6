// What the variables of launchers say.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isLaunchedByMpi, launchedRank, MpiUnavailableError, openMpi } from '../../src/mpi/index.ts'

describe('a process of a launcher', () => {
  for (const [title, env, rank] of [
    ['mpirun of Open MPI', { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '2' }, 1],
    [
      'mpirun of Open MPI within srun',
      { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '2', SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '1' },
      1,
    ],
    ['mpiexec of MPICH', { PMI_RANK: '0', PMI_SIZE: '3' }, 0],
    ['srun --mpi=pmix', { PMIX_RANK: '2', SLURM_NTASKS: '4', SLURM_PROCID: '2', SLURM_STEP_NUM_TASKS: '4' }, 2],
    ['srun without PMI', { SLURM_NTASKS: '4', SLURM_PROCID: '3', SLURM_STEP_NUM_TASKS: '4' }, 3],
    ['jsrun', { JSM_NAMESPACE_RANK: '1', JSM_NAMESPACE_SIZE: '6' }, 1],
    ['a script of sbatch', { SLURM_NTASKS: '4', SLURM_PROCID: '0' }, undefined],
    ['mpirun -n 1', { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '1' }, undefined],
    ['no launcher', {}, undefined],
  ] as const)
    it(`is ${rank === undefined ? 'alone' : `rank ${rank}`}: ${title}`, () => {
      assert.equal(launchedRank({ env }), rank)
      assert.equal(isLaunchedByMpi({ env }), rank !== undefined)
    })

  it('does not train alone when srun has started others without PMI', () => {
    const variables = { SLURM_PROCID: '3', SLURM_STEP_NUM_TASKS: '4' }
    Object.assign(process.env, variables)
    try {
      assert.throws(openMpi, (error: Error) => {
        assert.ok(error instanceof MpiUnavailableError)
        assert.match(error.message, /srun has started 4 processes .*: use srun --mpi=pmix .* or srun --mpi=pmi2/)
        return true
      })
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name]
    }
  })
})
