import { readdirSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import type { Application } from './packed-library.js';

/** The declarations of the library, as the compiler finds them in an application. */
export interface Declarations {
  readonly files: readonly string[];
  /** What is wrong with them by themselves, which `skipLibCheck` would hide. */
  problems(): string[];
  /** The names of what an application may use of the instances of a class of the main entry point. */
  membersOf(className: string): string[];
}

export function readDeclarations({ folder, library }: Application): Declarations {
  const dist = path.join(library, 'dist');
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.d.ts'),
  );
  const program = ts.createProgram(
    files.map((file) => path.join(dist, file)),
    {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      strict: true,
      types: ['node'],
      typeRoots: [path.join(folder, 'node_modules/@types')],
    },
  );
  const sourceOf = (file: string) => program.getSourceFile(path.join(dist, file))!;
  return {
    files,
    problems: () =>
      files.flatMap((file) =>
        program
          .getSemanticDiagnostics(sourceOf(file))
          .map(({ messageText }) => `${file}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
      ),
    membersOf: (className) => membersOf(program.getTypeChecker(), sourceOf('index.d.ts'), className),
  };
}

function membersOf(checker: ts.TypeChecker, entry: ts.SourceFile, className: string): string[] {
  const exported = checker
    .getExportsOfModule(checker.getSymbolAtLocation(entry)!)
    .find(({ name }) => name === className);
  if (exported === undefined)
    throw new Error(`Expected ${entry.fileName} to export ${className}, but it does not`);
  return checker
    .getDeclaredTypeOfSymbol(checker.getAliasedSymbol(exported))
    .getProperties()
    .filter((member) => isPublic(member) && isNamed(member))
    .map(({ name }) => name)
    .toSorted();
}

function isPublic({ valueDeclaration }: ts.Symbol): boolean {
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  return (ts.getCombinedModifierFlags(valueDeclaration!) & hidden) === 0;
}

/** Whether its name is a text: what Node asks an object for by a symbol is for nobody else. */
function isNamed({ name }: ts.Symbol): boolean {
  return !name.startsWith('__@');
}
