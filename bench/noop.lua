-- What a call costs: `process` that does nothing. CONTRIBUTING.md says how to measure with it.
function process(packet) end
