import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';
import type { UploadStatus } from '../upload-store.js';

/** An upload: what came in together, and is worked on together. */
@Entity('worker_uploads')
export class WorkerUpload {
  @PrimaryColumn('uuid')
  id!: string;

  /** What the sender called it, such as the file's name. */
  @Column('text')
  name!: string;

  /** The worker type that its rows are for. */
  @Column('text')
  type!: string;

  @Column('text')
  status!: UploadStatus;

  /** Rows it has. */
  @Column('integer', { default: 0 })
  rows!: number;

  /** Rows that are done. */
  @Column('integer', { default: 0 })
  done!: number;

  /** Rows that failed. */
  @Column('integer', { default: 0 })
  failed!: number;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
