import { describe, expect, jest, test } from '@jest/globals';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Ctx, Payload, TcpContext, Transport } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';
import { JobProcess, MessageJob, type Job, type MessageReceipt } from '../../../src/index.js';
import { createRedisNamespace } from '../../support/redis.js';
import { startTypescriptProgram } from '../../support/typescript-program.js';
import { until } from '../../support/until.js';
import { closeAtEnd, compileApplication, gate, nextEvent, silent } from './applications.js';
import {
  emit,
  MailWorker,
  overTcp,
  Registrations,
  Seen,
  send,
  type User,
  workers,
} from './mail-application.js';

describe.each(['microservice', 'hybrid'] as const)('@MessageJob in a %s application', (kind) => {
  test('hands the items of a request to the worker, and answers when they have ended', async () => {
    const { client, seen, jobs } = await overTcp({ providers: [Registrations] }, kind);
    expect(await send(client, 'user.registered', { name: 'Ada' })).toEqual({
      jobId: expect.any(String),
      items: 1,
      done: 1,
      failed: 0,
      cancelled: 0,
    });
    expect(await send(client, 'users.registered', [{ name: 'bad' }, { name: 'Grace' }])).toMatchObject({
      items: 2,
      done: 1,
      failed: 1,
    });
    expect(await send(client, 'users.registered', [])).toMatchObject({ items: 0, done: 0, failed: 0 });
    expect(seen.items).toEqual(['Ada', 'Grace']);
    expect(jobs.counts('mail')).toMatchObject({ submitted: 3, completed: 2, dead: 1 });
  });

  test('hands the items of an event to the worker', async () => {
    const { app, client, seen, jobs } = await overTcp({ providers: [Registrations] }, kind);
    const finished = nextEvent(app, 'jobEnded');
    await emit(client, 'users.registered', [{ name: 'Ada' }, { name: 'Grace' }]);
    await finished;
    expect(seen.items).toEqual(['Ada', 'Grace']);
    expect(jobs.counts('mail').completed).toBe(2);
  });
});

describe('a message that its method refuses', () => {
  test('becomes a dead letter with the reason, and its sender is told', async () => {
    const { client, seen, jobs } = await overTcp({ providers: [Registrations] });
    expect(await send(client, 'user.registered', { nom: 'Ada' })).toEqual({
      jobId: expect.any(String),
      items: 1,
      done: 0,
      failed: 1,
      cancelled: 0,
      rejected: 'expected a name',
    });
    expect(await send(client, 'user.registered', { name: 'Grace' })).toMatchObject({ done: 1 });
    expect(seen.items).toEqual(['Grace']);
    expect(await jobs.deadLetters()).toMatchObject([
      {
        type: 'mail',
        payload: { nom: 'Ada' },
        reason: 'rejected',
        attempts: 0,
        error: { message: 'expected a name' },
      },
    ]);
  });

  test('becomes a dead letter when the method returns undefined', async () => {
    const { client, jobs } = await overTcp({ providers: [Registrations] });
    expect((await send(client, 'user.forgotten', { name: 'Ada' })).rejected).toMatch(
      /toItems returned undefined/,
    );
    expect(await jobs.deadLetters()).toMatchObject([
      { payload: { name: 'Ada' }, error: { code: 'NO_ITEMS' } },
    ]);
  });

  test('is kept itself, whatever stands first among the parameters', async () => {
    @Injectable()
    class Handlers {
      @MessageJob('user.registered', { worker: 'mail' })
      toItems(@Ctx() context: TcpContext, @Payload() user: User): string {
        expect(context).toBeInstanceOf(TcpContext);
        throw new Error(`no ${user.name}`);
      }
    }
    const { client, jobs } = await overTcp({ providers: [Handlers] });
    expect((await send(client, 'user.registered', { name: 'Ada' })).rejected).toBe('no Ada');
    expect(await jobs.deadLetters()).toMatchObject([{ payload: { name: 'Ada' } }]);
  });
});

describe('acknowledge', () => {
  test("'stored' answers when the items are in the queue, 'settled' when they have ended", async () => {
    const { client, seen, jobs } = await overTcp({ providers: [Registrations] });
    seen.held = gate();
    expect(await send(client, 'user.imported', { name: 'Ada' })).toEqual({
      jobId: expect.any(String),
      items: 1,
    });
    expect(seen.items).toEqual([]);

    let answered = false;
    const settled = send(client, 'user.registered', { name: 'Grace' }).finally(() => (answered = true));
    await send(client, 'user.imported', { name: 'Edsger' });
    expect(answered).toBe(false);
    seen.held.open();
    expect(await settled).toMatchObject({ done: 1 });
    await jobs.waitForCompletion();
    expect(seen.items).toEqual(expect.arrayContaining(['Ada', 'Grace', 'Edsger']));
  });
});

test('a message whose job was cancelled is answered, with how many items were', async () => {
  const { client, seen, jobs } = await overTcp({ providers: [Registrations] });
  const held = gate();
  seen.held = held;
  closeAtEnd(async () => held.open());
  const submitted = jest.spyOn(jobs, 'distributeWork');
  const answer = send(client, 'users.registered', [{ name: 'Ada' }, { name: 'Grace' }]);
  await seen.reached.opened;
  void ((await submitted.mock.results[0]!.value) as Job).cancel();
  held.open();
  expect(await answer).toMatchObject({ items: 2, done: 1, failed: 0, cancelled: 1 });
  expect(seen.items).toEqual(['Ada']);
});

async function subscribed() {
  const app = await compileApplication({ imports: [workers()], providers: [MailWorker, Seen] });
  await app.init();
  return { app, jobs: app.get(JobProcess), seen: app.get(Seen) };
}

describe('processQueueMessages', () => {
  test('takes messages until it is closed: those taken before are settled, later ones refused', async () => {
    const { jobs, seen } = await subscribed();
    seen.held = gate();
    let deliver!: (message: string) => Promise<MessageReceipt>;
    const unsubscribe = jest.fn<() => void>();
    const subscription = await jobs.processQueueMessages<string>('mail', (take) => {
      deliver = take;
      return unsubscribe;
    });
    const taken = [deliver('a'), deliver('b')];
    const closed = subscription.close();
    await expect(deliver('c')).rejects.toMatchObject({ code: 'SUBSCRIPTION_CLOSED' });
    seen.held.open();
    await closed;
    expect(unsubscribe).toHaveBeenCalledTimes(1);
    expect((await Promise.all(taken)).map(({ done }) => done)).toEqual([1, 1]);
    expect(seen.items).toEqual(expect.arrayContaining(['a', 'b']));
  });
});

describe('when the application closes', () => {
  // Nest's `close` of a microservice that is no part of a hybrid application ends the transport before anything else.
  test.each([
    ['hybrid', (app: INestApplicationContext) => app.close()],
    ['microservice', (app: INestApplicationContext) => app.get(JobProcess).shutdown()],
  ] as const)('a message under way is answered, and a later one is refused: %s', async (kind, close) => {
    const { app, client, seen, jobs } = await overTcp({ providers: [Registrations] }, kind);
    const held = gate();
    seen.held = held;
    closeAtEnd(async () => held.open());
    const started = nextEvent(app, 'scaled');
    const answer = send(client, 'user.registered', { name: 'Ada' });
    await started;
    const closed = close(app);
    await until(async () => jobs.isClosed, Boolean, 5_000);
    await expect(send(client, 'user.registered', { name: 'Grace' })).rejects.toMatchObject({
      status: 'error',
    });
    held.open();
    expect(await answer).toMatchObject({ done: 1 });
    await closed;
    expect(seen.items).toEqual(['Ada']);
    expect(await jobs.deadLetters()).toEqual([]);
  });

  test('messages that could not be finished in time are refused, so that their sender keeps them', async () => {
    const { app, client, seen } = await overTcp({ providers: [Registrations] }, 'hybrid', {
      shutdownTimeoutMs: 0,
      abortGraceMs: 0,
    });
    const held = gate();
    seen.held = held;
    closeAtEnd(async () => held.open());
    const started = nextEvent(app, 'scaled');
    const answer = send(client, 'users.registered', [{ name: 'Ada' }, { name: 'Grace' }]).catch(
      (error: unknown) => error,
    );
    await started;
    const unfinished = nextEvent(app, 'unfinished');
    await app.get(JobProcess).shutdown();
    expect((await unfinished).items.map(({ payload }) => payload)).toEqual(
      expect.arrayContaining(['Ada', 'Grace']),
    );
    expect(await answer).toMatchObject({ status: 'error' });
  });
});

describe('over the Redis transport', () => {
  test('takes what another process emits and sends, and loses nothing to what is malformed', async () => {
    const namespace = await createRedisNamespace();
    closeAtEnd(() => namespace.close());
    const { hostname, port, pathname } = new URL(namespace.url);
    const pattern = `${namespace.keyPrefix}user.registered`;

    @Injectable()
    class Handlers {
      @MessageJob(pattern, { worker: 'mail' })
      toItems(user: User | undefined) {
        if (typeof user?.name !== 'string')
          throw new TypeError(`expected a user, got ${JSON.stringify(user)}`);
        return user.name;
      }
    }
    const compiled = await Test.createTestingModule({
      imports: [workers()],
      providers: [MailWorker, Seen, Handlers],
    })
      .setLogger(silent)
      .compile();
    const app = compiled.createNestMicroservice({
      transport: Transport.REDIS,
      options: { host: hostname, port: Number(port), db: Number(pathname.slice(1)) },
    });
    closeAtEnd(() => app.close());
    await app.listen();
    const jobs = app.get(JobProcess);

    const sender = startTypescriptProgram(new URL('redis-sender.program.ts', import.meta.url), [
      namespace.url,
      pattern,
    ]);
    closeAtEnd(() => sender.kill());
    expect(JSON.parse(await sender.nextLine())).toMatchObject({ items: 1, done: 1, failed: 0 });
    expect(JSON.parse(await sender.nextLine())).toMatchObject({
      failed: 1,
      rejected: 'expected a user, got {"nom":"Edsger"}',
    });
    expect(await sender.ended).toEqual({ code: 0, signal: null });

    const dead = nextEvent(app, 'deadLetter', ({ payload }) => payload === 'no JSON at all');
    const raw = new Redis(namespace.url);
    closeAtEnd(() => raw.quit());
    await raw.publish(pattern, JSON.stringify({ pattern }));
    await raw.publish(pattern, '{"no": "pattern"');
    await raw.publish(pattern, 'no JSON at all');
    await dead;
    await jobs.waitForCompletion();
    expect(app.get(Seen).items).toHaveLength(2);
    expect(app.get(Seen).items).toEqual(expect.arrayContaining(['Ada', 'Grace']));
    expect((await jobs.deadLetters()).map(({ payload, reason }) => [payload, reason])).toEqual(
      expect.arrayContaining([
        [{ nom: 'Edsger' }, 'rejected'],
        [undefined, 'rejected'],
        ['{"no": "pattern"', 'rejected'],
        ['no JSON at all', 'rejected'],
      ]),
    );
    expect(await jobs.deadLetters()).toHaveLength(4);
  });
});
