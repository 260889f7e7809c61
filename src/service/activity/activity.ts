import { describeValue, InvalidInputError } from '../invalid-input.js';

/** A webhook of GitHub as it comes in a message. */
export interface WebhookMessage {
  /** GitHub's `X-GitHub-Event` header. */
  readonly event: string;
  /** GitHub's `X-GitHub-Delivery` header: the same for each redelivery. */
  readonly deliveryId?: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** What happened, where, and by whom. */
export interface Activity {
  readonly deliveryId?: string;
  /** `owner/name`; `owner/*` for what concerns a whole account; `(none)` for what concerns neither. */
  readonly repository: string;
  readonly event: string;
  /** Null for events that know one action only, such as `push`. */
  readonly action: string | null;
  /** Null where nobody did it, such as a published security advisory. */
  readonly sender: string | null;
}

/** A message that can never be counted. */
export class InvalidWebhookError extends InvalidInputError {
  override readonly name = 'InvalidWebhookError';
}

export const NO_REPOSITORY = '(none)';

/**
 * Reads what is counted from a webhook. Not every event belongs to a repository: one of an organization or of
 * an app's installation counts for the account (`owner/*`), one of neither for `(none)`. What is there but
 * not as GitHub sends it is an {@link InvalidWebhookError}.
 */
export function toActivity(message: WebhookMessage): Activity {
  const { deliveryId, payload } = object('message', message);
  const event = text('event', message.event);
  const body = object('payload', payload);
  return {
    ...(deliveryId === undefined ? {} : { deliveryId: text('deliveryId', deliveryId) }),
    repository: repositoryOf(body),
    event,
    action: body['action'] === undefined ? null : text('payload.action', body['action']),
    sender: isAbsent(body['sender'])
      ? null
      : text('payload.sender.login', object('payload.sender', body['sender'])['login']),
  };
}

function repositoryOf(payload: Record<string, unknown>): string {
  const { repository, organization, installation } = payload;
  if (!isAbsent(repository)) {
    return text('payload.repository.full_name', object('payload.repository', repository)['full_name']);
  }
  if (!isAbsent(organization)) {
    return `${text('payload.organization.login', object('payload.organization', organization)['login'])}/*`;
  }
  // An installation is sent with its account, or as a bare id.
  const account = isAbsent(installation)
    ? undefined
    : object('payload.installation', installation)['account'];
  if (!isAbsent(account)) {
    const { login } = object('payload.installation.account', account);
    return `${text('payload.installation.account.login', login)}/*`;
  }
  return NO_REPOSITORY;
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

function object(field: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidWebhookError(field, 'an object', describeValue(value));
  }
  return value as Record<string, unknown>;
}

function text(field: string, value: unknown): string {
  if (typeof value !== 'string' || value === '')
    throw new InvalidWebhookError(field, 'a text', describeValue(value));
  // Postgres stores neither of them.
  if (/[\p{Cc}\p{Cs}]/u.test(value)) {
    throw new InvalidWebhookError(field, 'a text without control characters', describeValue(value));
  }
  return value;
}
