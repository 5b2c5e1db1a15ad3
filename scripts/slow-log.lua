-- A line for each request that took long, as in redis' SLOWLOG, but of what the network saw and of every protocol:
--   number) time | microseconds | request | client => server | protocol status
-- The time is that of the first byte of the request; the microseconds go to the last byte of the response.
--
--   tcplens script slow-log shop.pcap               10 ms or more, redis' own default
--   tcplens script slow-log shop.pcap --arg ms=0.5

local LEAST_US = tonumber(arg.ms or 10) * 1000
local number = 0

function on_request(r)
  local took = r.total_us
  if not took or took < LEAST_US then
    return
  end
  number = number + 1
  print(
    string.format(
      "%d) %s | %s us | %s | %s:%d => %s:%d | %s %s",
      number,
      r.time,
      took,
      r.summary or r.operation or "-",
      r.client_ip,
      r.client_port,
      r.server_ip,
      r.server_port,
      r.protocol,
      r.status
    )
  )
end
