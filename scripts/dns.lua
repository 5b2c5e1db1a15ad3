-- A line for each DNS query over UDP that was answered, when the answer comes:
--   date.microseconds | client => server id |  name. | type | time between the two
-- An answer whose query was not seen has a dash for the time.
--
--   tcplens script dns shop.pcap                   port 53
--   tcplens script dns shop.pcap --arg port=5353   another

-- A number that --arg gives, or the default.
local function number(name, given, default)
  local n = tonumber(given or default)
  if not n then
    error(string.format("cannot read --arg %s=%s as a number; write --arg %s=%s", name, given, name, default), 0)
  end
  return n
end

local PORT = number("port", arg.port, 53)

-- An end of a connection; IPv6 addresses have brackets.
local function endpoint(ip, port)
  return (ip:find(":", 1, true) and "[" .. ip .. "]" or ip) .. ":" .. port
end

-- Seconds after which a query is forgotten.
local PATIENCE = 60

-- https://www.iana.org/assignments/dns-parameters, resource record types.
local TYPES = {
  [1] = "A", [2] = "NS", [3] = "MD", [4] = "MF", [5] = "CNAME", [6] = "SOA", [7] = "MB", [8] = "MG", [9] = "MR",
  [10] = "NULL", [11] = "WKS", [12] = "PTR", [13] = "HINFO", [14] = "MINFO", [15] = "MX", [16] = "TXT", [17] = "RP",
  [18] = "AFSDB", [24] = "SIG", [25] = "KEY", [28] = "AAAA", [29] = "LOC", [33] = "SRV", [35] = "NAPTR", [36] = "KX",
  [37] = "CERT", [39] = "DNAME", [41] = "OPT", [42] = "APL", [43] = "DS", [44] = "SSHFP", [45] = "IPSECKEY",
  [46] = "RRSIG", [47] = "NSEC", [48] = "DNSKEY", [49] = "DHCID", [50] = "NSEC3", [51] = "NSEC3PARAM", [52] = "TLSA",
  [53] = "SMIMEA", [55] = "HIP", [59] = "CDS", [60] = "CDNSKEY", [61] = "OPENPGPKEY", [62] = "CSYNC", [63] = "ZONEMD",
  [64] = "SVCB", [65] = "HTTPS", [99] = "SPF", [108] = "EUI48", [109] = "EUI64", [249] = "TKEY", [250] = "TSIG",
  [251] = "IXFR", [252] = "AXFR", [255] = "ANY", [256] = "URI", [257] = "CAA",
}

-- Queries without an answer: when they were asked, by client, server and id.
local asked = {}

-- Name and type of the question; nothing if they were not captured whole.
local function question(message)
  local labels, at = {}, 13
  for _ = 1, 128 do -- a name has at most 255 bytes
    local length = message:byte(at)
    if not length then
      return
    elseif length == 0 then
      local high, low = message:byte(at + 1, at + 2)
      if low then
        return table.concat(labels, ".") .. ".", high * 256 + low
      end
      return
    elseif length >= 192 then
      -- A pointer: only to what stands before it, so it comes to an end.
      local low = message:byte(at + 1)
      local to = low and (length - 192) * 256 + low + 1
      if not to or to >= at then
        return
      end
      at = to
    else
      labels[#labels + 1] = message:sub(at + 1, at + length):gsub("[^%g]", "?")
      at = at + length + 1
    end
  end
end

function process(packet)
  if packet.protocol ~= "udp" or packet.sport ~= PORT and packet.dport ~= PORT then
    return
  end
  local message = packet.payload
  local high, low, flags = message:byte(1, 3)
  if not flags or #message < 12 then
    return
  end
  local id = high * 256 + low
  if flags < 128 then
    local key = endpoint(packet.sip, packet.sport) .. " => " .. endpoint(packet.dip, packet.dport) .. " " .. id
    -- A query that is repeated was asked the first time.
    asked[key] = asked[key] or { packet.tv_sec, packet.tv_nsec }
    return
  end
  local name, kind = question(message)
  if not name then
    return
  end
  local key = endpoint(packet.dip, packet.dport) .. " => " .. endpoint(packet.sip, packet.sport) .. " " .. id
  local took, since = "-", asked[key]
  if since then
    asked[key] = nil
    took = string.format("%.3fms", (packet.tv_sec - since[1]) * 1e3 + (packet.tv_nsec - since[2]) / 1e6)
  end
  print(
    string.format(
      "%s.%06d | %s |  %s | %s | %s",
      os.date("!%Y-%m-%d %H:%M:%S", packet.tv_sec),
      packet.tv_usec,
      key,
      name,
      TYPES[kind] or "TYPE" .. kind,
      took
    )
  )
end

function on_tick(seconds)
  if seconds % PATIENCE == 0 then
    for key, since in pairs(asked) do
      if seconds - since[1] > PATIENCE then
        asked[key] = nil
      end
    end
  end
end
