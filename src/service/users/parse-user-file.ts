import { Readable, pipeline } from 'node:stream';
import { CsvError, parse, type CsvErrorCode, type Options } from 'csv-parse';
import { MalformedFileError } from './malformed-file-error.js';
import { USER_COLUMNS, type MalformedCells, type UserCells } from './user-columns.js';
import { requireUtf8Text } from './utf8-text.js';

export interface UserFileRow {
  /** The line where the row begins, counted from 1 with the header. */
  readonly line: number;
  readonly cells: UserCells | MalformedCells;
}

interface ParsedRow {
  readonly line: number;
  readonly cells: string[];
}

const LONGEST_ROW_BYTES = 64 * 1024;

/**
 * Reads a CSV file of users row by row, with memory for a few rows only. Its columns may stand in any order,
 * and others between them. A row with too few or too many cells comes as {@link MalformedCells}: it is a bad
 * row, not a bad file. A file that is broken as a whole (no text, no header, a quote that is never closed, …)
 * ends the iteration with a {@link MalformedFileError}; rows before the break may have come by then.
 */
export async function* parseUserFile(
  source: Readable | AsyncIterable<Uint8Array | string>,
): AsyncGenerator<UserFileRow, void, undefined> {
  const lines = new LineCounter();
  const options: Options<ParsedRow, string[]> = {
    bom: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: LONGEST_ROW_BYTES,
    on_record: (cells, info) => ({ line: lines.next(cells, info.empty_lines), cells }),
  };
  // The package's types know no `on_record` that returns something else, unless columns are named.
  const parser = parse(options as unknown as Options);
  // What goes wrong in the source or the parser destroys both, and ends the loop below.
  pipeline(Readable.from(requireUtf8Text(source)), parser, () => undefined);

  let toCells: ((cells: string[]) => UserCells | MalformedCells) | undefined;
  try {
    for await (const { line, cells } of parser as AsyncIterable<ParsedRow>) {
      if (toCells) yield { line, cells: toCells(cells) };
      else toCells = readHeader(cells, line);
    }
  } catch (error) {
    throw error instanceof CsvError ? brokenRow(error, lines) : error;
  }
  if (!toCells) throw new MalformedFileError(1, 'a header line', 'an empty file');
}

/** Knows where each row begins: a row is as many lines high as it has line breaks in its cells, plus one. */
class LineCounter {
  private nextLine = 1;
  private emptyLines = 0;

  next(cells: readonly string[], emptyLines: number): number {
    const line = this.lineAfter(emptyLines);
    const breaks = cells.reduce((count, cell) => count + (cell.match(/\r\n|\r|\n/g)?.length ?? 0), 0);
    this.nextLine = line + 1 + breaks;
    this.emptyLines = emptyLines;
    return line;
  }

  /** The line of the row after the last one, past the empty lines between them. */
  lineAfter(emptyLines: number): number {
    return this.nextLine + emptyLines - this.emptyLines;
  }
}

function readHeader(
  header: readonly string[],
  line: number,
): (cells: string[]) => UserCells | MalformedCells {
  const names = header.map((name) => name.trim().toLowerCase());
  const positions = USER_COLUMNS.map((column) => names.indexOf(column));
  const missing = USER_COLUMNS.filter((column) => !names.includes(column));
  if (missing.length > 0) {
    throw new MalformedFileError(
      line,
      `a header with the columns ${USER_COLUMNS.join(', ')}`,
      `${JSON.stringify(header.join(',').slice(0, 200))} without ${missing.join(', ')}`,
    );
  }
  const repeated = USER_COLUMNS.find((column) => names.indexOf(column) !== names.lastIndexOf(column));
  if (repeated) throw new MalformedFileError(line, 'each column once', `${repeated} more than once`);

  return (cells) => {
    if (cells.length !== header.length) return { malformed: cells, expectedColumns: header.length };
    const entries = USER_COLUMNS.map((column, index) => [column, cells[positions[index] ?? -1] ?? '']);
    return Object.fromEntries(entries) as UserCells;
  };
}

const BROKEN_ROWS: Partial<Record<CsvErrorCode, { expected: string; got: string }>> = {
  CSV_QUOTE_NOT_CLOSED: { expected: 'a closing quote', got: 'the end of the file' },
  CSV_INVALID_CLOSING_QUOTE: {
    expected: 'a comma or the end of the line after a closing quote',
    got: 'other text',
  },
  INVALID_OPENING_QUOTE: { expected: 'quotes around a whole cell', got: 'a quote inside an unquoted cell' },
  CSV_MAX_RECORD_SIZE: { expected: `a row of at most ${LONGEST_ROW_BYTES} bytes`, got: 'a longer one' },
};

function brokenRow(error: CsvError, lines: LineCounter): MalformedFileError {
  const { expected, got } = BROKEN_ROWS[error.code] ?? { expected: 'CSV', got: error.message };
  return new MalformedFileError(lines.lineAfter(Number(error['empty_lines'])), expected, got);
}
