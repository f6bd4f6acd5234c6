// The command line of cocagrad, of which each of two processes runs in a folder of its own, as on two machines:
// elsewhere.program.ts <folder of rank 0> <folder of rank 1> <arguments>

const [node, , ...rest] = process.argv
const [folders, line] = [rest.slice(0, 2), rest.slice(2)]
process.chdir(folders[Number(process.env.OMPI_COMM_WORLD_RANK)])
process.argv = [node, 'cocagrad', ...line]
await import('../../src/cli/main.ts')
