import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { durationText, rateText } from '../../../src/service/display/number-text.js';
import { createProgressDisplay } from '../../../src/service/display/progress-display.js';
import { progressLine } from '../../../src/service/display/progress-line.js';
import { createProgressLines } from '../../../src/service/display/progress-lines.js';
import { renderSummary, SUMMARY_COLUMNS } from '../../../src/service/display/render-summary.js';
import { topReasons, type RunSummary } from '../../../src/service/display/run-summary.js';
import { sparkline } from '../../../src/service/display/sparkline.js';
import { fitText, textWidth } from '../../../src/service/display/text-width.js';

function textOf(output: PassThrough): string {
  return String(output.read() ?? '');
}

describe('progressLine', () => {
  it('shows how far the work is', () => {
    const progress = { name: 'user-processing', done: 5_000, failed: 12, total: 10_000, elapsedMs: 2_000 };
    expect(progressLine(progress, { withBar: true })).toBe(
      'user-processing     [█████░░░░░]   50 %  5,000 / 10,000  12 failed  2,500/s',
    );
    expect(progressLine(progress, { withBar: false })).toBe(
      'user-processing      50 %  5,000 / 10,000  12 failed  2,500/s',
    );
  });

  it('fits a terminal of 80 columns, with a bar and the numbers of the main job', () => {
    const progress = {
      name: 'message-processing',
      done: 10_000,
      failed: 9_999,
      total: 10_000,
      elapsedMs: 500,
    };
    expect(textWidth(progressLine(progress, { withBar: true }))).toBeLessThanOrEqual(80);
  });

  it('shows no rate of what has not begun', () => {
    const progress = { name: 'w', done: 0, failed: 0, total: 5, elapsedMs: 900 };
    expect(progressLine(progress, { withBar: false })).toMatch(/ 0 % {2}0 \/ 5$/);
  });

  it('shows no share of an unknown total, and no share above all', () => {
    expect(progressLine({ name: 'w', done: 7, failed: 0, elapsedMs: 0 }, { withBar: true })).toMatch(
      /\[·+\] {8}7$/,
    );
    expect(
      progressLine({ name: 'w', done: 7, failed: 0, total: 5, elapsedMs: 0 }, { withBar: true }),
    ).toMatch(/\[█+\] {2}100 % {2}7 \/ 5$/);
    expect(
      progressLine({ name: 'w', done: 0, failed: 0, total: 0, elapsedMs: 0 }, { withBar: false }),
    ).toMatch(/100 % {2}0 \/ 0$/);
  });
});

describe('the progress display without a terminal', () => {
  let nowMs = 0;
  const display = (output: PassThrough): ReturnType<typeof createProgressLines> =>
    createProgressLines(output, () => nowMs);

  it('writes a line at each quarter and one at the end, however often it is told', () => {
    const output = new PassThrough();
    const track = display(output).start('users', 1_000);
    for (let done = 1; done <= 1_000; done++) track.update(done, 0);
    track.finish();
    track.finish();
    track.update(5, 5);
    expect(textOf(output).match(/\d+ %/g)).toEqual(['25 %', '50 %', '75 %', '100 %']);
  });

  it('writes one line for several quarters at once, and the end even if it is early', () => {
    const output = new PassThrough();
    const track = display(output).start('users', 1_000);
    track.update(800, 3);
    track.update(801, 4);
    track.finish();
    expect(textOf(output)).toMatch(
      /^users +80 % {2}800 \/ 1,000 {2}3 failed\nusers +80 % {2}801 \/ 1,000 {2}4 failed\n$/,
    );
  });

  it('writes nothing while nothing is done, however long that takes', () => {
    const output = new PassThrough();
    const track = display(output).start('quotes');
    nowMs += 5_000;
    track.update(0, 0);
    expect(textOf(output)).toBe('');
    track.update(1, 0);
    expect(textOf(output)).toMatch(/^quotes +1 {2}0\.2\/s\n$/);
    track.finish();
  });

  it('writes at most one line a second for each piece of work of unknown size', () => {
    const output = new PassThrough();
    const lines = display(output);
    const [first, second] = [lines.start('first'), lines.start('second')];
    const from = nowMs;
    for (nowMs = from; nowMs <= from + 3_000; nowMs += 100) {
      first.update(nowMs, 0);
      second.update(nowMs, 0);
    }
    const written = textOf(output).trimEnd().split('\n');
    expect(written.filter((line) => line.startsWith('first'))).toHaveLength(3);
    expect(written.filter((line) => line.startsWith('second'))).toHaveLength(3);
    lines.close();
    lines.close();
    expect(textOf(output).split('\n')).toHaveLength(2 + 1);
    lines.start('late').finish();
    expect(textOf(output)).toBe('');
  });
});

describe('the progress display on a terminal', () => {
  const displays: ReturnType<typeof createProgressDisplay>[] = [];
  afterEach(() => {
    for (const display of displays.splice(0)) display.close();
  });

  it('shows the last state of every bar, and leaves the signals to the application', () => {
    const signals = process.listenerCount('SIGINT') + process.listenerCount('SIGTERM');
    const output = Object.assign(new PassThrough(), { isTTY: true, columns: 120 });
    const display = createProgressDisplay(output);
    displays.push(display);
    const users = display.start('users', 100);
    const quotes = display.start('quotes');
    users.update(40, 2);
    quotes.update(7, 0);
    users.finish();
    users.update(99, 99);
    expect(process.listenerCount('SIGINT') + process.listenerCount('SIGTERM')).toBe(signals);
    display.close();
    display.close();
    display.start('late').update(1, 0);
    const text = textOf(output);
    expect(text).toMatch(/users +\[█{4}░{6}\] {3}40 % {2}40 \/ 100 {2}2 failed/);
    expect(text).toMatch(/quotes +\[·{10}\] {8}7/);
    expect(text).not.toMatch(/99 failed|late/);
    expect(text.endsWith('\n')).toBe(true);
  });

  it('shows the last state again at the end, where the terminal may have written ^C over it', async () => {
    const output = Object.assign(new PassThrough(), { isTTY: true, columns: 120 });
    const display = createProgressDisplay(output);
    displays.push(display);
    display.start('users', 1).finish();
    await once(output, 'readable');
    expect(textOf(output)).toMatch(/users .* 0 \/ 1/);
    display.close();
    expect(textOf(output)).toMatch(/users .* 0 \/ 1[^]*\n$/);
  });

  it('is chosen by the output', () => {
    const output = new PassThrough();
    const display = createProgressDisplay(output);
    displays.push(display);
    display.start('users', 1).finish();
    expect(textOf(output)).toMatch(/^users +0 % {2}0 \/ 1\n$/);
  });
});

const SUMMARY: RunSummary = {
  started: '2026-03-01T12:00:00.123Z',
  durationMs: 12_345,
  sections: [
    {
      workerType: 'user-processing',
      items: 10_000,
      completed: 9_750,
      failed: 250,
      deadLetters: 250,
      itemsPerSecond: 4_321.4,
      reasons: [
        { reason: 'plan: expected one of free, pro, team, enterprise', count: 25 },
        { reason: `a reason\n\u001b[31mof ${'several words '.repeat(20)}`, count: 3 },
      ],
    },
    {
      workerType: 'financial-data',
      items: 5_665,
      completed: 5_665,
      failed: 0,
      deadLetters: 0,
      itemsPerSecond: 3.25,
      reasons: [],
    },
  ],
  workersOverTime: [
    {
      workerType: 'user-processing',
      samples: [
        { atMs: 0, workers: 1 },
        { atMs: 3_000, workers: 8 },
        { atMs: 9_000, workers: 0 },
      ],
    },
    { workerType: 'financial-data', samples: [{ atMs: 6_172.5, workers: 4 }] },
  ],
  stored: {
    users: 9_450,
    duplicateUsers: 300,
    prices: 5_665,
    symbols: 6,
    webhooks: 329,
    repositories: 13,
  },
};

describe('renderSummary', () => {
  it('shows the run', () => {
    const lines = renderSummary(SUMMARY).split('\n');
    expect(lines.slice(0, 16)).toEqual([
      'Run of 2026-03-01 12:00:00 UTC, 12.3 s',
      '',
      'worker type              items   completed failed attempts dead letters  items/s',
      '─'.repeat(80),
      'user-processing         10,000       9,750             250          250    4,321',
      'financial-data           5,665       5,665               0            0      3.3',
      '',
      'Stored',
      '  9,450 users (300 rows were duplicates of others)',
      '  5,665 prices of 6 symbols, with statistics',
      '  329 webhooks of 13 repositories',
      '',
      'Why attempts failed',
      '  user-processing',
      '          25  plan: expected one of free, pro, team, enterprise',
      expect.stringMatching(/^ {11}3 {2}a reason \[31mof several words .*…$/),
    ]);
    expect(lines.slice(16)).toEqual([
      '',
      'Workers over time, from the start to 12.3 s',
      expect.stringMatching(/^user-processing {5}│▁+█+ +│ at most 8$/),
      expect.stringMatching(/^financial-data {6}│ +▄+│ at most 4$/),
      '',
    ]);
  });

  it('stays within its columns, whatever it is given', () => {
    const wide = '山田\u0301😀'.repeat(60);
    const huge = {
      ...SUMMARY.sections[0]!,
      workerType: wide,
      items: 1e8 - 1,
      completed: 1e8 - 1,
      itemsPerSecond: 1e6 - 1,
    };
    const reasons = Array.from({ length: 14 }, (_, index) => ({ reason: `${wide}${index}`, count: 1e9 }));
    const text = renderSummary({
      ...SUMMARY,
      sections: [{ ...huge, reasons }],
      workersOverTime: [{ workerType: wide, samples: [{ atMs: 0, workers: 1_000 }] }],
    });
    expect(Math.max(...text.split('\n').map(textWidth))).toBeLessThanOrEqual(SUMMARY_COLUMNS);
    expect(text).toContain('… and 4 more');
  });

  it('says so when nothing ran', () => {
    const stored = { users: 0, duplicateUsers: 0, prices: 0, symbols: 0, webhooks: 0, repositories: 0 };
    const empty = { ...SUMMARY, durationMs: 3, sections: [], workersOverTime: [], stored };
    expect(renderSummary(empty)).toBe(
      [
        'Run of 2026-03-01 12:00:00 UTC, 3 ms\n',
        'No worker type had anything to do.\n',
        'Stored',
        '  0 users (0 rows were duplicates of others)',
        '  0 prices of 0 symbols, with statistics',
        '  0 webhooks of 0 repositories\n',
      ].join('\n'),
    );
  });

  it('says one of what there is one of', () => {
    const stored = { users: 1, duplicateUsers: 1, prices: 1, symbols: 1, webhooks: 1, repositories: 1 };
    expect(renderSummary({ ...SUMMARY, stored })).toContain(
      [
        'Stored',
        '  1 user (1 row was a duplicate of another)',
        '  1 price of 1 symbol, with statistics',
        '  1 webhook of 1 repository\n',
      ].join('\n'),
    );
  });

  it('tells what is new where something was there before', () => {
    const storedBefore = { users: 9_450, prices: 5_000, webhooks: 328 };
    expect(renderSummary({ ...SUMMARY, storedBefore })).toContain(
      [
        'Stored',
        '  9,450 users (0 new; 300 rows were duplicates of others)',
        '  5,665 prices (665 new) of 6 symbols, with statistics',
        '  329 webhooks (1 new) of 13 repositories\n',
      ].join('\n'),
    );
    const nothing = { users: 0, prices: 0, webhooks: 0 };
    expect(renderSummary({ ...SUMMARY, storedBefore: nothing })).toBe(renderSummary(SUMMARY));
  });

  it('has the summary itself for machines', () => {
    expect(JSON.parse(JSON.stringify(SUMMARY))).toEqual(SUMMARY);
  });
});

describe('sparkline', () => {
  it('holds each number until the next sample', () => {
    const samples = [
      { atMs: 1, workers: 4 },
      { atMs: 5, workers: 8 },
      { atMs: 7, workers: 0 },
      { atMs: 9, workers: 1 },
    ];
    expect(sparkline(samples, { columns: 10, durationMs: 10, highest: 8 })).toBe(' ▄▄▄▄██  ▁');
  });

  it('keeps a peak that is shorter than a column', () => {
    const samples = [
      { atMs: 0, workers: 1 },
      { atMs: 501, workers: 8 },
      { atMs: 502, workers: 1 },
      { atMs: 2_000, workers: 8 },
    ];
    expect(sparkline(samples, { columns: 4, durationMs: 1_000, highest: 8 })).toBe('▁▁██');
  });

  it('is blank without samples, and for a run without a duration', () => {
    expect(sparkline([], { columns: 3, durationMs: 10, highest: 8 })).toBe('   ');
    expect(sparkline([{ atMs: 0, workers: 8 }], { columns: 3, durationMs: 0, highest: 8 })).toBe('███');
  });
});

describe('the texts of the display', () => {
  it('count reasons, the most frequent first', () => {
    const counts = new Map([
      ['b', 2],
      ['c', 9],
      ['a', 2],
    ]);
    expect(topReasons(counts, 2)).toEqual([
      { reason: 'c', count: 9 },
      { reason: 'a', count: 2 },
    ]);
  });

  it.each([
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [59_900, '59.9 s'],
    [59_990, '1 min 0 s'],
    [125_400, '2 min 5 s'],
  ])('show %p ms as %p', (durationMs, text) => {
    expect(durationText(durationMs)).toBe(text);
  });

  it.each([
    [0, '0'],
    [3.25, '3.3'],
    [9.99, '10'],
    [12_345.6, '12,346'],
  ])('show the rate %p as %p', (rate, text) => {
    expect(rateText(rate)).toBe(text);
  });

  it('cut by columns, not by characters', () => {
    expect(fitText('山田太郎', 6)).toBe('山田…');
    expect(fitText('山田太郎', 8)).toBe('山田太郎');
    expect(textWidth('e\u0301山')).toBe(3);
  });
});
