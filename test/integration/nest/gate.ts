export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** Holds who awaits `opened` until `open` is called. */
export function gate(): Gate {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}
