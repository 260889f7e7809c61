// What the README's application has of its own as `./users.js`.

export interface Person {
  readonly id: string;
}

const PEOPLE: readonly Person[] = Array.from({ length: 1_201 }, (_, index) => ({ id: `person-${index}` }));

/** A directory of people that gives out pages. */
export class Directory {
  list({ after, limit }: { after: string | undefined; limit: number }) {
    const start = PEOPLE.findIndex(({ id }) => id === after) + 1;
    const people = PEOPLE.slice(start, start + limit);
    return Promise.resolve({ people, next: people.length < limit ? undefined : people.at(-1)?.id });
  }
}

/** Stores people. Whoever is `late` is refused the first time. */
export class UserRepository {
  readonly imported = new Set<string>();
  private lateCame = false;

  import(people: readonly Person[], signal: AbortSignal): Promise<{ place: number; error: Error }[]> {
    signal.throwIfAborted();
    const refused: { place: number; error: Error }[] = [];
    people.forEach(({ id }, place) => {
      if (id === 'late' && !this.lateCame) {
        this.lateCame = true;
        refused.push({ place, error: new Error('Come again') });
      } else {
        this.imported.add(id);
      }
    });
    return Promise.resolve(refused);
  }
}
