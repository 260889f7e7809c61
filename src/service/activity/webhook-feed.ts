import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { MessageJob } from '../../index.js';
import { toActivity, type WebhookMessage } from './activity.js';
import type { ActivityToStore } from './store-activity.js';

/** Pattern of the messages that carry webhooks. */
export const WEBHOOK_PATTERN = 'github.webhook';

/** Takes webhooks from whatever transport the service listens on. */
@Injectable()
export class WebhookFeed {
  /** Acknowledged when it is settled, on a durable engine as well: the sender counts what became of its webhooks. */
  @MessageJob(WEBHOOK_PATTERN, { worker: 'message-processing', acknowledge: 'settled' })
  toItems(message: WebhookMessage): ActivityToStore {
    const activity = toActivity(message);
    return { messageId: activity.deliveryId ?? digest(message), activity };
  }
}

/** Names a message that came without an id, such that it has the same name when it comes again. */
function digest(message: WebhookMessage): string {
  return createHash('sha256').update(JSON.stringify(message)).digest('hex');
}
