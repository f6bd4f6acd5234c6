// The command line of cocagrad, of which each of two processes runs in a folder of its own, as on two machines:
// elsewhere.program.ts <folder of rank 0> <folder of rank 1> <arguments>. VERSION_OF_RANK_1 is the version of Node that rank 1 says it has.

const [node, , ...rest] = process.argv
const [folders, line] = [rest.slice(0, 2), rest.slice(2)]
const { OMPI_COMM_WORLD_RANK: rank, VERSION_OF_RANK_1: version } = process.env
process.chdir(folders[Number(rank)])
if (rank === '1' && version) Object.defineProperty(process, 'version', { value: version })
process.argv = [node, 'cocagrad', ...line]
await import('../../src/cli/main.ts')
