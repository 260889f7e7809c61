import type { LuaScript } from './lua-script.js';

/** The clock of Redis, which all processes share, in milliseconds and in microseconds. */
const CLOCK = `
local time = redis.call('TIME')
local nowMicros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local nowMs = math.floor(nowMicros / 1000)
`;

/** KEYS: 1 replicas, 2 reasons to pause, 3 the mark of ordered items. ARGV: 1 the replica, 2 for how many ms it counts. */
export const beatReplica: LuaScript = {
  name: 'workerTypeBeat',
  keys: 3,
  lua: `${CLOCK}
redis.call('ZADD', KEYS[1], nowMs, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', nowMs - ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[3]) or '', redis.call('SMEMBERS', KEYS[2]) }`,
};

/** KEYS: 1 the mark of ordered items. ARGV: 1 what it is to be if there is none. Returns what it is. */
export const markOrdered: LuaScript = {
  name: 'workerTypeMarkOrdered',
  keys: 1,
  lua: `
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`,
};

/** KEYS: 1 reasons to pause. ARGV: 1 the reason. */
export const dropPauseReason: LuaScript = {
  name: 'workerTypeDropPause',
  keys: 1,
  lua: `
redis.call('SREM', KEYS[1], ARGV[1])
return redis.call('SMEMBERS', KEYS[1])`,
};

/**
 * A token bucket as the generic cell rate algorithm (ITU-T I.371): all that is kept is the moment at which the bucket is full
 * again, in microseconds. KEYS: 1 that moment. ARGV: 1 starts, 2 microseconds for each, 3 starts that the bucket holds.
 */
export const reserveStarts: LuaScript = {
  name: 'workerTypeReserve',
  keys: 1,
  lua: `${CLOCK}
local each = tonumber(ARGV[2])
local full = math.max(nowMicros, tonumber(redis.call('GET', KEYS[1]) or 0)) + tonumber(ARGV[1]) * each
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil((full - nowMicros) / 1000) + 1)
return math.max(0, math.ceil((full - tonumber(ARGV[3]) * each - nowMicros) / 1000))`,
};
