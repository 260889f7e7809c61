/** What the service answers over HTTP, as a person looks it up: `GET /` gives this list. */
export const ROUTES: Readonly<Record<string, string>> = {
  'GET /': 'this list',
  'GET /status': 'what the workers have to do and have done, by worker type',
  'POST /uploads':
    "stores a CSV file of users, ?name=… names it: curl -H 'content-type: text/csv' --data-binary @users.csv",
  'GET /uploads/:id': 'how far an upload is',
  'POST /uploads/:id/process': 'starts working on the rows of an upload that have not ended',
  'GET /uploads/:id/failed':
    'the rows that failed, with the reasons, at most ?limit=<1 to 1000>; more by ?after=<number of the last row>',
  'POST /quotes/run': 'reads the quotes now',
  'GET /quotes/statistics': 'what the prices of each symbol amount to',
  'GET /activity': 'what happened most in the repositories that sent webhooks',
  'GET /dead-letters/:type':
    'the items of a worker type that failed for good, at most ?limit=<1 to 1000>; more by ?after=<sequence of the last one>',
  'POST /dead-letters/:type/redrive': 'runs all dead letters of a worker type again',
};

/** The methods by which a path is answered; none when there is no such path. */
export function methodsOf(path: string): string[] {
  return Object.keys(ROUTES)
    .map((route) => route.split(' ') as [string, string])
    .filter(([, pattern]) => patternOf(pattern).test(path))
    .map(([method]) => method);
}

/** As Express reads it: in whatever case, with a slash at the end or without. */
function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/\/$/, '').replaceAll(/:\w+/g, '[^/]+')}/?$`, 'i');
}
