import { Logger } from '@nestjs/common';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';

/** Emits and sends messages over Nest's Redis transport, and prints the answers. */
const [url, pattern] = process.argv.slice(2) as [string, string];
const { hostname, port, pathname } = new URL(url);
const client = ClientProxyFactory.create({
  transport: Transport.REDIS,
  options: { host: hostname, port: Number(port), db: Number(pathname.slice(1)) },
});
// The lines that it prints are the answers.
Logger.overrideLogger(false);
await client.connect();
await lastValueFrom(client.emit(pattern, { name: 'Ada' }), { defaultValue: undefined });
console.log(JSON.stringify(await lastValueFrom(client.send(pattern, { name: 'Grace' }))));
console.log(JSON.stringify(await lastValueFrom(client.send(pattern, { nom: 'Edsger' }))));
await client.close();
