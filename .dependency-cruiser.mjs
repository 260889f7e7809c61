/** The arrows of docs/architecture.md: nest → feeds → core ← engines, and who may import which package. */
const NEST = '^node_modules/(@nestjs|nestjs-pino)/';

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment:
        'Provider classes that import each other throw "Cannot access before initialization" in ES modules.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'core-imports-nobody',
      comment: 'The core is usable without Nest and does no I/O.',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { pathNot: '^(src/core/|crypto$|async_hooks$|util/types$)' },
    },
    {
      name: 'feeds-import-the-core-only',
      comment: 'A feed knows of items and jobs, not of the Nest application around it.',
      severity: 'error',
      from: { path: '^src/feeds/', pathNot: '^src/feeds/(uploads/typeorm|cursors/redis-cursor-cache)' },
      to: { pathNot: '^src/(core|feeds)/' },
    },
    {
      name: 'typeorm-stays-in-the-upload-store',
      comment: 'The main entry point must link where typeorm and pg are not installed.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(feeds/uploads/typeorm/|typeorm\\.ts$|service/)' },
      to: { path: ['^node_modules/(typeorm|pg)/', '^src/feeds/uploads/typeorm/'] },
    },
    {
      name: 'ioredis-stays-in-the-cursor-cache-and-the-redis-engine',
      comment: 'The main entry point must link where ioredis is not installed.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: '^src/(feeds/cursors/redis-cursor-cache\\.ts$|engines/bullmq/|service/)',
      },
      to: { path: '^node_modules/ioredis/' },
    },
    {
      name: 'bullmq-stays-in-its-engine',
      comment:
        'The main entry point must link where bullmq is not installed, and another store may take its place.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(engines/bullmq/|bullmq\\.ts$)' },
      to: { path: ['^node_modules/bullmq/', '^src/engines/bullmq/'] },
    },
    {
      name: 'engines-import-the-core-only',
      comment: 'An engine knows of items, jobs and workloads, not of the feeds that they come from.',
      severity: 'error',
      from: { path: '^src/engines/' },
      to: { path: '^src/', pathNot: '^src/(core|engines)/' },
    },
    {
      name: 'the-durable-engine-knows-no-store',
      severity: 'error',
      from: { path: '^src/engines/durable/' },
      to: { pathNot: '^src/(core|engines/durable)/|^crypto$' },
    },
    {
      name: 'engines-are-chosen-by-the-application',
      comment: 'Whoever wants a durable engine imports its entry point; nothing else brings it along.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(engines/|bullmq\\.ts$)' },
      to: { path: '^src/engines/' },
    },
    {
      name: 'nest-stays-in-nest',
      comment: 'Only the outer rooms know Nest; JobProcess carries its decorators, to be injectable.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(nest|service)/|^src/job-process\\.ts$' },
      to: { path: NEST },
    },
    {
      name: 'nobody-imports-nest-but-the-service',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(nest/|service/|index\\.ts$)' },
      to: { path: '^src/nest/' },
    },
    {
      name: 'the-service-is-a-user',
      comment: 'The reference service uses the package as everybody does: by its entry points.',
      severity: 'error',
      from: { path: '^src/service/' },
      to: { path: '^src/', pathNot: '^src/(service/|(index|typeorm|bullmq)\\.ts$)' },
    },
    {
      name: 'nobody-imports-the-service',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/service/' },
      to: { path: '^src/service/' },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
};
