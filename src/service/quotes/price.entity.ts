import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

/** The newest known quote of a symbol and day. */
@Entity('prices')
@Check('prices_close_positive', 'close > 0')
export class Price {
  @PrimaryColumn({ type: 'text' })
  symbol!: string;

  @PrimaryColumn({ type: 'date' })
  date!: string;

  @Column({ type: 'double precision', nullable: true })
  open!: number | null;

  @Column({ type: 'double precision', nullable: true })
  high!: number | null;

  @Column({ type: 'double precision', nullable: true })
  low!: number | null;

  @Column({ type: 'double precision' })
  close!: number;

  /** Shares traded; a whole number that a double holds exactly up to 2^53. */
  @Column({ type: 'double precision', nullable: true })
  volume!: number | null;
}
