"""The steps of a queue in Redis, each a script that the server runs as one.

All take the keys of a queue, in one order. What fails on a full server fails before it changes
anything.
"""

from __future__ import annotations

from typing import NamedTuple

from outlast.checkpoint.registers.redis import COMPARE, REPLACE

TOKENS = 64  # so many consumers are woken at once; more look by themselves, after a second at most
DEAD_LETTERS = 10_000  # the oldest leave for newer ones
# Nothing is hidden for so long: a clock that was wrong did that.
LONGEST_HIDE_MICROSECONDS = 12 * 3600 * 1_000_000
# At a time, for a script holds up all other clients.
BURIALS = 100
# A larger value of a job is read by itself, when it is its turn.
LARGEST_READ_BYTES = 1 << 20


class Keys(NamedTuple):
    """The keys of one queue.

    Attributes:
        visible: ids of messages, each with the time from which it can be received: microseconds by
            the server's clock.
        bodies: the body of each message, and of each dead letter.
        receives: how often each of them was delivered.
        dead: ids of dead letters, each with the time from which it could be received.
        wake: tokens for consumers that wait.
        last: the last id given.
    """

    visible: str
    bodies: str
    receives: str
    dead: str
    wake: str
    last: str

    @classmethod
    def of(cls, name: str) -> Keys:
        """Return those of the queue `name`; by the braces a cluster has them in one slot."""
        return cls(*(f"outlast:{{queue/{name}}}:{key}" for key in cls._fields))


def _names(first: int) -> str:
    return f"local {', '.join(Keys._fields)} = unpack(KEYS, {first})"


_FUNCTIONS = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function show(id, at)
  redis.call('ZADD', visible, string.format('%.0f', at), id)
end
local function forget(id)
  redis.call('HDEL', bodies, id)
  redis.call('HDEL', receives, id)
end
local function ack(id, count)
  if redis.call('HGET', receives, id) ~= count then return end
  redis.call('ZREM', visible, id)
  redis.call('ZREM', dead, id)
  forget(id)
end
"""
_BEGIN = _names(1) + _FUNCTIONS

_WAKE = f"""
local function wake_one()
  redis.call('LPUSH', wake, '')
  redis.call('LTRIM', wake, 0, {TOKENS - 1})
end
"""

# An id is the time at which it was given: none repeats, even where the server has forgotten those
# before, or a stale receipt could fit a later message.
_SENDING = (
    _WAKE
    + """
local function add(body, delay)
  local id = math.max(now, (tonumber(redis.call('GET', last) or 0)) + 1)
  id = string.format('%016.0f', id)
  redis.call('SET', last, id)
  redis.call('HSET', bodies, id, body)
  show(id, now + delay)
  wake_one()
end
"""
)
_ADD = _BEGIN + _SENDING

# ARGV: the body; microseconds until it can be received.
SEND = _ADD + "add(ARGV[1], ARGV[2])"

# ARGV: microseconds for which a message is hidden; the limit of receives; how many messages; the
# server's name of a job's value, with %s for the id, or "": no job is read. The answer is the time;
# in how many microseconds there will be a message, or nothing; then of each message its receipt and
# body, and value and version of its job, or nothing.
RECEIVE = (
    _BEGIN
    + f"""
local function bury(id)
  redis.call('ZADD', dead, redis.call('ZSCORE', visible, id), id)
  redis.call('ZREM', visible, id)
  if redis.call('ZCARD', dead) > {DEAD_LETTERS} then
    local oldest = redis.call('ZRANGE', dead, 0, 0)[1]
    redis.call('ZREM', dead, oldest)
    forget(oldest)
  end
end
local function job_of(body)
  if ARGV[4] == '' then return {{false, false}} end
  local is_json, message = pcall(cjson.decode, body)
  local id = is_json and type(message) == 'table' and not message.part and message.job_id
  if type(id) ~= 'string' then return {{false, false}} end
  local job = redis.pcall('HMGET', string.format(ARGV[4], id), 'value', 'version')
  if job.err or not job[1] or #job[1] > {LARGEST_READ_BYTES} then return {{false, false}} end
  return job
end
local answer = {{string.format('%.0f', now), false}}
local function receive(id)
  local count = redis.call('HINCRBY', receives, id, 1)
  show(id, now + ARGV[1])
  local body = redis.call('HGET', bodies, id)
  if not body then  -- the server has evicted it
    redis.call('ZREM', visible, id)
    return forget(id)
  end
  local job = job_of(body)
  for _, part in ipairs({{id .. ':' .. count, body, job[1], job[2]}}) do
    answer[#answer + 1] = part
  end
end
for _ = 1, {BURIALS} do
  if #answer >= 2 + 4 * ARGV[3] then return answer end
  local id, at = unpack(redis.call('ZRANGE', visible, 0, 0, 'WITHSCORES'))
  if not id or tonumber(at) > now then
    redis.call('DEL', wake)
    if not id then return answer end
    if at - now <= {LONGEST_HIDE_MICROSECONDS} then
      answer[2] = string.format('%.0f', at - now)
      return answer
    end
    show(id, now)
  elseif tonumber(redis.call('HGET', receives, id) or 0) >= tonumber(ARGV[2]) then
    bury(id)
  else
    receive(id)
  end
end
answer[2] = '0'
return answer
"""
)

# 1: a message can be received.
LOOK = (
    _BEGIN
    + """
local at = redis.call('ZRANGE', visible, 0, 0, 'WITHSCORES')[2]
return at and tonumber(at) <= now and 1 or 0
"""
)

# How many messages can be received, are hidden, are dead; for how many microseconds the oldest of
# those that can be received has been waiting.
COUNT = (
    _BEGIN
    + """
local first = tonumber(redis.call('ZRANGE', visible, 0, 0, 'WITHSCORES')[2] or now)
local waiting = redis.call('ZCOUNT', visible, '-inf', now)
local hidden = redis.call('ZCARD', visible) - waiting
return {waiting, hidden, redis.call('ZCARD', dead), math.max(now - first, 0)}
"""
)

# ARGV: id and count of the receipt, which must be the last; microseconds.
HIDE = (
    _BEGIN
    + _WAKE
    + """
if redis.call('HGET', receives, ARGV[1]) ~= ARGV[2] then return end
if not redis.call('ZSCORE', visible, ARGV[1]) then return end
show(ARGV[1], now + ARGV[3])
if tonumber(ARGV[3]) <= 0 then wake_one() end
"""
)

# ARGV: id and count of the receipt, which must be the last.
ACK = _BEGIN + "ack(ARGV[1], ARGV[2])"

# KEYS and ARGV: those of the register's script, then the queue's keys; the body of a message to
# send; id and count of a receipt to acknowledge. "": none. It is the register's answer.
HANDOVER = (
    COMPARE
    + _names(3)
    + _FUNCTIONS
    + _SENDING
    # In this order: what an error leaves half done, such as a right that is missing, leads on.
    + "if ARGV[5] ~= '' then add(ARGV[5], 0) end"
    + REPLACE
    + "if ARGV[6] ~= '' then ack(ARGV[6], ARGV[7]) end\n"
    + "return 1"
)

# ARGV: the id of a dead letter. It is sent as a new message, with no receives.
REDRIVE = (
    _ADD
    + """
if not redis.call('ZSCORE', dead, ARGV[1]) then return end
local body = redis.call('HGET', bodies, ARGV[1])
if body then add(body, 0) end
redis.call('ZREM', dead, ARGV[1])
forget(ARGV[1])
"""
)

# ARGV: the id of a dead letter.
DROP = _BEGIN + "if redis.call('ZREM', dead, ARGV[1]) == 1 then forget(ARGV[1]) end"
