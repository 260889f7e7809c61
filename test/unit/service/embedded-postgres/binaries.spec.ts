import { expect, test } from '@jest/globals';
import { access, constants } from 'node:fs/promises';
import { findPostgresBinaries } from '../../../../src/service/embedded-postgres/binaries.js';

test('finds the binaries of this platform', async () => {
  const { initdb, postgres } = await findPostgresBinaries();

  await expect(access(initdb, constants.X_OK)).resolves.toBeUndefined();
  await expect(access(postgres, constants.X_OK)).resolves.toBeUndefined();
});

test('says on which platforms there are some, when this is none of them', async () => {
  const error = /asked for on sunos-sparc, but there is one for .*linux-x64 only.*DATABASE_URL/;
  await expect(findPostgresBinaries('sunos-sparc')).rejects.toThrow(error);
});
