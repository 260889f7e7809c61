/** `node --import <this file> file.ts` runs TypeScript, decorators included, outside of Jest. */
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
