import { swcOptions } from './test/support/swc-options.mjs';

/** @type {import('jest').Config} */
const project = {
  testEnvironment: '<rootDir>/test/support/environment.mjs',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': ['@swc/jest', swcOptions] },
  setupFiles: ['reflect-metadata'],
};

/** @type {import('jest').Config} */
export default {
  projects: [
    {
      ...project,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/unit/**/*.spec.ts'],
    },
    {
      ...project,
      displayName: 'package',
      testMatch: ['<rootDir>/test/package/**/*.spec.ts'],
    },
    {
      ...project,
      displayName: 'integration',
      testMatch: ['<rootDir>/test/integration/**/*.spec.ts', '<rootDir>/test/conformance/**/*.spec.ts'],
      globalSetup: '<rootDir>/test/support/global-setup.mjs',
      globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
    },
    {
      ...project,
      displayName: 'chaos',
      testMatch: ['<rootDir>/test/chaos/**/*.spec.ts'],
    },
  ],
  // A limit for what is stuck, not for what is slow on a machine that has other work to do.
  testTimeout: 60_000,
  maxWorkers: 2,
  workerIdleMemoryLimit: '700MB',
  // A worker of that size, done with its tests, takes half a second to give its memory back. What tests leave open,
  // the leak check finds in each file.
  workerGracefulExitTimeout: 10_000,
};
