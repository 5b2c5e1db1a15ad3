-- What a call costs whose table has all the fields of tcpkit's.
local fields = "tv_sec tv_usec sip sport dip dport payload size seq ack flags window"
function process(packet) end
