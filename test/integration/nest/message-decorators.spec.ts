import { describe, expect, test } from '@jest/globals';
import {
  Catch,
  Injectable,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
  type Type,
} from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { Payload, RpcException } from '@nestjs/microservices';
import { of, tap } from 'rxjs';
import { MessageJob, type MessageReceipt } from '../../../src/index.js';
import { overTcp, Registrations, send, type User } from './mail-application.js';

const Role = (role: string) => SetMetadata('role', role);

describe('the decorators of Nest work as on a message handler', () => {
  const trace: string[] = [];
  function traced(name: string) {
    @Injectable()
    class TracingInterceptor implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler) {
        trace.push(`${name} before ${context.getClass().name}.${context.getHandler().name}`);
        return next
          .handle()
          .pipe(tap((receipt: MessageReceipt) => trace.push(`${name} after ${receipt.items}`)));
      }
    }
    return TracingInterceptor;
  }
  @Injectable()
  class Roles {
    readonly allowed = 'admin';
  }
  @Injectable()
  class RoleGuard implements CanActivate {
    constructor(
      private readonly reflector: Reflector,
      private readonly roles: Roles,
    ) {}
    canActivate(context: ExecutionContext) {
      const role = this.reflector.getAllAndOverride<string>('role', [
        context.getHandler(),
        context.getClass(),
      ]);
      return role === this.roles.allowed;
    }
  }
  @Injectable()
  class UserPipe implements PipeTransform<{ name?: string } | undefined> {
    transform(user: { name?: string } | undefined, { metatype, type }: { metatype?: Type; type: string }) {
      if (type === 'body' && typeof user?.name !== 'string') throw new RpcException('a user has a name');
      return type === 'body' ? { name: `${user!.name} (${metatype?.name})` } : user;
    }
  }
  @Catch(RangeError)
  class RangeFilter implements ExceptionFilter {
    catch(error: RangeError, host: ArgumentsHost) {
      trace.push(`filter of ${host.getType()}`);
      return of({ filtered: error.message });
    }
  }
  @Injectable()
  class FailingInterceptor implements NestInterceptor {
    intercept(): never {
      throw new RangeError('out of range');
    }
  }
  class NewUser {
    name!: string;
  }

  @Injectable()
  @UseInterceptors(traced('class'))
  @Role('nobody')
  class Decorated {
    @UseInterceptors(traced('method'))
    @MessageJob('traced', { worker: 'mail' })
    toItems(user: User) {
      trace.push('method');
      return user.name;
    }

    @Role('admin')
    @UseGuards(RoleGuard)
    @MessageJob('allowed', { worker: 'mail' })
    allowed(user: User) {
      return user.name;
    }

    @UseGuards(RoleGuard)
    @MessageJob('forbidden', { worker: 'mail' })
    forbidden(user: User) {
      return user.name;
    }

    @UsePipes(UserPipe)
    @MessageJob('piped', { worker: 'mail' })
    piped(@Payload() user: NewUser) {
      return user.name;
    }

    @MessageJob('parameter piped', { worker: 'mail' })
    parameterPiped(@Payload('user', UserPipe) user: NewUser) {
      return user.name;
    }

    @UseFilters(RangeFilter)
    @UseInterceptors(FailingInterceptor)
    @MessageJob('filtered', { worker: 'mail' })
    filtered(user: User) {
      return user.name;
    }
  }

  const start = () => overTcp({ providers: [Decorated, Roles] });

  test('interceptors of method and class, around the whole work on the message', async () => {
    trace.length = 0;
    const { client } = await start();
    await send(client, 'traced', { name: 'Ada' });
    expect(trace).toEqual([
      'class before Decorated.toItems',
      'method before Decorated.toItems',
      'method',
      'method after 1',
      'class after 1',
    ]);
  });

  test('guards with dependencies, which see what decorators say of method and class', async () => {
    const { client, jobs, seen } = await start();
    expect(await send(client, 'allowed', { name: 'Ada' })).toMatchObject({ done: 1 });
    await expect(send(client, 'forbidden', { name: 'Grace' })).rejects.toMatchObject({
      message: 'Forbidden resource',
    });
    expect(seen.items).toEqual(['Ada']);
    expect(jobs.counts('mail').submitted).toBe(1);
  });

  test('pipes of method and parameter, which are told the type of the parameter', async () => {
    const { client, jobs, seen } = await start();
    await send(client, 'piped', { name: 'Ada' });
    await send(client, 'parameter piped', { user: { name: 'Grace' } });
    await expect(send(client, 'piped', {})).rejects.toMatchObject({ message: 'a user has a name' });
    expect(seen.items).toEqual(['Ada (NewUser)', 'Grace (NewUser)']);
    expect(jobs.counts('mail').submitted).toBe(2);
  });

  test('filters', async () => {
    trace.length = 0;
    const { client } = await start();
    expect(await send(client, 'filtered', { name: 'Ada' })).toEqual({ filtered: 'out of range' });
    expect(trace).toContain('filter of rpc');
  });

  test('global ones', async () => {
    @Injectable()
    class NobodyGuard implements CanActivate {
      canActivate() {
        return false;
      }
    }
    const { client, jobs } = await overTcp({
      providers: [Registrations, { provide: APP_GUARD, useClass: NobodyGuard }],
    });
    await expect(send(client, 'user.registered', { name: 'Ada' })).rejects.toMatchObject({
      message: 'Forbidden resource',
    });
    expect(jobs.counts('mail').submitted).toBe(0);
  });
});
