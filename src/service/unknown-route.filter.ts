import {
  Catch,
  MethodNotAllowedException,
  NotFoundException,
  type ArgumentsHost,
  type ExceptionFilter,
  type HttpException,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { answerError } from './answer-error.js';
import { methodsOf } from './routes.js';

/** Tells a sender who is at the wrong place which one is right. What a controller has not found is left to it. */
@Catch(NotFoundException)
export class UnknownRouteFilter implements ExceptionFilter<NotFoundException> {
  catch(error: NotFoundException, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const { method, path } = http.getRequest<Request>();
    const methods = methodsOf(path);
    if (methods.includes(method === 'HEAD' ? 'GET' : method)) return answerError(host, error);
    if (methods.length > 0) http.getResponse<Response>().setHeader('allow', methods.join(', '));
    answerError(host, unknownRoute(method, path, methods));
  }
}

function unknownRoute(method: string, path: string, methods: readonly string[]): HttpException {
  if (methods.length === 0) {
    return new NotFoundException(
      `${method} ${path}: there is no such path; GET / lists those that there are`,
    );
  }
  return new MethodNotAllowedException(`${path}: expected ${methods.join(' or ')}, got ${method}`);
}
