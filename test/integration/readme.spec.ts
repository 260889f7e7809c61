/* oxlint-disable jest/no-standalone-expect -- one test runs only where there is curl */
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { lastValueFrom } from 'rxjs';
import ts from 'typescript';
import {
  findProcessOptionProblems,
  findTypeOptionProblems,
  resolveProcessOptions,
  resolveTypeOptions,
} from '../../src/core/options.js';
import { thresholdScaling, WorkerProcess, type JobProcess, type MessageReceipt } from '../../src/index.js';
import { resolveRedisStoreOptions } from '../../src/engines/bullmq/redis-store-options.js';
import { DURABLE_DEFAULTS } from '../../src/engines/durable/durable-options.js';
import { cursorJobSettingRules } from '../../src/nest/cursor-job.decorator.js';
import { splitOptions } from '../../src/nest/worker-module-options.js';
import { loadWebhookPayloads } from '../../src/service/activity/webhook-payloads.js';
import { renderSummary } from '../../src/service/display/render-summary.js';
import { readQuoteFiles } from '../../src/service/quotes/quote-files.js';
import { USER_COLUMNS } from '../../src/service/users/user-columns.js';
import { generateUserFile } from '../../src/service/users/user-file.js';
import { buildPackage, type BuiltPackage } from '../support/built-package.js';
import { createTestDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { createRedisNamespace } from '../support/redis.js';
import { until } from '../support/until.js';
import { startTestService } from './service/running-service.js';

const LISTEN_LIMIT_MS = 20_000;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGES = ['README.md', 'docs/architecture.md', 'docs/guarantees.md', 'CONTRIBUTING.md'];
const textOf = (page: string) => readFileSync(path.join(ROOT, page), 'utf8');
const README = textOf('README.md');

interface Manifest {
  readonly name: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
}

const manifest = JSON.parse(textOf('package.json')) as Manifest;

/** Asks the README's application to refresh somebody; undefined while it does not listen. */
function refresh(): Promise<Response | undefined> {
  return fetch(`http://127.0.0.1:${port}/users/ada/refresh`, { method: 'POST' }).catch(() => undefined);
}

/** The code blocks of a language, in the order of the text. */
function blocks(page: string, language: string): string[] {
  const fences = textOf(page).matchAll(/^```(\w*)\n([^]*?)^```$/gm);
  return [...fences].filter(([, name]) => name === language).map(([, , code]) => code!);
}

/** The body of the table below a header that begins with `| first |`, as cells. */
function tables(first: string): string[][][] {
  const found = README.matchAll(new RegExp(`^\\| *${first} *\\|.*\\n\\|[-| ]+\\n((?:\\|.*\\n)+)`, 'gm'));
  return [...found].map(([, body]) =>
    body!
      .trim()
      .split('\n')
      .map((line) =>
        line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      ),
  );
}

interface Block {
  /** Of the file that it is, which its first line names; undefined: a part of the text on its own. */
  readonly file: string | undefined;
  readonly code: string;
}

const typescript: readonly Block[] = blocks('README.md', 'ts').map((code) => ({
  file: /^\/\/ ([\w.-]+\.ts)$/m.exec(code.split('\n')[0]!)?.[1],
  code,
}));
const [operations, plain, ...otherParts] = typescript.filter(({ file }) => file === undefined) as [
  Block,
  Block,
];
const ofApplication = typescript.filter((block) => block.file !== undefined) as Required<Block>[];

/** The application as it stands each time that its main file has been told, and at the end; what comes again replaces. */
const stages = {
  worker: ofApplication.slice(0, placesOfMain()[0]! + 1),
  feeds: ofApplication.slice(0, placesOfMain()[1]! + 1),
  whole: ofApplication,
};
type Stage = keyof typeof stages;

function placesOfMain(): number[] {
  return ofApplication.flatMap(({ file }, place) => (file === 'main.ts' ? [place] : []));
}

const filesOf = (stage: Stage) => new Set(stages[stage].map(({ file }) => file));

/** The text of a file, as a stage has it. */
const codeOf = (stage: Stage, file: string) => stages[stage].findLast((block) => block.file === file)!.code;

/** What the text says beside some code, behind `// {`. */
function saidBeside(code: string, call: string): string[] {
  const line = code.split('\n').find((text) => text.includes(`${call}; // { `))!;
  return /\/\/ \{ (.*?)(?:, …)? \}/.exec(line)![1]!.split(', ');
}

let built: BuiltPackage;
/** Where the application is served for HTTP and for messages, in place of the ports that the README has. */
let port: number;
let messagePort: number;

beforeAll(async () => {
  [built, port, messagePort] = await Promise.all([buildPackage(), freePort(), freePort()]);
  for (const [stage, files] of Object.entries(stages)) {
    // One after the other, as a reader copies them.
    for (const { file, code } of files) await write(path.join(stage, file!), code);
    await write(path.join(stage, 'main-here.ts'), withOwnPorts(codeOf(stage as Stage, 'main.ts')));
  }
  await write('whole/operations.ts', operations.code);
  await write('plain.ts', plain.code);
});

/** Writes a file of the README, and translates it. */
async function write(file: string, code: string): Promise<void> {
  const source = path.join(built.folder, 'readme', file);
  await mkdir(path.dirname(source), { recursive: true });
  await writeFile(source, code);
  await built.add(source, path.join('readme', file.replace(/\.ts$/, '.js')));
}

function withOwnPorts(main: string): string {
  return main.replace('listen(3000)', `listen(${port})`).replace('port: 4000', `port: ${messagePort}`);
}

afterAll(() => built.remove());

/** A module of the built package. */
const load = (file: string) => import(pathToFileURL(path.join(built.folder, file)).href);

const closings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0).toReversed()) await close();
});

/** A module of a stage of the application. */
const loadOf = (stage: Stage, file: string) => load(`readme/${stage}/${file}`);
const jobsOf = async (app: INestApplicationContext) => {
  const { JobProcess: Jobs } = (await load('dist/index.js')) as { JobProcess: typeof JobProcess };
  return app.get(Jobs);
};

/** Has the application find its database, here as in the processes that are started. */
async function provideDatabase(): Promise<{ readonly DATABASE_URL: string }> {
  const database = await createTestDatabase();
  closings.push(() => database.drop());
  const { DATABASE_URL: usual } = process.env;
  closings.push(() => Promise.resolve((process.env.DATABASE_URL = usual)));
  process.env.DATABASE_URL = database.url;
  return { DATABASE_URL: database.url };
}

async function post(url: string, body: unknown = {}): Promise<Record<string, unknown>> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return (await response.json()) as Record<string, unknown>;
}

describe('the TypeScript of the README', () => {
  it('is an application that grows twice, a part for it, and a script; no page has more', () => {
    expect(otherParts).toEqual([]);
    expect(blocks('docs/architecture.md', 'ts')).toEqual([]);
    expect(placesOfMain()).toHaveLength(2);
    const first = [
      'users.ts',
      'user-processing.worker.ts',
      'users.controller.ts',
      'app.module.ts',
      'main.ts',
    ];
    expect(filesOf('worker')).toEqual(new Set(first));
    expect(filesOf('feeds')).toEqual(new Set([...first, 'feeds.module.ts']));
    expect(filesOf('whole')).toEqual(
      new Set([
        ...first,
        'feeds.module.ts',
        'database.module.ts',
        'uploads.controller.ts',
        'durable.module.ts',
      ]),
    );
    for (const stage of Object.keys(stages) as Stage[]) {
      expect(codeOf(stage, 'main.ts')).toContain('listen(3000)');
      expect(codeOf(stage, 'main.ts').includes('port: 4000')).toBe(stage !== 'worker');
    }
  });

  it.each(Object.keys(stages))('compiles against the package: %s', (stage) => {
    const { options } = ts.parseJsonConfigFileContent(
      ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file)).config,
      ts.sys,
      ROOT,
    );
    const written = stages[stage as Stage].map(({ file }) => `${stage}/${file}`);
    const parts = stage === 'whole' ? ['whole/operations.ts', 'plain.ts'] : [];
    const program = ts.createProgram(
      [...written, ...parts].map((file) => path.join(built.folder, 'readme', file)),
      {
        ...options,
        rootDir: undefined,
        noEmit: true,
        paths: {
          [manifest.name]: [path.join(ROOT, 'src/index.ts')],
          [`${manifest.name}/*`]: [path.join(ROOT, 'src/*.ts')],
        },
      },
    );
    const problems = ts.getPreEmitDiagnostics(program);
    expect(
      ts.formatDiagnostics(problems, { ...ts.sys, getCanonicalFileName: String, getNewLine: () => '\n' }),
    ).toBe('');
  });

  it('prints without Nest what stands beside it', async () => {
    const { code, output, errors } = await built.start('readme/plain.js').ended;
    expect([code, errors]).toEqual([0, '']);
    const [one, four, nine, ...result] = output.split('\n');
    expect([one, four, nine]).toEqual(['1', '4', '9']);
    const said = /console\.log\(await job\.completed\); \/\/ \{ (.*), … \}/.exec(plain.code)![1]!.split(', ');
    expect(said.length).toBeGreaterThan(2);
    for (const part of said) expect(result.join(' ')).toContain(part);
  });
});

describe('the application of the README', () => {
  it.each(Object.keys(stages))('starts, serves and ends at a signal: %s', async (stage) => {
    const env = await provideDatabase();
    const program = built.start(`readme/${stage}/main-here.js`, [], stage === 'whole' ? env : {});
    await program.printed(/successfully started/);
    // Nest says so before it listens.
    const response = (await until(refresh, (answer) => answer !== undefined, LISTEN_LIMIT_MS))!;
    const answer = (await response.json()) as Record<string, unknown>;
    const said = saidBeside(codeOf('whole', 'users.controller.ts'), 'return job.completed');
    expect(Object.keys(answer)).toEqual(expect.arrayContaining(said));
    expect(answer).toMatchObject({ status: 'completed', total: 1, done: 1, failed: 0 });

    program.signal('SIGTERM');
    expect(await program.ended).toMatchObject({ signal: 'SIGTERM', errors: '' });
  });

  it('keeps its items in Redis by the one option', async () => {
    const redis = await createRedisNamespace();
    closings.push(() => redis.close());
    const { REDIS_URL: usual } = process.env;
    closings.push(() => Promise.resolve((process.env.REDIS_URL = usual)));
    process.env.REDIS_URL = redis.url;
    const { DurableModule } = (await loadOf('whole', 'durable.module.js')) as { DurableModule: Type };
    const open = async () => {
      const app = await NestFactory.createApplicationContext(DurableModule, { logger: false });
      closings.push(() => app.close());
      return jobsOf(app);
    };
    const [jobs, others] = [await open(), await open()];
    const job = await jobs.distributeWork('user-processing', [{ id: 'ada' }, { id: '' }]);
    await others.waitForCompletion('user-processing');
    expect((await others.findJob(job.id))?.progress()).toMatchObject({ total: 2, done: 1, failed: 1 });
    expect(await others.deadLetters({ type: 'user-processing' })).toMatchObject([{ payload: { id: '' } }]);
  }, 30_000);

  it('is fed by its cursor and its messages, before it has a database', async () => {
    const { AppModule } = (await loadOf('feeds', 'app.module.js')) as { AppModule: Type };
    const { FeedsModule } = (await loadOf('feeds', 'feeds.module.js')) as { FeedsModule: Type };
    const transport = { transport: Transport.TCP, options: { port: await freePort() } } as const;
    const grown = { module: class Grown {}, imports: [AppModule, FeedsModule] };
    const app = await NestFactory.create(grown, { logger: false });
    closings.push(() => app.close());
    app.connectMicroservice(transport);
    await app.startAllMicroservices();
    await app.init();

    const jobs = await jobsOf(app);
    expect(await jobs.processCursorData('directory').completed).toMatchObject({
      status: 'completed',
      pages: 3,
      done: 1_201,
    });

    const client = ClientProxyFactory.create(transport);
    closings.push(async () => client.close());
    const send = (message: object) => lastValueFrom(client.send<MessageReceipt>('user.registered', message));
    expect(await send({ person: { id: 'ada' } })).toMatchObject({ done: 1 });
    expect(await send({})).toMatchObject({ failed: 1, rejected: 'person: expected one, got none' });

    const { UserRepository } = (await loadOf('feeds', 'users.js')) as {
      UserRepository: new () => { readonly imported: Set<string> };
    };
    const { imported } = app.get(UserRepository);
    expect([imported.size, [...imported].at(-1)]).toEqual([1_202, 'ada']);
  });

  it('takes uploads in and works on them, in Postgres, with all of its parts', async () => {
    await provideDatabase();
    const { AppModule } = (await loadOf('whole', 'app.module.js')) as { AppModule: Type };
    const { Operations } = (await loadOf('whole', 'operations.js')) as {
      Operations: new (jobs: WorkerProcess) => { tidyUp(): Promise<object> };
    };
    const grown = { module: class Grown {}, imports: [AppModule], providers: [Operations] };
    const app = await NestFactory.create(grown, { logger: false });
    closings.push(() => app.close());
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const jobs = await jobsOf(app);
    expect(await jobs.processCursorData('directory').completed).toMatchObject({ done: 1_201 });

    const { id } = (await post(`${url}/uploads`, [{ id: 'ada' }, { id: 'grace' }, { id: 'edsger' }])) as {
      id: string;
    };
    const run = await post(`${url}/uploads/${id}/process`);
    const said = saidBeside(codeOf('whole', 'uploads.controller.ts'), 'this.jobs.processUserUpload(id)');
    expect(Object.keys(run)).toEqual(said);
    expect(await (await jobs.processUserUpload(id)).completed).toMatchObject({ status: 'completed' });
    const rows = `SELECT DISTINCT state, attempts, error FROM worker_upload_rows`;
    const { DataSource } = await import('typeorm');
    expect(await app.get(DataSource).query(rows)).toEqual([{ state: 'done', attempts: 1, error: null }]);

    // Whoever has no id is refused, at each attempt.
    const told = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    closings.push(() => Promise.resolve(told.mockRestore()));
    jobs.on('retry', () => setImmediate(() => void jobs.retryFailedItems('user-processing')));
    const job = await jobs.distributeWork('user-processing', { id: '' });
    expect(await job.completed).toMatchObject({ failed: 1 });
    expect(told.mock.calls).toEqual([[`user-processing ${job.id}:0: id: expected a text`]]);
    expect(await app.get(Operations).tidyUp()).toEqual({ redriven: 0, discarded: 1 });
  });

  it('decides on dead letters, and hears of each', async () => {
    const { Operations } = (await loadOf('whole', 'operations.js')) as {
      Operations: new (jobs: WorkerProcess) => { onModuleInit(): void; tidyUp(): Promise<object> };
    };
    const jobs = new WorkerProcess({ retry: { limit: 0 } });
    closings.push(() => jobs.shutdown());
    let isDown = true;
    jobs.register('user-processing', {
      processItem: (person: string) => {
        if (isDown) throw new Error(person === 'ada' ? 'mail server is down' : 'no such person');
      },
    });
    const told = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    closings.push(() => Promise.resolve(told.mockRestore()));
    const here = new Operations(jobs);
    here.onModuleInit();
    const job = await jobs.distributeWork('user-processing', ['ada', 'nobody']);
    await job.completed;
    expect(told.mock.calls).toEqual([
      [`user-processing ${job.id}:0: mail server is down`],
      [`user-processing ${job.id}:1: no such person`],
    ]);
    isDown = false;
    expect(await here.tidyUp()).toEqual({ redriven: 1, discarded: 1 });
    await jobs.waitForCompletion();
    expect(job.progress()).toMatchObject({ done: 1, failed: 1 });
    expect(await jobs.deadLetters()).toEqual([]);
  });
});

describe('the commands of the pages', () => {
  it('are scripts of the package, or npm itself', () => {
    for (const page of PAGES) {
      const commands = textOf(page).matchAll(
        /(?<=^|`|&& )npm (?:(?:run(?: --silent)?) ([\w:-]+)|([a-z]+))/gm,
      );
      for (const [command, script, verb] of commands) {
        const isKnown =
          script === undefined
            ? ['ci', 'install', ...Object.keys(manifest.scripts)].includes(verb!)
            : script in manifest.scripts;
        expect([page, command, isKnown]).toEqual([page, command, true]);
      }
    }
  });

  it('do no more than that in shell blocks', () => {
    const lines = PAGES.flatMap((page) => blocks(page, 'sh')).flatMap((block) => block.trim().split('\n'));
    expect(lines).toEqual(expect.arrayContaining(['npm ci && npm start', 'npm ci && npm test']));
    const others = lines.filter((line) => !line.startsWith('curl '));
    for (const command of others.flatMap((line) => line.replace(/ +#.*/, '').split(' && '))) {
      expect(command).toMatch(/^npm (ci|test|start|run [\w:-]+( -- --[\w -]+)?|install [\w@/ -]+)$/);
    }
  });

  /** Packages that no install line has to name. */
  const everyNestApp = ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs'];
  const installed = [...README.matchAll(/^npm install (.*)$/gm)].map(([, names]) => names!.split(' '));

  it('install every package that has to be there and that no Nest application has anyway', () => {
    const needed = Object.keys(manifest.peerDependencies).filter(
      (name) => manifest.peerDependenciesMeta[name]?.optional !== true && !everyNestApp.includes(name),
    );
    expect(installed[0]).toEqual([manifest.name, ...needed]);
  });

  it('install what the files import, before they do, and what TypeORM needs for Postgres', () => {
    expect(installed).toHaveLength(3);
    const [first, forUploads, forEngine] = installed as [string[], string[], string[]];
    const imported = (stage: Stage) =>
      stages[stage]
        .flatMap(({ code }) => [...code.matchAll(/ from '([^.'][^']*)'/g)])
        .map(([, entry]) => entry!.replace(/^([^@].*)\/(?:typeorm|bullmq)$/, '$1'))
        .filter((name) => !everyNestApp.includes(name));
    expect([...first, ...everyNestApp]).toEqual(expect.arrayContaining(imported('feeds')));
    expect([...first, ...forUploads, ...forEngine]).toEqual(expect.arrayContaining(imported('whole')));
    const [table] = tables('part') as [string[][]];
    const parts = Object.fromEntries(
      table.map(([part, names]) => [part, [...names!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)]),
    );
    expect(parts['uploads, in Postgres']).toEqual(forUploads);
    expect(forUploads).toContain('pg');
    expect(parts['the durable engine']).toEqual(forEngine);
    const optional = Object.keys(manifest.peerDependenciesMeta);
    expect(Object.values(parts).flat()).toEqual(expect.arrayContaining(optional));
  });
});

/** `retry.a`, `.b` in one cell are two options with two defaults. */
const options = (rows: readonly string[][]): [name: string, value: string][] =>
  rows.flatMap(([names, values]) => {
    const ticked = [...names!.matchAll(/`([\w.]+)`/g)].map(([, name]) => name!);
    const given = ticked.length === 1 ? [values!] : values!.split(/, /);
    const full = ticked.map((name) => (name.startsWith('.') ? `retry${name}` : name));
    return full.map((name, index): [string, string] => [name, given[index] ?? values!]);
  });
const numberOf = (text: string) => Number(text.replaceAll(',', ''));

/** The names that the rules know, from what they say to one that they do not. */
const known = (problems: readonly string[]) => problems[0]!.split('expected one of ')[1]!.split(', ');

describe('the option tables', () => {
  const [ofTypes, ofModule, ofEngine] = tables('option') as [string[][], string[][], string[][]];
  const unknown = { unknownOption: 1 } as object;
  const retryNames = known(findTypeOptionProblems({ retry: unknown })).map((name) => `retry.${name}`);
  const typeNames = known(findTypeOptionProblems(unknown)).filter((name) => name !== 'retry');
  const processNames = known(findProcessOptionProblems(unknown));

  it('of worker types has every option, with its default', () => {
    const listed = options(ofTypes);
    expect(new Set(listed.map(([name]) => name))).toEqual(new Set([...typeNames, ...retryNames]));

    const { retry, ...resolved } = resolveTypeOptions('any', {}, resolveProcessOptions());
    const retryOptions = Object.entries(retry).map(([name, value]) => [`retry.${name}`, value] as const);
    const defaults = new Map<string, unknown>([...Object.entries(resolved), ...retryOptions]);
    const inWords = new Map<string, unknown>([
      ['the formula above', thresholdScaling],
      ['`maxConcurrency`', resolved.maxConcurrency],
      ['all', retry.retryable],
      ['false', false],
      ['none', undefined],
    ]);
    for (const [name, said] of listed) {
      expect([name, inWords.has(said) ? inWords.get(said) : numberOf(said)]).toEqual([
        name,
        defaults.get(name),
      ]);
    }
    expect(retry.retryable(new Error('any'))).toBe(true);
  });

  it('of the module has every option, with its default', () => {
    const listed = options(ofModule);
    const ofProcess = processNames.filter((name) => !typeNames.includes(name) && name !== 'retry');
    // The module starts its workers itself.
    const expected = [
      ...ofProcess.filter((name) => name !== 'autoStart'),
      ...Object.keys(splitOptions({}).own),
    ];
    expect(new Set(listed.map(([name]) => name))).toEqual(new Set(expected));

    const defaults = new Map<string, unknown>(Object.entries(resolveProcessOptions()));
    for (const [name, said] of listed.filter(([, text]) => /^(\d[\d,]*|true|false)$/.test(text))) {
      // What is the module's own is not resolved but by the code that uses it.
      if (!defaults.has(name)) continue;
      expect([name, said.replaceAll(',', '')]).toEqual([name, String(defaults.get(name))]);
    }
    expect(README).toMatch(/`autoStart`\n?\s?\(default true\)/);
    for (const name of Object.keys(cursorJobSettingRules)) expect(README).toContain(`\`${name}\``);
  });

  it('of redisEngine() has every option, with its default', () => {
    const listed = options(ofEngine);
    const defaults = { ...DURABLE_DEFAULTS, ...resolveRedisStoreOptions({ url: 'redis://127.0.0.1' }) };
    expect(new Set(listed.map(([name]) => name))).toEqual(new Set(Object.keys(defaults)));
    const DAY_MS = 86_400_000;
    const said = (text: string) =>
      / days?$/.test(text) ? Number.parseInt(text, 10) * DAY_MS : numberOf(text);
    const written = (name: string): unknown => defaults[name as keyof typeof defaults];
    const numbers = listed.filter(([name]) => typeof written(name) === 'number');
    expect(numbers.map(([name, text]) => [name, said(text)])).toEqual(
      numbers.map(([name]) => [name, written(name)]),
    );
    const words = listed.filter(([name]) => name === 'prefix' || name === 'whenDown');
    expect(words.map(([, text]) => text)).toEqual(words.map(([name]) => `\`${String(written(name))}\``));
  });
});

describe('what the README says of the service', () => {
  it('is what its data has', async () => {
    const { rows, badRows } = generateUserFile().expectation;
    const quotes = (await readQuoteFiles()).length;
    const prose = README.replace(/\s+/g, ' ');
    expect(prose).toContain(`${rows.toLocaleString('en-US')} users from a CSV file`);
    expect(prose).toContain(`${quotes.toLocaleString('en-US')} real share prices`);
    expect(prose).toContain(`${loadWebhookPayloads().length} real GitHub webhooks`);
    expect(prose).toContain(`The ${badRows} dead letters are the bad rows of the file`);
  });

  const { error: noCurl } = spawnSync('curl', ['--version']);
  const testCurl = noCurl === undefined ? it : it.skip;
  testCurl('is what its curl lines do', async () => {
    const database = await createTestDatabase();
    closings.push(() => database.drop());
    const service = await startTestService(database.url);
    closings.push(() => service.app.close());
    const { columns, lines } = { columns: USER_COLUMNS.join(','), lines: blocks('README.md', 'sh').join('') };
    expect(README).toContain(`\`${columns}\``);
    const user = '1,ada@example.com,Ada Lovelace,1985-12-10,GB,,2026-01-01T00:00:00Z,free';
    await writeFile(
      path.join(built.folder, 'users.csv'),
      `${columns}\n${user}\n${user.replace('ada@', 'ada')}\n`,
    );
    let id = '';
    const curl = async (line: string) => {
      const command = line.replace('http://127.0.0.1:3000', service.url).replace('<id>', id);
      const { stdout } = await promisify(execFile)('sh', ['-c', `${command} --silent`], {
        cwd: built.folder,
      });
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const [receive, work, failed, all, ...others] = lines.match(/^curl .*$/gm) as [
      string,
      string,
      string,
      string,
    ];
    expect(others).toEqual([]);
    ({ id } = (await curl(receive)) as { id: string });
    const ended = service.next('uploadEnded');
    await curl(work);
    expect(await ended).toMatchObject({ rows: 2, done: 1, failed: 1 });
    expect(await curl(failed)).toMatchObject([{ number: 2 }]);
    expect(JSON.stringify(await curl(all))).toContain('/uploads/:id/failed');
  });

  it('looks like its summary', () => {
    const [, table] = blocks('README.md', '') as [string, string];
    const sections = table
      .split('\n')
      .slice(2, 5)
      .map((line) => {
        const [workerType = '', ...cells] = line.split(/ {2,}/);
        const [items = 0, completed = 0, failed = 0, deadLetters = 0, itemsPerSecond = 0] = cells.map(
          (cell) => Number(cell.replaceAll(',', '')),
        );
        return { workerType, items, completed, failed, deadLetters, itemsPerSecond, reasons: [] };
      });
    const stored = { users: 0, duplicateUsers: 0, prices: 0, symbols: 0, webhooks: 0, repositories: 0 };
    expect(renderSummary({ started: '', durationMs: 0, sections, workersOverTime: [], stored })).toContain(
      table,
    );
  });

  it('links to what is there', () => {
    for (const page of PAGES) {
      for (const [, target] of textOf(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)) {
        expect([page, target, existsSync(path.join(ROOT, path.dirname(page), target!))]).toEqual([
          page,
          target,
          true,
        ]);
      }
    }
  });
});
