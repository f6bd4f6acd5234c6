// Exchange between processes through MPI, which is loaded by the first call of `openMpi`. Node only.

export { type AllGathered, type Communicator, isLaunchedByMpi, type MpiNumbers, openMpi } from './communicator.ts'
export { MpiError, MpiUnavailableError, RanksDifferError } from './errors.ts'
export { launchedRank } from './launch.ts'
