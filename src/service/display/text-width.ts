const WIDE_SCRIPT = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
const WIDE_SIGN = /[\u3000-\u303f\uff00-\uff60]|\p{Emoji_Presentation}/u;
const WIDTHLESS = /\p{Mark}/u;

/** How many columns of a terminal a text takes: letters of East Asian scripts take two. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/**
 * One line of at most `width` columns; what is cut off is replaced by `…`, line breaks and control characters
 * by spaces.
 */
export function fitText(text: string, width: number): string {
  const line = text.replace(/\p{C}+/gu, ' ').trim();
  if (textWidth(line) <= width) return line;
  let fitted = '';
  let taken = 1;
  for (const character of line) {
    taken += characterWidth(character);
    if (taken > width) break;
    fitted += character;
  }
  return `${fitted}…`;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - textWidth(text))) + text;
}

function characterWidth(character: string): number {
  if (WIDTHLESS.test(character)) return 0;
  return WIDE_SCRIPT.test(character) || WIDE_SIGN.test(character) ? 2 : 1;
}
