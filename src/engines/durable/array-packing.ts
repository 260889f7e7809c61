import type { TimeSlices } from '../../core/time-slices.js';
import type { ChunkLimits } from './chunk-builder.js';
import type { ChunkPacker } from './chunk-packer.js';
import { itemText } from './item-text.js';
import { sliceText } from './slice-text.js';

/** Items that are at hand, with their keys where they have some. */
export interface ItemsAtHand {
  readonly payloads: readonly unknown[];
  readonly uniqueKeys: readonly string[] | undefined;
  readonly orderKeys: readonly string[] | undefined;
}

/** What packs them, and by what limits. */
export interface PackingSetting {
  readonly type: string;
  readonly limits: ChunkLimits;
  readonly maxItemBytes: number;
  readonly slices: TimeSlices;
}

/**
 * Packs the items of an array, as many at a time as go to the store in one write: the texts of all of them would be as large
 * as they are. That each can be written is found out before anything is stored, so most of a long array is written twice,
 * which costs less than to keep it.
 */
export class ArrayPacking {
  /** The next item to be packed. */
  private place = 0;
  /** Whether a chunk's items are written in one go. Where one slice had to be taken apart, the next ones mostly have to be as well. */
  private inSlices: boolean;

  constructor(
    private readonly items: ItemsAtHand,
    private readonly packer: ChunkPacker,
    private readonly setting: PackingSetting,
  ) {
    this.inSlices = items.uniqueKeys === undefined && items.orderKeys === undefined;
  }

  /** Whether all of them are packed. */
  get isDone(): boolean {
    return this.place >= this.items.payloads.length;
  }

  /** Packs what goes in one write. @throws InvalidPayloadError, ItemTooLargeError */
  async pack(): Promise<void> {
    const { slices } = this.setting;
    while (!this.isDone && !this.packer.isWriteFull) {
      if (slices.spend(this.packNext())) await slices.pause();
    }
    if (this.isDone) this.packer.close();
  }

  /** Looks at those that are not packed. @throws InvalidPayloadError, ItemTooLargeError */
  async checkRest(): Promise<void> {
    const { payloads } = this.items;
    const { limits, slices } = this.setting;
    let { inSlices } = this;
    for (let from = this.place; from < payloads.length; from += limits.chunkSize) {
      const to = Math.min(from + limits.chunkSize, payloads.length);
      inSlices &&= sliceText('', from, payloads.slice(from, to), this.setting) !== undefined;
      if (!inSlices) for (let place = from; place < to; place++) this.textOf(place);
      if (slices.spend(to - from)) await slices.pause();
    }
  }

  /** @returns how many items it has packed */
  private packNext(): number {
    const { place, packer } = this;
    const { payloads, uniqueKeys, orderKeys } = this.items;
    if (this.inSlices) {
      const slice = payloads.slice(place, place + this.setting.limits.chunkSize);
      this.inSlices = packer.addSlice(slice);
      if (this.inSlices) {
        this.place += slice.length;
        return slice.length;
      }
    }
    packer.add(this.textOf(place), uniqueKeys?.[place], orderKeys?.[place]);
    this.place++;
    return 1;
  }

  private textOf(place: number): string {
    const { type, maxItemBytes } = this.setting;
    return itemText(this.items.payloads[place], type, place, maxItemBytes);
  }
}
