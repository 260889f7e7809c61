import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import type { Subscription } from 'rxjs';
import { systemClock, type Timer } from '../core/clock.js';
import { MessageExplorer } from './message-explorer.js';
import type { WorkerLog } from './worker-log.js';
import { WORKER_MODULE_OPTIONS } from './worker-module-definition.js';
import type { WorkerModuleOptions } from './worker-module-options.js';

/** After the server has begun to listen: a microservice may be connected as late as that. */
const GRACE_MS = 5_000;

/**
 * Warns when methods wait for messages in an application that no microservice was connected to: no message would ever
 * reach them, and nobody would notice. Only an application that serves HTTP is looked at; others, such as scripts and
 * tests, may do without messages on purpose.
 */
@Injectable()
export class MicroserviceCheck {
  private listening: Subscription | undefined = undefined;
  private timer: Timer | undefined = undefined;

  constructor(
    private readonly modules: ModulesContainer,
    private readonly http: HttpAdapterHost,
    private readonly messages: MessageExplorer,
    @Inject(WORKER_MODULE_OPTIONS) private readonly options: WorkerModuleOptions,
  ) {}

  start(log: WorkerLog): void {
    if (this.messages.listeners.length === 0) return;
    const { clock = systemClock } = this.options;
    this.listening = this.http.listen$.subscribe(() => {
      this.timer = clock.setTimer(() => this.warn(log), GRACE_MS);
      this.timer.keepAlive(false);
    });
  }

  stop(): void {
    this.listening?.unsubscribe();
    this.timer?.cancel();
  }

  private warn(log: WorkerLog): void {
    if (this.hasMicroservice()) return;
    const { listeners } = this.messages;
    log.warn(
      `@MessageJob on ${listeners.join(', ')}: no microservice is connected, so no message gets there. Add, before app.listen(): ` +
        'app.connectMicroservice({ transport: Transport.TCP }); await app.startAllMicroservices();',
      { listeners },
    );
  }

  /** Nest keeps what listens for messages, and tells of it at once. Early versions of Nest 11 can't be asked. */
  private hasMicroservice(): boolean {
    if (!('getRpcTargetRegistry' in this.modules)) return true;
    let found = false;
    this.modules
      .getRpcTargetRegistry()
      .subscribe(() => (found = true))
      .unsubscribe();
    return found;
  }
}
