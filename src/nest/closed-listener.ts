import type { INestApplicationContext, OnApplicationShutdown } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';

/** Calls back when the application has closed. Nest tells its providers of that, and nobody else. */
class ClosedListener implements OnApplicationShutdown {
  constructor(private readonly callback: () => void) {}

  onApplicationShutdown(): void {
    this.callback();
  }
}

/** Whether somebody waits already for the application to have closed. */
export function isListenedTo(app: INestApplicationContext): boolean {
  return [...modulesOf(app).values()].some(({ providers }) => providers.has(ClosedListener));
}

/** Calls `callback` when the application has closed, whatever modules it has. */
export function onceClosed(app: INestApplicationContext, callback: () => void): void {
  // Nest's own one, which each application has, comes first and is closed last.
  const [ofNest] = modulesOf(app).values();
  ofNest!.addProvider({ provide: ClosedListener, useValue: new ClosedListener(callback) });
}

function modulesOf(app: INestApplicationContext): ModulesContainer {
  return app.get(ModulesContainer, { strict: false });
}
