export { freePort } from '../../src/service/embedded-postgres/free-port.js';
