// What a launcher such as mpirun tells each of its processes in environment variables.

type Environment = Readonly<Record<string, string | undefined>>

/** Variables of launchers: the number of the process, and how many there are. The first that are set count. */
const variables: readonly (readonly [rank: string, size: string])[] = [
  // Open MPI, and IBM's jsrun
  ['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'],
  // MPICH, Intel MPI, srun --mpi=pmi2, flux, Cray
  ['PMI_RANK', 'PMI_SIZE'],
  ['MV2_COMM_WORLD_RANK', 'MV2_COMM_WORLD_SIZE'],
  ['JSM_NAMESPACE_RANK', 'JSM_NAMESPACE_SIZE'],
  ['FLUX_TASK_RANK', 'FLUX_JOB_SIZE'],
  // srun --mpi=pmix
  ['PMIX_RANK', 'SLURM_NTASKS'],
  // srun; a script of sbatch, which is one process, has no size of a step
  ['SLURM_PROCID', 'SLURM_STEP_NUM_TASKS'],
]

/** The processes that a launcher has started together. */
export interface Launched {
  readonly rank: number
  readonly size: number
  /** the variable that says how many */
  readonly variable: string
  /** why no MPI can find the other processes, and what to do */
  readonly problem?: string
}

/** What the launcher of this process says; undefined if it is alone. Loads nothing. */
export function launched(env: Environment): Launched | undefined {
  const found = variables.find(names => names.every(name => env[name] !== undefined))
  if (!found) return undefined
  const [rank, size] = found.map(name => Number(env[name]))
  if (!(size > 1)) return undefined
  const variable = `${found[1]}=${size}`
  if (found[0] !== 'SLURM_PROCID') return { rank, size, variable }
  const problem = `srun has started ${size} processes that cannot find each other (${variable}, and no variable of PMI or PMIx): use srun --mpi=pmix for Open MPI, or srun --mpi=pmi2 for MPICH. For processes that have nothing to do with each other, unset SLURM_PROCID`
  return { rank, size, variable, problem }
}

/** Whether a launcher has started this process as one of several: mpirun, mpiexec, srun, or another one. Loads nothing. */
export const isLaunchedByMpi = ({ env }: { readonly env: Environment } = process): boolean =>
  launched(env) !== undefined

/** The number of this process among those that a launcher has started, from 0; undefined if it is not one of several. Loads nothing. */
export const launchedRank = ({ env }: { readonly env: Environment } = process): number | undefined =>
  launched(env)?.rank
