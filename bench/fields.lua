-- What a call costs that reads three fields.
local bytes, clients = 0, {}
function process(packet)
  bytes = bytes + packet.size
  clients[packet.sip] = packet.sport
end
