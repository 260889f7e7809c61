import type { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = [
  `CREATE TABLE users (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     email text NOT NULL UNIQUE,
     source_row text NOT NULL,
     full_name text NOT NULL,
     birth_date date NOT NULL,
     country char(2) NOT NULL,
     phone text,
     signed_up_at timestamptz NOT NULL,
     plan text NOT NULL
   )`,
  `CREATE TABLE prices (
     symbol text NOT NULL,
     date date NOT NULL,
     open double precision,
     high double precision,
     low double precision,
     close double precision NOT NULL,
     volume double precision,
     PRIMARY KEY (symbol, date),
     CONSTRAINT prices_close_positive CHECK (close > 0)
   )`,
  `CREATE TABLE quote_statistics (
     symbol text PRIMARY KEY,
     prices integer NOT NULL,
     first_date date NOT NULL,
     last_date date NOT NULL,
     periods_per_year integer NOT NULL,
     total_return double precision NOT NULL,
     moving_average_20 double precision,
     moving_average_50 double precision,
     annual_volatility double precision,
     max_drawdown double precision NOT NULL
   )`,
  `CREATE TABLE webhook_deliveries (
     message_id text PRIMARY KEY,
     repository text NOT NULL,
     event text NOT NULL,
     action text,
     sender text,
     counted_at timestamptz NOT NULL DEFAULT now()
   )`,
  `CREATE TABLE repository_activity (
     repository text NOT NULL,
     event text NOT NULL,
     count integer NOT NULL,
     PRIMARY KEY (repository, event)
   )`,
];

/** The tables that the workers of the service write to. */
export class CreateServiceTables1764000000001 implements MigrationInterface {
  readonly name = 'CreateServiceTables1764000000001';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(table);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of [
      'repository_activity',
      'webhook_deliveries',
      'quote_statistics',
      'prices',
      'users',
    ]) {
      await runner.query(`DROP TABLE ${table}`);
    }
  }
}
