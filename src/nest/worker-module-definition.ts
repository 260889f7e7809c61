import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { WorkerModuleOptions } from './worker-module-options.js';

/** `isGlobal`: whether other modules may inject what WorkerModule provides without importing it. Default true. */
export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<WorkerModuleOptions>({ moduleName: 'Worker' })
    .setClassMethodName('forRoot')
    .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
    .build();

/** DI token of the checked options. */
export const WORKER_MODULE_OPTIONS = Symbol('WORKER_MODULE_OPTIONS');
