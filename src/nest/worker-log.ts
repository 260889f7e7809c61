import { Logger } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';

/** What the module writes to the log: a text for people, and its parts for machines. */
export interface WorkerLog {
  debug(message: string, fields: LogFields): void;
  info(message: string, fields: LogFields): void;
  warn(message: string, fields: LogFields): void;
  error(message: string, fields: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

const CONTEXT = 'WorkerModule';

/**
 * Writes by nestjs-pino where the application has it, with the fields as fields; else by Nest's logger the texts, and of the
 * fields the stack of the error `err`.
 */
export async function createWorkerLog(moduleRef: ModuleRef): Promise<WorkerLog> {
  return (await findPinoLog(moduleRef)) ?? nestLog();
}

async function findPinoLog(moduleRef: ModuleRef): Promise<WorkerLog | undefined> {
  try {
    const { Logger: PinoLogger } = await import('nestjs-pino');
    const pino = moduleRef.get(PinoLogger, { strict: false });
    return {
      debug: (message, fields) => pino.debug(fields, message, CONTEXT),
      info: (message, fields) => pino.log(fields, message, CONTEXT),
      warn: (message, fields) => pino.warn(fields, message, CONTEXT),
      error: (message, fields) => pino.error(fields, message, CONTEXT),
    };
  } catch {
    // It is not installed, or the application does not use it.
    return undefined;
  }
}

function nestLog(): WorkerLog {
  const logger = new Logger(CONTEXT);
  return {
    debug: (message) => logger.debug(message),
    info: (message) => logger.log(message),
    warn: (message) => logger.warn(message),
    error: (message, { err }) => logger.error(message, stackOf(err)),
  };
}

/** What was thrown may be no error, and may throw itself when it is looked at. */
function stackOf(thrown: unknown): string | undefined {
  try {
    const { stack } = (thrown ?? {}) as { readonly stack?: unknown };
    return typeof stack === 'string' ? stack : undefined;
  } catch {
    return undefined;
  }
}
