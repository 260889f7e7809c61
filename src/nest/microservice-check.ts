import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { Transport } from '@nestjs/microservices';
import type { Subscription } from 'rxjs';
import { systemClock, type Timer } from '../core/clock.js';
import { MessageExplorer, type ListenedMethod } from './message-explorer.js';
import type { WorkerLog } from './worker-log.js';
import { WORKER_MODULE_OPTIONS } from './worker-module-definition.js';
import type { WorkerModuleOptions } from './worker-module-options.js';

/** After the server has begun to listen: a microservice may be connected as late as that. */
const GRACE_MS = 5_000;

type TransportId = Transport | symbol;

/** What listens for messages, as far as it says of which transport; one that does not say takes them for all methods. */
interface RpcTarget {
  readonly transportId?: TransportId;
}

/**
 * Warns when methods wait for messages in an application that no microservice was connected to, or none of the transport
 * that they are of: no message would ever reach them, and nobody would notice. An application that serves nothing, such as
 * a script or a test, may do without messages on purpose.
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
    // A microservice of its own is connected to nothing else later on.
    if (this.targets().length > 0 && !this.servesHttp()) return this.warn(log);
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
    if (!this.canBeAsked()) return;
    const targets = this.targets();
    const { listeners } = this.messages;
    if (targets.length === 0) return warnOfNone(log, listeners);
    const unheard = listeners.filter(({ transport }) => !targets.some((target) => takes(target, transport)));
    for (const listener of unheard) warnOfOther(log, listener, targets);
  }

  private servesHttp(): boolean {
    // Not there in a microservice, whatever the type says.
    return (this.http.httpAdapter as unknown) !== undefined;
  }

  /** Early versions of Nest 11 can't be. */
  private canBeAsked(): boolean {
    return 'getRpcTargetRegistry' in this.modules;
  }

  /** Nest keeps what listens for messages, and tells of it at once. */
  private targets(): readonly RpcTarget[] {
    if (!this.canBeAsked()) return [];
    const found: RpcTarget[] = [];
    this.modules
      .getRpcTargetRegistry<RpcTarget>()
      .subscribe((target) => found.push(target))
      .unsubscribe();
    return found;
  }
}

/** As Nest decides it. */
function takes({ transportId }: RpcTarget, transport: TransportId | undefined): boolean {
  return transport === undefined || transportId === undefined || transport === transportId;
}

function warnOfNone(log: WorkerLog, listeners: readonly ListenedMethod[]): void {
  const names = listeners.map(({ name }) => name);
  log.warn(
    `@MessageJob on ${names.join(', ')}: no microservice is connected, so no message gets there. Add, before app.listen(): ` +
      'app.connectMicroservice({ transport: Transport.TCP }); await app.startAllMicroservices();',
    { listeners: names },
  );
}

function warnOfOther(
  log: WorkerLog,
  { name, transport }: ListenedMethod,
  targets: readonly RpcTarget[],
): void {
  const wanted = transportName(transport);
  const connected = targets.map(({ transportId }) => transportName(transportId));
  log.warn(
    `@MessageJob on ${name}: expected a microservice of its transport, ${wanted}, got ${connected.join(', ')} only, so no ` +
      'message gets there. Connect one, or leave the transport out to take the messages of each',
    { listeners: [name], transport: wanted, connected },
  );
}

function transportName(transport: TransportId | undefined): string {
  return typeof transport === 'number' ? Transport[transport] : String(transport);
}
