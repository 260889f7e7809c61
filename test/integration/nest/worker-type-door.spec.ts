import { describe, expect, jest, test } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { inspect } from 'node:util';
import {
  getWorkerTypeToken,
  InjectWorkerType,
  WorkerModule,
  type WorkerTypeDoor,
} from '../../../src/index.js';
import { nextEvent, startApplication } from './applications.js';
import { ImportWorker, MailWorker, Outbox, quiet } from './example-workers.js';

describe('@InjectWorkerType', () => {
  test('injects a typed door to one type, in classes that are decorated after forRoot() ran as well', async () => {
    const workers = WorkerModule.forRoot(quiet);
    @Injectable()
    class Signup {
      constructor(@InjectWorkerType('mail') readonly mail: WorkerTypeDoor<string>) {}
    }
    @Module({ providers: [Signup] })
    class FeatureModule {
      @InjectWorkerType('import') readonly imports!: WorkerTypeDoor<number>;
    }
    const app = await startApplication({
      imports: [workers, FeatureModule],
      providers: [MailWorker, Outbox, ImportWorker],
    });
    const { mail } = app.get(Signup, { strict: false });
    expect(mail).toBe(app.get(getWorkerTypeToken('mail')));
    expect(app.get(FeatureModule).imports.type).toBe('import');

    const died = nextEvent(app, 'deadLetter');
    const job = await mail.distributeWork(['a@example.org', '']);
    await job.completed;
    expect((await died).type).toBe('mail');
    expect(mail.offer('b@example.org')).toBe(true);
    await mail.waitForCompletion();
    expect(mail.counts()).toMatchObject({ submitted: 3, completed: 2, dead: 1 });
    expect(await mail.deadLetters()).toMatchObject([{ type: 'mail', payload: '', reason: 'unrecoverable' }]);

    await mail.pause();
    expect(await mail.redriveDeadLetters()).toBe(1);
    expect(mail.counts()).toMatchObject({ waiting: 1, dead: 0 });
    expect(await mail.deadLetters()).toEqual([]);
    const diedAgain = nextEvent(app, 'deadLetter');
    await mail.resume();
    await diedAgain;
    expect(await mail.redriveDeadLetters([])).toBe(0);
    expect(await mail.discardDeadLetters(['of another type'])).toBe(0);
    expect(await mail.deadLetters()).toHaveLength(1);
    expect(await mail.retryFailedItems()).toBe(0);
  });

  test('prints as the type that it is for, not as all that is behind it', async () => {
    @Injectable()
    class Signup {
      constructor(@InjectWorkerType('mail') readonly mail: WorkerTypeDoor<string>) {}
    }
    const app = await startApplication({
      imports: [WorkerModule.forRoot(quiet)],
      providers: [Signup, MailWorker, Outbox],
    });
    const { mail } = app.get(Signup);
    expect(inspect(mail)).toBe("WorkerTypeDoor { type: 'mail' }");
    expect(JSON.stringify(mail)).toBe('{"type":"mail"}');
  });

  test('can be replaced in tests of the class that it is injected into', async () => {
    @Injectable()
    class Signup {
      constructor(@InjectWorkerType('mail') readonly mail: WorkerTypeDoor<string>) {}
    }
    const distributeWork = jest.fn();
    const app = await startApplication({
      providers: [Signup, { provide: getWorkerTypeToken('mail'), useValue: { distributeWork } }],
    });
    await app.get(Signup).mail.distributeWork('x');
    expect(distributeWork).toHaveBeenCalledWith('x');
  });
});
