-- A line for each packet with payload, then the payload:
--   date.microseconds source=>destination sequence acknowledgment flags size payload
-- UDP has no sequence, acknowledgment and flags; their places hold a dash.
--
--   tcplens script example shop.pcap port 6379

-- An end of a connection; IPv6 addresses have brackets.
local function endpoint(ip, port)
  return (ip:find(":", 1, true) and "[" .. ip .. "]" or ip) .. ":" .. port
end

function process(packet)
  if packet.size == 0 then
    return
  end
  print(
    string.format(
      "%s.%06d %s=>%s %s %s %s %d %s",
      os.date("!%Y-%m-%d %H:%M:%S", packet.tv_sec),
      packet.tv_usec,
      endpoint(packet.sip, packet.sport),
      endpoint(packet.dip, packet.dport),
      packet.seq or "-",
      packet.ack or "-",
      packet.flags or "-",
      packet.size,
      packet.payload
    )
  )
end
