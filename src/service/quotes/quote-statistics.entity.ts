import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What the prices of one symbol amount to. Each figure is defined at `computeQuoteStatistics`. */
@Entity('quote_statistics')
export class QuoteStatistics {
  @PrimaryColumn({ type: 'text' })
  symbol!: string;

  /** How many there are: one for each day, week or month, as the symbol's source has them. */
  @Column({ type: 'integer' })
  prices!: number;

  @Column({ name: 'first_date', type: 'date' })
  firstDate!: string;

  @Column({ name: 'last_date', type: 'date' })
  lastDate!: string;

  /** 252 for daily prices, 52 for weekly, 12 for monthly ones. */
  @Column({ name: 'periods_per_year', type: 'integer' })
  periodsPerYear!: number;

  /** 0.5 is a gain of 50 %. */
  @Column({ name: 'total_return', type: 'double precision' })
  totalReturn!: number;

  /** Null with fewer than 20 prices. */
  @Column({ name: 'moving_average_20', type: 'double precision', nullable: true })
  movingAverage20!: number | null;

  /** Null with fewer than 50 prices. */
  @Column({ name: 'moving_average_50', type: 'double precision', nullable: true })
  movingAverage50!: number | null;

  /** 0.2 is 20 % a year. Null with fewer than three prices. */
  @Column({ name: 'annual_volatility', type: 'double precision', nullable: true })
  annualVolatility!: number | null;

  /** 0.5 is a loss of half from a former high. */
  @Column({ name: 'max_drawdown', type: 'double precision' })
  maxDrawdown!: number;
}
