import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Where a row stands: without an outcome yet, or with one. A row that failed may become done. */
export type UploadRowState = 'pending' | 'done' | 'failed';

/** A row of an upload, with what became of it. All columns are named, as in `WorkerUpload`. */
@Entity('worker_upload_rows')
export class WorkerUploadRow {
  @PrimaryColumn('uuid', { name: 'upload_id' })
  uploadId!: string;

  /** Its place in the upload, from 1. */
  @PrimaryColumn('integer', { name: 'number' })
  number!: number;

  /** What the worker is given. Not `jsonb`, which refuses texts with a NUL character. */
  @Column('json', { name: 'payload' })
  payload!: unknown;

  @Column('text', { name: 'state', default: 'pending' })
  state!: UploadRowState;

  /** Attempts it took; counted anew when its dead letter was redriven. */
  @Column('integer', { name: 'attempts', default: 0 })
  attempts!: number;

  /** Why it failed; null when it has not. */
  @Column('text', { name: 'error', nullable: true })
  error!: string | null;
}
