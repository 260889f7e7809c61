/** Milliseconds that a feed has for writing down what was done, once it has been stopped. */
export const WRITE_DOWN_MS = 5_000;
