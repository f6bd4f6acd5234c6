// The share of the processors that one of several processes takes by default.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { processorsHere, shareOfProcessors } from '../../src/tensor/processors.ts'

const share = (allowed: number, all: number, variables: Readonly<Record<string, string>> = {}): number =>
  shareOfProcessors({ allowed, all, variable: name => variables[name] })

test('a process that is alone has all processors that the system lets it use', () => {
  assert.equal(share(6, 8), 6)
  // in a script of Slurm, without srun
  assert.equal(share(8, 8, { SLURM_TASKS_PER_NODE: '4', SLURM_CPUS_ON_NODE: '8' }), 8)
  assert.equal(share(8, 8, { OMPI_COMM_WORLD_LOCAL_SIZE: '1' }), 8)
  assert.ok(processorsHere() >= 1)
})

test('processes that a launcher has started on a machine divide it', () => {
  const variables = ['OMPI_COMM_WORLD_LOCAL_SIZE', 'MPI_LOCALNRANKS', 'MV2_COMM_WORLD_LOCAL_SIZE']
  for (const name of variables) assert.equal(share(16, 16, { [name]: '4' }), 4, name)
  assert.equal(share(7, 16, { MPI_LOCALNRANKS: '2' }), 3, 'in a container with some of them')
  assert.equal(share(2, 2, { OMPI_COMM_WORLD_LOCAL_SIZE: '3' }), 1, 'at least one')
  assert.equal(share(16, 16, { SLURM_STEP_TASKS_PER_NODE: '4(x2),8', SLURM_NODEID: '1' }), 4)
  assert.equal(share(16, 16, { SLURM_STEP_TASKS_PER_NODE: '4(x2),8', SLURM_NODEID: '2' }), 2)
})

test('a process that its launcher has bound has what it is bound to, or its share if others are bound to the same', () => {
  const bound = { OMPI_COMM_WORLD_LOCAL_SIZE: '4', OMPI_MCA_orte_bound_at_launch: '1' }
  assert.equal(share(1, 16, bound), 1, 'to a core')
  assert.equal(share(8, 16, bound), 4, 'two to each of two sockets')
  const slurm = { SLURM_STEP_TASKS_PER_NODE: '8', SLURM_CPUS_ON_NODE: '32' }
  assert.equal(share(4, 64, { ...slurm, SLURM_CPU_BIND_TYPE: 'mask_cpu:' }), 4)
  assert.equal(share(64, 64, { ...slurm, SLURM_CPU_BIND_TYPE: 'mask_cpu:' }), 4, 'the share of the job')
  assert.equal(share(32, 64, { ...slurm, SLURM_CPU_BIND_TYPE: 'quiet,none' }), 4)
})
