-- A line for each connection attempt that was answered: when that was, who asked whom, how often the SYN was repeated, and
-- the seconds from the first SYN to the answer. The answer is a SYN-ACK; a RST is said to be one, after the seconds: refused.
--
--   tcplens script tcp-connect shop.pcap
--   tcplens script tcp-connect shop.pcap --arg retries=1   only those with a repeated SYN

-- A number that --arg gives, or the default.
local function number(name, given, default)
  local n = tonumber(given or default)
  if not n then
    error(string.format("cannot read --arg %s=%s as a number; write --arg %s=%s", name, given, name, default), 0)
  end
  return n
end

local LEAST = number("retries", arg.retries, 0)
-- Seconds after which an attempt is forgotten: Linux gives up after 127.
local PATIENCE = 130
local SYN, RST, ACK = 2, 4, 16

print([[

         Time                                 IP:Port                          Retries     Connect Cost(s)
--------------------------  ---------------------------------------------- -------------- ---------------------]])

-- Attempts without an answer, by client and server.
local attempts = {}

-- An end of a connection; IPv6 addresses have brackets.
local function endpoint(ip, port)
  return (ip:find(":", 1, true) and "[" .. ip .. "]" or ip) .. ":" .. port
end

local function ends(ip, port, other_ip, other_port)
  return endpoint(ip, port) .. " => " .. endpoint(other_ip, other_port)
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
      "%s.%06d  %46s %6d%20s%s",
      os.date("!%Y-%m-%d %H:%M:%S", packet.tv_sec),
      packet.tv_usec,
      key,
      attempt.retries,
      string.format("%d.%06d", cost // 1000000, cost % 1000000),
      flags & RST ~= 0 and "  refused" or ""
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
