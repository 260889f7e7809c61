import type { LuaScript } from './lua-script.js';

/**
 * A job's record: KEYS[1] is a hash with its counts, KEYS[2] a text with two bits for each item, in the order of the items:
 * 00 it has not ended, 01 it was dropped with its job, 10 it is done, 11 it is dead. ARGV[1] and ARGV[2] say for how many
 * milliseconds a record is kept when none of its items waits: of a job whose source has not ended, and of one that is over. Without
 * a record, nothing is done.
 */
const START = `
local record, bits = KEYS[1], KEYS[2]
if redis.call('EXISTS', record) == 0 then return 0 end

local function read()
  local fields = redis.call('HMGET', record, 'accepted', 'done', 'dead', 'dropped', 'sealed', 'cancelled')
  local ended = tonumber(fields[2]) + tonumber(fields[3])
  return tonumber(fields[1]), ended, tonumber(fields[4] or 0), fields[5], fields[6]
end

local function hasEnded()
  local accepted, ended, _, sealed, cancelled = read()
  if cancelled then return true end
  return sealed and ended >= accepted
end

-- Items that wait don't expire, so their record doesn't either: however late one is leased, its job may have been cancelled.
local function keep()
  local accepted, ended, dropped, sealed, cancelled = read()
  local ttl = (sealed or cancelled) and ARGV[2] or ARGV[1]
  for _, key in ipairs({ record, bits }) do
    if ended + dropped < accepted then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ttl) end
  end
end
`;

function recordScript(name: string, lua: string): LuaScript {
  return { name: `workerRecord${name}`, keys: 2, lua: START + lua };
}

/** ARGV: 3 the type. */
export const createRecord: LuaScript = {
  name: 'workerRecordCreate',
  keys: 2,
  lua: `
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'type', ARGV[3], 'accepted', 0, 'done', 0, 'dead', 0, 'duplicates', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1`,
};

/**
 * ARGV: 3 items, 4 duplicates, 5 who tells it, 6 the number of the call, which grows: a call that is sent again, as its answer
 * was lost with the connection, counts once. Returns 1 when the job is cancelled.
 */
export const acceptItems = recordScript(
  'Accept',
  `
local teller = 'told:' .. ARGV[5]
local isNews = tonumber(redis.call('HGET', record, teller) or 0) < tonumber(ARGV[6])
if isNews and redis.call('HEXISTS', record, 'sealed') == 0 then
  redis.call('HSET', record, teller, ARGV[6])
  redis.call('HINCRBY', record, 'accepted', ARGV[3])
  redis.call('HINCRBY', record, 'duplicates', ARGV[4])
  keep()
end
return redis.call('HEXISTS', record, 'cancelled')`,
);

/** ARGV: 3 how the source ended, as JSON, 4 items in all, 5 duplicates in all. The first word on it stands. */
export const sealRecord = recordScript(
  'Seal',
  `
if redis.call('HSETNX', record, 'sealed', ARGV[3]) == 1 then
  redis.call('HSET', record, 'accepted', ARGV[4], 'duplicates', ARGV[5])
  keep()
end
return 1`,
);

/**
 * ARGV: from 3 on, for each range of items the first index, how many, and 'done', 'dead' or 'dropped'. Four items share a byte.
 * Nearly always none of a range has ended, and whole bytes are written without a look at each item.
 */
export const raiseItems = recordScript(
  'Raise',
  `
local OPEN, DROPPED, DONE, DEAD = 0, 1, 2, 3
local STATES = { dropped = DROPPED, done = DONE, dead = DEAD }
local PLACES = { [0] = 64, [1] = 16, [2] = 4, [3] = 1 }
local counts = { [DROPPED] = 0, [DONE] = 0, [DEAD] = 0 }

-- What runs to its end after all counts as that.
local function moves(from, to)
  return from == OPEN or (from == DROPPED and to ~= DROPPED) or (from == DEAD and to == DONE)
end

local function mark(byte, from, to, state)
  for slot = from, to do
    local place = PLACES[slot]
    local held = math.floor(byte / place) % 4
    if moves(held, state) then
      byte = byte + (state - held) * place
      counts[state] = counts[state] + 1
      if held ~= OPEN then counts[held] = counts[held] - 1 end
    end
  end
  return string.char(byte)
end

local function markWhole(held, state)
  if held == string.rep(string.char(0), #held) then
    counts[state] = counts[state] + 4 * #held
    return string.rep(string.char(85 * state), #held)
  end
  local marked = {}
  for place = 1, #held do marked[place] = mark(string.byte(held, place), 0, 3, state) end
  return table.concat(marked)
end

for at = 3, #ARGV, 3 do
  local index, count, state = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), STATES[ARGV[at + 2]]
  local first, last = math.floor(index / 4), math.floor((index + count - 1) / 4)
  local from, to = index % 4, (index + count - 1) % 4
  local size = last - first + 1
  local held = redis.call('GETRANGE', bits, first, last)
  held = held .. string.rep(string.char(0), size - #held)
  local marked
  if size == 1 then
    marked = mark(string.byte(held), from, to, state)
  else
    marked = mark(string.byte(held, 1), from, 3, state)
      .. markWhole(string.sub(held, 2, size - 1), state)
      .. mark(string.byte(held, size), 0, to, state)
  end
  redis.call('SETRANGE', bits, first, marked)
end
for name, state in pairs(STATES) do
  if counts[state] ~= 0 then redis.call('HINCRBY', record, name, counts[state]) end
end
keep()
return counts[DONE] + counts[DEAD]`,
);

/** ARGV: from 3 on, the indices of dead items that run again. */
export const reopenItems = recordScript(
  'Reopen',
  `
local reopened = 0
for at = 3, #ARGV do
  local index = tonumber(ARGV[at])
  local place = 2 * index
  if redis.call('GETBIT', bits, place) == 1 and redis.call('GETBIT', bits, place + 1) == 1 then
    redis.call('SETBIT', bits, place, 0)
    redis.call('SETBIT', bits, place + 1, 0)
    reopened = reopened + 1
  end
end
if reopened > 0 then redis.call('HINCRBY', record, 'dead', -reopened) end
keep()
return reopened`,
);

/** ARGV: 3 names the call, so that one that is sent again, as its answer was lost with the connection, is answered the same. */
export const cancelRecord = recordScript(
  'Cancel',
  `
if hasEnded() then return redis.call('HGET', record, 'cancelled') == ARGV[3] and 1 or 0 end
redis.call('HSET', record, 'cancelled', ARGV[3])
keep()
return 1`,
);
