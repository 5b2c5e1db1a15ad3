-- At the end, the keys of redis and memcached that were asked for most: requests, bytes of them and their responses, the
-- sum and the mean of the time they took. Of a redis command its first argument counts: of MGET, DEL or MSET the first key.
--
--   tcplens script top-keys shop.pcap
--   tcplens script top-keys shop.pcap --arg n=50 --arg by=bytes   by requests, bytes or time

-- A number that --arg gives, or the default.
local function number(name, given, default)
  local n = tonumber(given or default)
  if not n then
    error(string.format("cannot read --arg %s=%s as a number; write --arg %s=%s", name, given, name, default), 0)
  end
  return n
end

local MOST = number("n", arg.n, 20)
local BY = arg.by or "requests"
-- Different keys that are counted, by default some 20 MB of them; requests for further ones are only a number.
local KEYS = number("keys", arg.keys, 100000)

local COLUMN = { requests = 1, bytes = 2, time = 3 }
assert(COLUMN[BY], "cannot sort by " .. BY .. "; write --arg by=requests, by=bytes or by=time")

-- Commands whose first word is no key.
local KEYLESS = {}
for word in
  ([[ACL ASKING AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE DEBUG DISCARD ECHO EVAL EVALSHA EXEC FCALL
  FLUSHALL FLUSHDB FUNCTION HELLO INFO KEYS LASTSAVE LATENCY LOLWUT MEMORY MODULE MONITOR MULTI OBJECT PING PSUBSCRIBE
  PSYNC PUBLISH PUBSUB PUNSUBSCRIBE QUIT RANDOMKEY READONLY READWRITE REPLCONF REPLICAOF RESET ROLE SAVE SCAN SCRIPT
  SELECT SHUTDOWN SLAVEOF SLOWLOG SUBSCRIBE SWAPDB SYNC TIME UNSUBSCRIBE UNWATCH WAIT WAITAOF
  VERSION STATS FLUSH_ALL VERBOSITY CACHE_MEMLIMIT MN ME LRU SLABS LRU_CRAWLER WATCH]]):gmatch("%S+")
do
  KEYLESS[word] = true
end
-- memcached: all words are keys.
local MANY = { get = true, gets = true }

local keys, known, more = {}, 0, 0

local function count(key, r)
  local entry = keys[key]
  if not entry then
    if known >= KEYS then
      more = more + 1
      return
    end
    entry = { 0, 0, 0 }
    keys[key], known = entry, known + 1
  end
  entry[1] = entry[1] + 1
  entry[2] = entry[2] + r.request_bytes + r.response_bytes
  entry[3] = entry[3] + (r.total_us or 0)
end

function on_request(r)
  if r.protocol ~= "redis" and r.protocol ~= "memcached" or not r.summary then
    return
  end
  local words = r.summary:gmatch("%S+")
  local verb = words()
  if not verb or KEYLESS[verb:upper()] then
    return
  end
  for key in words do
    count(key, r)
    if not (r.protocol == "memcached" and MANY[verb]) then
      break
    end
  end
end

function on_exit()
  local order = {}
  for key in pairs(keys) do
    order[#order + 1] = key
  end
  local column = COLUMN[BY]
  table.sort(order, function(a, b)
    local x, y = keys[a][column], keys[b][column]
    if x ~= y then
      return x > y
    end
    return a < b -- the same in every run
  end)
  print(string.format("%10s %12s %14s %10s  %s", "REQUESTS", "BYTES", "TIME(us)", "MEAN(us)", "KEY"))
  for n = 1, math.min(MOST, #order) do
    local entry = keys[order[n]]
    print(string.format("%10d %12d %14.0f %10.1f  %s", entry[1], entry[2], entry[3], entry[3] / entry[1], order[n]))
  end
  if #order > MOST then
    print(string.format("%d further keys", #order - MOST))
  end
  if more > 0 then
    print(string.format("%d requests for keys beyond the first %d are not counted (--arg keys=N)", more, KEYS))
  end
end
