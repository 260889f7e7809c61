import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';
import type { UploadStatus } from '../upload-store.js';

/**
 * An upload: what came in together, and is worked on together. All columns are named here, so that a naming strategy
 * leaves them as the store's SQL has them.
 */
@Entity('worker_uploads')
export class WorkerUpload {
  @PrimaryColumn('uuid', { name: 'id' })
  id!: string;

  /** What the sender called it, such as the file's name. */
  @Column('text', { name: 'name' })
  name!: string;

  /** The worker type that its rows are for. */
  @Column('text', { name: 'type' })
  type!: string;

  @Column('text', { name: 'status' })
  status!: UploadStatus;

  /** Rows it has. */
  @Column('integer', { name: 'rows', default: 0 })
  rows!: number;

  /** Rows that are done. */
  @Column('integer', { name: 'done', default: 0 })
  done!: number;

  /** Rows that failed. */
  @Column('integer', { name: 'failed', default: 0 })
  failed!: number;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
