-- What a call costs whose table has every field: the word pairs in the text brings all of them.
function process(packet) end
