import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/** How often an event happened in a repository: the number of its rows in `webhook_deliveries`. */
@Entity('repository_activity')
export class RepositoryActivity {
  @PrimaryColumn({ type: 'text' })
  repository!: string;

  @PrimaryColumn({ type: 'text' })
  event!: string;

  @Column({ type: 'integer' })
  count!: number;
}

/**
 * A message that has been counted. Its key is what keeps a message that comes again from being counted again.
 */
@Entity('webhook_deliveries')
export class WebhookDelivery {
  @PrimaryColumn({ name: 'message_id', type: 'text' })
  messageId!: string;

  @Column({ type: 'text' })
  repository!: string;

  @Column({ type: 'text' })
  event!: string;

  @Column({ type: 'text', nullable: true })
  action!: string | null;

  @Column({ type: 'text', nullable: true })
  sender!: string | null;

  @CreateDateColumn({ name: 'counted_at', type: 'timestamptz' })
  countedAt!: Date;
}
