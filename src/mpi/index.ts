// Exchange between processes through MPI, which is loaded by the first call of `openMpi`. Node only.

export { type AllGathered, type Communicator, type MpiNumbers, type MpiOptions, openMpi } from './communicator.ts'
export { MpiError, MpiUnavailableError, RanksDifferError, RanksTimeoutError } from './errors.ts'
export { isLaunchedByMpi, launchedRank } from './launch.ts'
