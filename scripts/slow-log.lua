-- A line for each request that took long, as in redis' SLOWLOG, but of what the network saw and of every protocol:
--   number) time | microseconds | request | client => server | protocol status
-- The time is that of the first byte of the request; the microseconds go to the last byte of the response.
--
--   tcplens script slow-log shop.pcap               10 ms or more, redis' own default
--   tcplens script slow-log shop.pcap --arg ms=0.5

-- A number that --arg gives, or the default.
local function number(name, given, default)
  local n = tonumber(given or default)
  if not n then
    error(string.format("cannot read --arg %s=%s as a number; write --arg %s=%s", name, given, name, default), 0)
  end
  return n
end

local LEAST_US = number("ms", arg.ms, 10) * 1000
local count = 0

-- An end of a connection; IPv6 addresses have brackets.
local function endpoint(ip, port)
  return (ip:find(":", 1, true) and "[" .. ip .. "]" or ip) .. ":" .. port
end

function on_request(r)
  local took = r.total_us
  if not took or took < LEAST_US then
    return
  end
  count = count + 1
  print(
    string.format(
      "%d) %s | %s us | %s | %s => %s | %s %s",
      count,
      r.time,
      took,
      r.summary or r.operation or "-",
      endpoint(r.client_ip, r.client_port),
      endpoint(r.server_ip, r.server_port),
      r.protocol,
      r.status
    )
  )
end
