import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The tables of `WorkerUpload` and `WorkerUploadRow`. */
export class CreateWorkerUploads1764000000000 implements MigrationInterface {
  readonly name = 'CreateWorkerUploads1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE worker_uploads (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        type text NOT NULL,
        status text NOT NULL,
        rows integer NOT NULL DEFAULT 0,
        done integer NOT NULL DEFAULT 0,
        failed integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
      )`);
    await runner.query(`
      CREATE TABLE worker_upload_rows (
        upload_id uuid NOT NULL,
        number integer NOT NULL,
        payload json NOT NULL,
        state text NOT NULL DEFAULT 'pending',
        attempts integer NOT NULL DEFAULT 0,
        error text,
        PRIMARY KEY (upload_id, number)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE worker_upload_rows');
    await runner.query('DROP TABLE worker_uploads');
  }
}
