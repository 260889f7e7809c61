import type { MigrationInterface, QueryRunner } from 'typeorm';
import { workerTables } from './worker-tables.js';

/** The tables of `WorkerUpload` and `WorkerUploadRow`, in the schema and with the prefix of the data source. */
export class CreateWorkerUploads1764000000000 implements MigrationInterface {
  readonly name = 'CreateWorkerUploads1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    const { uploads, rows } = workerTables(runner.dataSource);
    await runner.query(`
      CREATE TABLE ${uploads} (
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
      CREATE TABLE ${rows} (
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
    const { uploads, rows } = workerTables(runner.dataSource);
    await runner.query(`DROP TABLE ${rows}`);
    await runner.query(`DROP TABLE ${uploads}`);
  }
}
