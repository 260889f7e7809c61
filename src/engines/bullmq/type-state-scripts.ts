import type { LuaScript } from './lua-script.js';

/** The clock of Redis, which all processes share, in milliseconds and in microseconds. */
const CLOCK = `
local time = redis.call('TIME')
local nowMicros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local nowMs = math.floor(nowMicros / 1000)
`;

/**
 * Has the queues of a type do what is known of it, in the same step in which that changes: BullMQ leases nothing of a queue whose
 * meta hash says `paused`, and no more than its `concurrency` at a time. What does so already is left alone, as each beat looks at it.
 *
 * KEYS: 1 reasons to pause, 2 the mark of ordered items, 3 replicas, then four of BullMQ's for each queue: its meta hash, its waiting
 * and its delayed jobs, and the marker that wakes workers. ARGV: 1 how many of the queues are lanes, which come before the partitions.
 */
const STEER = `
local function wake(wait, delayed, marker)
  if redis.call('LLEN', wait) > 0 then
    redis.call('ZADD', marker, 0, '0')
    return
  end
  local next = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if next[2] then redis.call('ZADD', marker, tonumber(next[2]) / 4096, '1') end
end

local function steer()
  local isPaused = redis.call('EXISTS', KEYS[1]) == 1
  local isOrdered = redis.call('EXISTS', KEYS[2]) == 1
  local firstPartition = 4 + 4 * tonumber(ARGV[1])
  for at = 4, #KEYS, 4 do
    local meta, wait, delayed, marker = KEYS[at], KEYS[at + 1], KEYS[at + 2], KEYS[at + 3]
    local said = redis.call('HMGET', meta, 'paused', 'concurrency')
    if isOrdered and at >= firstPartition and said[2] ~= '1' then
      redis.call('HSET', meta, 'concurrency', 1)
    end
    if isPaused and not said[1] then
      redis.call('HSET', meta, 'paused', 1)
      redis.call('DEL', marker)
    elseif said[1] and not isPaused then
      redis.call('HDEL', meta, 'paused')
      wake(wait, delayed, marker)
    end
  end
end
`;

/** KEYS and ARGV as of `STEER`; ARGV: 2 the replica, 3 for how many ms it counts. */
export const beatReplica: LuaScript = {
  name: 'workerTypeBeat',
  keys: 'any',
  lua: `${CLOCK}${STEER}
redis.call('ZADD', KEYS[3], nowMs, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. string.format('%.0f', nowMs - ARGV[3]))
redis.call('PEXPIRE', KEYS[3], ARGV[3])
steer()
return { redis.call('ZCARD', KEYS[3]), redis.call('EXISTS', KEYS[2]), redis.call('SMEMBERS', KEYS[1]) }`,
};

/** KEYS and ARGV as of `STEER`; ARGV: 2 the reason. */
export const addPauseReason: LuaScript = {
  name: 'workerTypePause',
  keys: 'any',
  lua: `${STEER}
redis.call('SADD', KEYS[1], ARGV[2])
steer()`,
};

/** KEYS and ARGV as of `STEER`; ARGV: 2 the reason. */
export const removePauseReason: LuaScript = {
  name: 'workerTypeResume',
  keys: 'any',
  lua: `${STEER}
redis.call('SREM', KEYS[1], ARGV[2])
steer()`,
};

/** KEYS and ARGV as of `STEER`. */
export const markOrdered: LuaScript = {
  name: 'workerTypeMarkOrdered',
  keys: 'any',
  lua: `${STEER}
redis.call('SET', KEYS[2], '1')
steer()`,
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
