import { Controller, Get } from '@nestjs/common';
import { ROUTES } from './routes.js';

/** Tells who opens the service's address what is there. */
@Controller()
export class RoutesController {
  @Get()
  list(): typeof ROUTES {
    return ROUTES;
  }
}
