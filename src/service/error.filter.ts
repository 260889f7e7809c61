import {
  BadRequestException,
  Catch,
  ConflictException,
  InternalServerErrorException,
  NotFoundException,
  ServiceUnavailableException,
  type ArgumentsHost,
  type ExceptionFilter,
  type HttpException,
} from '@nestjs/common';
import { ProcessClosedError, UnknownUploadError, UploadNotReadyError } from '../index.js';
import { answerError } from './answer-error.js';
import { MalformedFileError } from './users/malformed-file-error.js';

const ANSWERS = new Map<unknown, new (message: string) => HttpException>([
  [MalformedFileError, BadRequestException],
  [UnknownUploadError, NotFoundException],
  [UploadNotReadyError, ConflictException],
  [ProcessClosedError, ServiceUnavailableException],
]);

/** Answers with what went wrong where the sender can do something about it. */
@Catch(MalformedFileError, UnknownUploadError, UploadNotReadyError, ProcessClosedError)
export class ErrorFilter implements ExceptionFilter<Error> {
  catch(error: Error, host: ArgumentsHost): void {
    const Answer = ANSWERS.get(error.constructor) ?? InternalServerErrorException;
    answerError(host, new Answer(error.message));
  }
}
