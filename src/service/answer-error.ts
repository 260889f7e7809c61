import type { ArgumentsHost, HttpException } from '@nestjs/common';
import type { Response } from 'express';

/** Answers with the error, in the shape that all errors of the service have. */
export function answerError(host: ArgumentsHost, error: HttpException): void {
  host.switchToHttp().getResponse<Response>().status(error.getStatus()).json(error.getResponse());
}
