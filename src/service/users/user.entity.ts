import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { UserPlan } from './user-columns.js';

/** A user of the service. There is one for each email, however often and from wherever it comes. */
@Entity('users')
export class StoredUser {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', generatedIdentity: 'ALWAYS' })
  id!: string;

  @Column({ type: 'text', unique: true })
  email!: string;

  /**
   * The one row, of all files, that this user was made from. A row with the same email and another name is a
   * duplicate.
   */
  @Column({ name: 'source_row', type: 'text' })
  sourceRow!: string;

  @Column({ name: 'full_name', type: 'text' })
  fullName!: string;

  @Column({ name: 'birth_date', type: 'date' })
  birthDate!: string;

  @Column({ type: 'char', length: 2 })
  country!: string;

  @Column({ type: 'text', nullable: true })
  phone!: string | null;

  @Column({ name: 'signed_up_at', type: 'timestamptz' })
  signedUpAt!: Date;

  @Column({ type: 'text' })
  plan!: UserPlan;
}
