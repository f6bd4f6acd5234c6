// The folders of src, from the ground up: each imports only from those before it, and nothing imports in a circle.
const framework = ['tensor', 'autograd', 'nn', 'optim', 'models']
const workshop = ['io', 'data', 'openclip', 'evaluate', 'train', 'doctor', 'demo', 'cli']
const floors = [...framework, ...workshop]

/** Files that other folders import beside an index, and why they are not in it: an index is what users are given. */
const inside = [
  // what every function checks its arguments with, and how errors say it
  '^src/tensor/(arguments|kinds|options|given|first-few|warn|host|demand)\\.ts$',
  // how values are printed and whose memory they are
  '^src/tensor/(display|html|context|scope)\\.ts$',
  // what runs in a browser on its own, without all of tensor
  '^src/tensor/(random|shape|finite|dtype)\\.ts$',
  // errors and recording of gradients, whose parts are no public functions
  '^src/autograd/(tape|recording|gradient-error|gradcheck|gradcheck-result)\\.ts$',
  // what optimizers ask of modules
  '^src/nn/(module|parameter-source)\\.ts$',
  // models that are read from files
  '^src/models/(unloaded|config)\\.ts$',
  // what training and evaluation share
  '^src/evaluate/(inputs|memory|embeddings)\\.ts$',
  // the part of io that runs in a browser
  '^src/io/finite\\.ts$',
  // the part of openclip that runs in a browser, and its settings without its weights
  '^src/openclip/(model|checkpoint)\\.ts$',
  // the one command that is a program of its own
  '^src/demo/',
]

/** A folder may not reach into any of the rooms named. */
const notFrom = (room, above) => ({
  name: `${room}-stays-below`,
  severity: 'error',
  comment: `src/${room} is below ${above.join(', ')}`,
  from: { path: `^src/${room}/` },
  to: { path: `^src/(${above.join('|')})/` },
})

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    ...floors.slice(0, -1).map((room, i) => notFrom(room, floors.slice(i + 1))),
    // optim works on tensors and parameters, models are made of nn alone, and testing checks operations only
    notFrom('models', ['optim']),
    { ...notFrom('testing', ['optim', 'models', ...workshop]) },
    {
      name: 'nobody-imports-testing',
      severity: 'error',
      from: {
        path: `^src/(${[...framework, 'io', 'data', 'openclip', 'evaluate', 'train', 'doctor', 'demo'].join('|')})/`,
      },
      to: { path: '^src/testing/' },
    },
    {
      name: 'users-have-the-entries',
      severity: 'error',
      comment: 'src/index.ts and src/entries are for users: folders import each other',
      from: { path: '^src/(?!cli/|entries/)[a-z]+/' },
      to: { path: '^src/(index|entries/)' },
    },
    {
      name: 'through-the-index',
      severity: 'error',
      comment: 'a folder is entered through its index; exceptions are listed above with their reasons',
      from: { path: '^src/([a-z]+)/', pathNot: '^src/(entries|testing)/' },
      // the doctor looks inside of training: it examines what that is made of
      to: { path: '^src/[a-z]+/', pathNot: ['^src/$1/', '^src/[a-z]+/index\\.ts$', ...inside, '^src/train/'] },
    },
    {
      name: 'nothing-looks-inside-of-train',
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
    // another language, which only looks like TypeScript
    exclude: { path: '^src/tensor/cpu/assembly/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['source', 'import', 'node', 'default'] },
  },
}
