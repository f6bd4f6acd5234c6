// The processors of this process: those of the machine or, of a process that a launcher such as mpirun has started beside others on it,
// a share of them.

import { askNode, environment } from './host.ts'

/** The number of threads that this process can run at once without taking those of other processes of its launcher; 1 or more. */
export function processorsHere(): number {
  const os = askNode(node => node.getBuiltinModule('node:os'))
  const allowed =
    askNode(() => os?.availableParallelism()) ??
    (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ??
    1
  return shareOfProcessors({ allowed, all: askNode(() => os?.cpus().length) || allowed, variable: environment })
}

/** What is known of the processors of a machine. */
export interface Processors {
  /** those that the system lets this process use */
  readonly allowed: number
  /** those of the machine */
  readonly all: number
  /** an environment variable */
  readonly variable: (name: string) => string | undefined
}

/**
 * The processors of one of several processes. Where the launcher has bound it to some, other processes may be bound to the same ones, so
 * that it has at most its share of all; where it has not, they all are allowed the same ones.
 */
export function shareOfProcessors({ allowed, all, variable }: Processors): number {
  const processes = processesHere(variable)
  if (processes === 1) return allowed
  const isBound =
    variable('OMPI_MCA_orte_bound_at_launch') === '1' || /^(?!.*none).+/.test(variable('SLURM_CPU_BIND_TYPE') ?? '')
  const inJob = Math.min(all, Number(variable('SLURM_CPUS_ON_NODE') ?? all))
  return Math.max(1, isBound ? Math.min(allowed, Math.floor(inJob / processes)) : Math.floor(allowed / processes))
}

/** How many processes the launcher has started on this machine: Open MPI, MPICH and Intel MPI, MVAPICH2, or srun. */
function processesHere(variable: Processors['variable']): number {
  const names = ['OMPI_COMM_WORLD_LOCAL_SIZE', 'MPI_LOCALNRANKS', 'MV2_COMM_WORLD_LOCAL_SIZE']
  const text = names.map(variable).find(found => found !== undefined)
  const count = Number(text ?? tasksOn(variable('SLURM_STEP_TASKS_PER_NODE'), Number(variable('SLURM_NODEID') ?? 0)))
  return Number.isSafeInteger(count) && count > 0 ? count : 1
}

/** The tasks of a node in Slurm's list of them: 4(x2),3 are 4, 4 and 3. */
function tasksOn(list: string | undefined, node: number): number {
  const tasks = (list ?? '1').split(',').flatMap(part => {
    const [, count, times = '1'] = /^(\d+)(?:\(x(\d+)\))?$/.exec(part) ?? []
    return Array.from({ length: Number(times) }, () => Number(count))
  })
  return tasks[node] ?? 1
}
