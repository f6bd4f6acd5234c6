const { builtinModules } = require('node:module')

// The folders of src, lowest first: each imports only from those before it, and there are no circular imports.
const framework = ['tensor', 'autograd', 'nn', 'optim', 'debug', 'notebook', 'models']
const workshop = ['mpi', 'io', 'data', 'openclip', 'evaluate', 'train', 'doctor', 'demo', 'experiments', 'cli']
const folders = [...framework, ...workshop]

/** Files that other folders import besides an index, and why they are not in it: users import what is in an index. */
const inside = [
  // checks of arguments, and the text of their errors
  '^src/tensor/(arguments|kinds|options|given|first-few|warn|host|demand)\\.ts$',
  // printing of values, and ownership of memory
  '^src/tensor/(display|html|context|scope)\\.ts$',
  // whether a device packs activations, for the forward of modules
  '^src/tensor/devices\\.ts$',
  // parameters without values, and what a count of memory restores
  '^src/tensor/(create|stand-ins)\\.ts$',
  // parts that are used without the rest of tensor
  '^src/tensor/(random|shape|sides|finite|dtype|out-of-memory|pieces|compile|processors)\\.ts$',
  // the formats of moments, for optimizers
  '^src/tensor/moments\\.ts$',
  // observers of kernels, for debug, of random numbers, for checkpoint and vmap, and of what captured functions depend on
  '^src/tensor/(observe|draws|capturing)\\.ts$',
  // errors and recording of gradients, which are not public
  '^src/autograd/(tape|recording|observing|gradient-error|gradcheck/gradcheck|gradcheck/gradcheck-result)\\.ts$',
  // the interface between optimizers and modules, and whether parameters get values
  '^src/nn/(module|parameter|parameter-source)\\.ts$',
  // rows of losses, for training in parts
  '^src/nn/contrastive-rows\\.ts$',
  // for models that are read from files
  '^src/models/(config|families)\\.ts$',
  // the checks of its options, for a command that has a flag for each
  '^src/models/generation/options\\.ts$',
  // shared by training and evaluation
  '^src/evaluate/(inputs|memory|embeddings|ranks)\\.ts$',
  // the part of io that runs in a browser, and the parts that training in a browser needs
  '^src/io/(browser|finite|errors)\\.ts$',
  // the part of data that runs in a browser
  '^src/data/browser\\.ts$',
  // how several processes divide examples among them
  '^src/data/ranks\\.ts$',
  // the part of openclip that runs in a browser, and its settings without its weights
  '^src/openclip/(model|browser|opening|checkpoint|tokenizer|vision)\\.ts$',
  // the demo, which a command runs; the experiments write numbers as it does
  '^src/demo/',
]

/** A folder may not import from any of the folders above it. */
const notFrom = (folder, above) => ({
  name: `${folder}-stays-below`,
  severity: 'error',
  comment: `src/${folder} is below ${above.join(', ')}`,
  from: { path: `^src/${folder}/` },
  to: { path: `^src/(${above.join('|')})/` },
})

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    ...folders.slice(0, -1).map((folder, i) => notFrom(folder, folders.slice(i + 1))),
    // optim uses tensors and parameters, notebook what autograd has, models use nn only, and testing checks operations only
    notFrom('models', ['optim', 'debug', 'notebook']),
    notFrom('notebook', ['nn', 'optim', 'debug']),
    { ...notFrom('testing', ['optim', 'models', ...workshop]) },
    {
      name: 'no-imports-of-testing',
      severity: 'error',
      from: {
        path: `^src/(${[...framework, 'io', 'data', 'openclip', 'evaluate', 'train', 'doctor', 'demo', 'experiments'].join('|')})/`,
      },
      to: { path: '^src/testing/' },
    },
    {
      name: 'entries-are-for-users',
      severity: 'error',
      comment: 'src/index.ts and src/entries are for users: folders import each other',
      from: { path: '^src/(?!cli/|entries/)[a-z]+/' },
      to: { path: '^src/(index|entries/)' },
    },
    {
      name: 'through-the-index',
      severity: 'error',
      comment: 'folders import each other through the index; exceptions are listed above with their reasons',
      from: { path: '^src/([a-z]+)/', pathNot: '^src/(entries|testing)/' },
      // the doctor examines the parts of training, so it imports its files
      to: { path: '^src/[a-z]+/', pathNot: ['^src/$1/', '^src/[a-z]+/index\\.ts$', ...inside, '^src/train/'] },
    },
    {
      name: 'train-through-its-index',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(train|doctor|entries)/' },
      to: { path: '^src/train/', pathNot: '^src/train/index\\.ts$' },
    },
    {
      name: 'no-node-in-the-framework',
      severity: 'error',
      comment: 'the framework and the models run in a browser as they are',
      from: { path: `^src/(${framework.join('|')})/` },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-node-in-a-page',
      severity: 'error',
      comment:
        'cocagrad/data and cocagrad/models run in a browser: no module of Node, and no package for files, is reached from their entries there',
      from: { path: '^src/entries/(data-browser|models)\\.ts$' },
      to: { reachable: true, path: `^(node:.*|${builtinModules.join('|')})$` },
    },
    {
      name: 'few-packages-in-a-page',
      severity: 'error',
      from: { path: '^src/entries/(data-browser|models)\\.ts$' },
      to: {
        reachable: true,
        path: 'node_modules/',
        pathNot: 'node_modules/(@types/)?(gpu\\.js|ndarray|koffi|webgpu|@webgpu|tinyqueue|entities)/',
      },
    },
    {
      name: 'few-packages-in-the-framework',
      severity: 'error',
      comment: 'gpu.js and ndarray, and where they are installed koffi and webgpu',
      from: { path: `^src/(${framework.join('|')})/` },
      to: {
        dependencyTypesNot: ['local', 'core'],
        path: 'node_modules',
        pathNot: 'node_modules/(@types/)?(gpu\\.js|ndarray|koffi|webgpu|@webgpu)/',
      },
    },
    {
      name: 'fast-check-in-testing-alone',
      severity: 'error',
      from: { path: '^src/testing/' },
      to: {
        dependencyTypesNot: ['local', 'core'],
        path: 'node_modules',
        pathNot: 'node_modules/(@types/)?(fast-check|ndarray)/',
      },
    },
    { name: 'not-to-tests', severity: 'error', from: { path: '^src' }, to: { path: '^(test|bench|docs)/' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // AssemblyScript, not TypeScript
    exclude: { path: '^src/(tensor/cpu|data/images)/assembly/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['source', 'import', 'node', 'default'] },
  },
}
