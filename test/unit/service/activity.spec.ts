import { describe, expect, it } from '@jest/globals';
import { InvalidWebhookError, NO_REPOSITORY, toActivity } from '../../../src/service/activity/activity.js';
import { loadWebhookPayloads } from '../../../src/service/activity/webhook-payloads.js';

const REPOSITORY = { full_name: 'octo/hello' };
const ORGANIZATION = { login: 'octo' };
const SENDER = { login: 'mona' };

describe('loadWebhookPayloads', () => {
  it('gives every example of every event', () => {
    const messages = loadWebhookPayloads();
    expect(messages).toHaveLength(329);
    expect(new Set(messages.map(({ event }) => event)).size).toBe(58);
    expect(messages.filter(({ event }) => event === 'push').length).toBe(7);
  });
});

describe('toActivity', () => {
  it('takes every example, and counts it where it belongs', () => {
    const activities = loadWebhookPayloads().map(toActivity);
    const where = { repository: 0, account: 0, none: 0 };
    for (const { repository } of activities) {
      if (repository === NO_REPOSITORY) where.none++;
      else if (repository.endsWith('/*')) where.account++;
      else where.repository++;
    }
    expect(where).toEqual({ repository: 280, account: 35, none: 14 });
    expect(activities.filter(({ repository }) => repository === 'Codertocat/Hello-World')).toHaveLength(230);
    expect(activities.filter(({ sender }) => sender === null).map(({ event }) => event)).toEqual(
      Array(4).fill('security_advisory'),
    );
    expect(activities.filter(({ action }) => action === null)).toHaveLength(43);
  });

  it('prefers the repository to the organization, and that to the installation', () => {
    const installation = { id: 1, account: { login: 'cat' } };
    const payload = { repository: REPOSITORY, organization: ORGANIZATION, installation, sender: SENDER };
    const repositoryOf = (change: object): string =>
      toActivity({ event: 'e', payload: { ...payload, ...change } }).repository;
    expect(repositoryOf({})).toBe('octo/hello');
    expect(repositoryOf({ repository: undefined })).toBe('octo/*');
    expect(repositoryOf({ repository: null, organization: undefined })).toBe('cat/*');
    expect(repositoryOf({ repository: null, organization: null, installation: { id: 1 } })).toBe('(none)');
  });

  it('keeps the delivery id, the action and the sender', () => {
    expect(
      toActivity({
        event: 'issues',
        deliveryId: 'd-1',
        payload: { action: 'opened', repository: REPOSITORY, sender: SENDER },
      }),
    ).toEqual({
      deliveryId: 'd-1',
      repository: 'octo/hello',
      event: 'issues',
      action: 'opened',
      sender: 'mona',
    });
    expect(toActivity({ event: 'push', payload: { repository: REPOSITORY } })).toEqual({
      repository: 'octo/hello',
      event: 'push',
      action: null,
      sender: null,
    });
  });

  it.each<[unknown, string]>([
    [null, 'message: expected an object, got null'],
    [{ payload: {} }, 'event: expected a text, got nothing'],
    [{ event: '', payload: {} }, 'event: expected a text, got nothing'],
    [{ event: 7, payload: {} }, 'event: expected a text, got 7'],
    [{ event: 'a\0b', payload: {} }, 'event: expected a text without control characters, got "a\\u0000b"'],
    [{ event: 'push' }, 'payload: expected an object, got nothing'],
    [{ event: 'push', payload: [] }, 'payload: expected an object, got an array'],
    [{ event: 'push', payload: '{}' }, 'payload: expected an object, got "{}"'],
    [{ event: 'push', deliveryId: 5, payload: {} }, 'deliveryId: expected a text, got 5'],
    [{ event: 'push', payload: { action: {} } }, 'payload.action: expected a text, got an object'],
    [
      { event: 'push', payload: { repository: {} } },
      'payload.repository.full_name: expected a text, got nothing',
    ],
    [
      { event: 'push', payload: { repository: 'octo/hello' } },
      'payload.repository: expected an object, got "octo/hello"',
    ],
    [
      { event: 'push', payload: { organization: {} } },
      'payload.organization.login: expected a text, got nothing',
    ],
    [
      { event: 'push', payload: { installation: { account: {} } } },
      'payload.installation.account.login: expected a text, got nothing',
    ],
    [{ event: 'push', payload: { sender: {} } }, 'payload.sender.login: expected a text, got nothing'],
  ])('refuses %j', (message, expected) => {
    let error: unknown;
    try {
      toActivity(message as never);
    } catch (reason) {
      error = reason;
    }
    expect(error).toBeInstanceOf(InvalidWebhookError);
    expect((error as Error).message).toBe(expected);
  });
});
