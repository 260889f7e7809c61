import { createRequire } from 'node:module';
import type { WebhookMessage } from './activity.js';

/** One event of the package's list: its name, and payloads as GitHub has sent them. */
interface WebhookExamples {
  readonly name: string;
  readonly examples: readonly Readonly<Record<string, unknown>>[];
}

/** The example payloads of `@octokit/webhooks-examples`, one message for each, in the package's order. */
export function loadWebhookPayloads(): WebhookMessage[] {
  const events = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly WebhookExamples[];
  return events.flatMap(({ name, examples }) => examples.map((payload) => ({ event: name, payload })));
}
