export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

const NOBODY: ServerUser = { uid: 65534, gid: 65534 };

/** The user a server has to run as: undefined is "the same as this process". */
export function serverUser(): ServerUser | undefined {
  const isRoot = process.getuid?.() === 0;
  // Postgres refuses to run as root, and no other server needs to.
  return isRoot ? NOBODY : undefined;
}
