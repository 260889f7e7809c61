import { describe, expect, test } from '@jest/globals';
import { nearName } from '../../../src/nest/near-name.js';

const KNOWN = ['mail', 'thumbnail', 'user-processing'];

describe('nearName', () => {
  test.each([
    ['thumbnial', 'thumbnail'],
    ['thumnail', 'thumbnail'],
    ['thumbnails', 'thumbnail'],
    ['Thumbnail', 'thumbnail'],
    ['userProcessing', 'user-processing'],
    ['mial', 'mail'],
    ['email', 'mail'],
  ])('takes %s for %s', (given, meant) => {
    expect(nearName(given, KNOWN)).toBe(meant);
  });

  test.each(['male', 'import', 'mailer-daemon', '', 'thumb'])('takes %j for none', (given) => {
    expect(nearName(given, KNOWN)).toBeUndefined();
  });

  test('takes the nearest of several, and none where none is known', () => {
    expect(nearName('mails', ['mail', 'snails', 'mailx', 'mails-of-users'])).toBe('mail');
    expect(nearName('rows', ['crows', 'row', 'rowss'])).toBe('crows');
    expect(nearName('mail', [])).toBeUndefined();
  });
});
