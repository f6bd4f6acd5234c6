// What a launcher such as mpirun tells each of its processes in environment variables.

import { isLaunchedByMpi } from './communicator.ts'

/** The number of this process among those that a launcher has started, from 0; undefined if it is not one of several. Loads nothing. */
export function launchedRank({
  env,
}: {
  readonly env: Readonly<Record<string, string | undefined>>
} = process): number | undefined {
  const rank = env.OMPI_COMM_WORLD_RANK ?? env.PMI_RANK ?? env.PMIX_RANK ?? env.SLURM_PROCID
  return rank === undefined || !isLaunchedByMpi({ env }) ? undefined : Number(rank)
}
