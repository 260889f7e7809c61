/**
 * The files of a build that no source makes: those of sources that are gone, and of a kind that is made no more.
 *
 * @param {readonly string[]} built paths in the folder of the build
 * @param {readonly string[]} sources paths in the folder of the sources
 * @returns {string[]}
 */
export function staleFiles(built, sources) {
  const made = new Set(sources.flatMap(filesMadeOf));
  return built.filter((file) => !made.has(file) && file !== '.tsbuildinfo');
}

function filesMadeOf(source) {
  const name = source.replace(/\.ts$/, '');
  return [`${name}.js`, `${name}.d.ts`];
}
