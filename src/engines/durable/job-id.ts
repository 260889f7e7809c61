/** A job's id in its two parts: what all jobs of a process share, and a number. */
export function splitJobId(id: string): { readonly idPrefix: string; readonly sequence: number } {
  const end = id.lastIndexOf('-');
  return { idPrefix: id.slice(0, end), sequence: Number(id.slice(end + 1)) };
}
