import { Catch, HttpStatus, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { Response } from 'express';
import { ProcessClosedError, UnknownUploadError, UploadNotReadyError } from '../index.js';
import { MalformedFileError } from './users/malformed-file-error.js';

const STATUS = new Map<unknown, HttpStatus>([
  [MalformedFileError, HttpStatus.BAD_REQUEST],
  [UnknownUploadError, HttpStatus.NOT_FOUND],
  [UploadNotReadyError, HttpStatus.CONFLICT],
  [ProcessClosedError, HttpStatus.SERVICE_UNAVAILABLE],
]);

/** Answers with what went wrong where the sender can do something about it. */
@Catch(MalformedFileError, UnknownUploadError, UploadNotReadyError, ProcessClosedError)
export class ErrorFilter implements ExceptionFilter<Error> {
  catch(error: Error, host: ArgumentsHost): void {
    const status = STATUS.get(error.constructor) ?? HttpStatus.INTERNAL_SERVER_ERROR;
    const response = host.switchToHttp().getResponse<Response>();
    response.status(status).json({ statusCode: status, message: error.message });
  }
}
