import { countedText, countText, durationText, rateText } from './number-text.js';
import type { RunSummary, SummarySection, WorkersOverTime } from './run-summary.js';
import { sparkline } from './sparkline.js';
import { fitText, padEnd, padStart } from './text-width.js';

/** No line is longer, so that none breaks in a terminal. */
export const SUMMARY_COLUMNS = 80;

const TYPE_COLUMNS = 19;
const REASONS_SHOWN = 10;

/**
 * The summary of a run as text: a table of the worker types, why attempts failed, and the workers over time.
 */
export function renderSummary(summary: RunSummary): string {
  const started = summary.started.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC');
  return [
    [`Run of ${started}, ${durationText(summary.durationMs)}`],
    renderTable(summary.sections),
    renderStored(summary),
    renderReasons(summary.sections),
    renderWorkers(summary.workersOverTime, summary.durationMs),
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => line.trimEnd()).join('\n'))
    .join('\n\n')
    .concat('\n');
}

interface TableColumn {
  readonly title: string;
  readonly width: number;
  readonly cell: (section: SummarySection) => string;
}

const COLUMNS: readonly TableColumn[] = [
  { title: 'items', width: 11, cell: ({ items }) => countText(items) },
  { title: 'completed', width: 12, cell: ({ completed }) => countText(completed) },
  { title: 'failed attempts', width: 16, cell: ({ failed }) => countText(failed) },
  { title: 'dead letters', width: 13, cell: ({ deadLetters }) => countText(deadLetters) },
  { title: 'items/s', width: 9, cell: ({ itemsPerSecond }) => rateText(itemsPerSecond) },
];

function renderTable(sections: readonly SummarySection[]): string[] {
  if (sections.length === 0) return ['No worker type had anything to do.'];
  const row = (type: string, cells: readonly string[]): string =>
    typeCell(type) + cells.map((cell, index) => padStart(cell, COLUMNS[index]?.width ?? 0)).join('');
  const header = row(
    'worker type',
    COLUMNS.map(({ title }) => title),
  );
  return [
    header,
    '─'.repeat(header.length),
    ...sections.map((section) =>
      row(
        section.workerType,
        COLUMNS.map(({ cell }) => cell(section)),
      ),
    ),
  ];
}

function renderStored({ stored, storedBefore: before }: RunSummary): string[] {
  const { users, duplicateUsers, prices, symbols, webhooks, repositories } = stored;
  const duplicates = countedText(
    duplicateUsers,
    'row was a duplicate of another',
    'rows were duplicates of others',
  );
  return [
    'Stored',
    `  ${countedText(users, 'user')}${aside(...newOnes(users, before?.users), duplicates)}`,
    `  ${countedText(prices, 'price')}${aside(...newOnes(prices, before?.prices))} of ${countedText(symbols, 'symbol')}, with statistics`,
    `  ${countedText(webhooks, 'webhook')}${aside(...newOnes(webhooks, before?.webhooks))} of ${countedText(repositories, 'repository', 'repositories')}`,
  ];
}

/** How many of what is stored the run has brought; nothing when all of it. */
function newOnes(count: number, before = 0): string[] {
  return before === 0 ? [] : [`${countText(count - before)} new`];
}

function aside(...parts: readonly string[]): string {
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

function renderReasons(sections: readonly SummarySection[]): string[] {
  const failed = sections.filter(({ reasons }) => reasons.length > 0);
  if (failed.length === 0) return [];
  return ['Why attempts failed', ...failed.flatMap(renderReasonsOf)];
}

function renderReasonsOf({ workerType, reasons }: SummarySection): string[] {
  const more = reasons.length - REASONS_SHOWN;
  return [
    `  ${fitText(workerType, SUMMARY_COLUMNS - 2)}`,
    ...reasons
      .slice(0, REASONS_SHOWN)
      .map(
        ({ reason, count }) => `${padStart(countText(count), 12)}  ${fitText(reason, SUMMARY_COLUMNS - 14)}`,
      ),
    ...(more > 0 ? [`${' '.repeat(14)}… and ${countText(more)} more`] : []),
  ];
}

function renderWorkers(types: readonly WorkersOverTime[], durationMs: number): string[] {
  const highest = Math.max(0, ...types.map(peakOf));
  if (highest === 0) return [];
  const columns = SUMMARY_COLUMNS - TYPE_COLUMNS - ' │'.length - '│ at most 1,000'.length;
  return [
    `Workers over time, from the start to ${durationText(durationMs)}`,
    ...types.map((type) => {
      const line = sparkline(type.samples, { columns, durationMs, highest });
      return `${typeCell(type.workerType)} │${line}│ at most ${countText(peakOf(type))}`;
    }),
  ];
}

function peakOf({ samples }: WorkersOverTime): number {
  return samples.reduce((peak, { workers }) => Math.max(peak, workers), 0);
}

function typeCell(workerType: string): string {
  return padEnd(fitText(workerType, TYPE_COLUMNS), TYPE_COLUMNS);
}
