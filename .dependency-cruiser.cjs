// The floors of the house: a room imports only from rooms below it, and nothing imports in a circle.
const floors = ['tensor', 'autograd', 'nn', 'optim', 'models', 'data', 'train', 'cli']

/** A room may not reach into any of the rooms named. */
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
    { ...notFrom('testing', ['optim', 'models', 'data', 'train', 'cli']) },
    {
      name: 'nobody-imports-testing',
      severity: 'error',
      from: { path: '^src/(tensor|autograd|nn|optim|models|data|train)/' },
      to: { path: '^src/testing/' },
    },
    {
      name: 'the-front-door-is-for-guests',
      severity: 'error',
      comment: 'rooms import each other, never through src/index.ts',
      from: { path: '^src/(?!cli/)[a-z]+/' },
      to: { path: '^src/index' },
    },
    {
      name: 'no-node-below-data',
      severity: 'error',
      comment: 'tensor, autograd, nn, optim and models run in a browser as they are',
      from: { path: '^src/(tensor|autograd|nn|optim|models)/' },
      to: { dependencyTypes: ['core'] },
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
