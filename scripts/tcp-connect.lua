-- A line for each connection attempt that was answered, by SYN-ACK or by RST: when that was, who asked whom, how often
-- the SYN was repeated, and the seconds from the first SYN to the answer.
--
--   tcplens script tcp-connect shop.pcap
--   tcplens script tcp-connect shop.pcap --arg retries=1   only those with a repeated SYN

local LEAST = tonumber(arg.retries or 0)
-- Seconds after which an attempt is forgotten: Linux gives up after 127.
local PATIENCE = 130
local SYN, RST, ACK = 2, 4, 16

print([[

         Time                                 IP:Port                          Retries     Connect Cost(s)
--------------------------  ---------------------------------------------- -------------- ---------------------]])

-- Attempts without an answer, by client and server.
local attempts = {}

local function ends(ip, port, other_ip, other_port)
  return ip .. ":" .. port .. " => " .. other_ip .. ":" .. other_port
end

function process(packet)
  local flags = packet.flags
  if not flags or flags & (SYN | RST) == 0 then
    return
  end
  if flags & (SYN | ACK | RST) == SYN then
    local key = ends(packet.sip, packet.sport, packet.dip, packet.dport)
    local attempt = attempts[key]
    if attempt and attempt.seq == packet.seq then
      attempt.retries = attempt.retries + 1
    else
      attempts[key] = { seq = packet.seq, sec = packet.tv_sec, usec = packet.tv_usec, retries = 0 }
    end
    return
  end
  local key = ends(packet.dip, packet.dport, packet.sip, packet.sport)
  local attempt = attempts[key]
  if not attempt then
    return
  end
  attempts[key] = nil
  if attempt.retries < LEAST then
    return
  end
  local cost = (packet.tv_sec - attempt.sec) * 1000000 + packet.tv_usec - attempt.usec
  print(
    string.format(
      "%s.%06d  %46s %6d%20s",
      os.date("!%Y-%m-%d %H:%M:%S", packet.tv_sec),
      packet.tv_usec,
      key,
      attempt.retries,
      string.format("%d.%06d", cost // 1000000, cost % 1000000)
    )
  )
end

function on_tick(seconds)
  if seconds % PATIENCE == 0 then
    for key, attempt in pairs(attempts) do
      if seconds - attempt.sec > PATIENCE then
        attempts[key] = nil
      end
    end
  end
end
