import type { DataSource, EntityManager } from 'typeorm';

/** TypeORM finds things on a replica when there is one, and that may not know yet what was written a moment ago. */
export async function onPrimary<T>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  const runner = dataSource.createQueryRunner('master');
  try {
    return await work(runner.manager);
  } finally {
    await runner.release();
  }
}
