-- Names and habits of Lua 5.1 and 5.2 that 5.4 no longer has, so that older scripts run as they are. Not compatible:
-- numbers of whole value that come from a division print as 2.0.

local error, math_type, select, tonumber, type = error, math.type, select, tonumber, type

unpack = table.unpack
function table.getn(t)
  return #t
end
function table.maxn(t)
  local most = 0
  for key in pairs(t) do
    if math_type(key) and key > most then
      most = key
    end
  end
  return most
end
function table.foreach(t, f)
  for key, value in pairs(t) do
    local result = f(key, value)
    if result ~= nil then
      return result
    end
  end
end
function table.foreachi(t, f)
  for i = 1, #t do
    local result = f(i, t[i])
    if result ~= nil then
      return result
    end
  end
end
string.gfind = string.gmatch

math.pow = function(x, y)
  return x ^ y
end
math.mod = math.fmod
math.log10 = function(x)
  return math.log(x, 10)
end
math.cosh = function(x)
  return (math.exp(x) + math.exp(-x)) / 2
end
math.sinh = function(x)
  return (math.exp(x) - math.exp(-x)) / 2
end
math.tanh = function(x)
  local e = math.exp(-2 * x)
  return (1 - e) / (1 + e)
end
math.ldexp = function(m, e)
  return m * 2.0 ^ e
end
math.frexp = function(x)
  if x == 0 or x ~= x or x == math.huge or x == -math.huge then
    return x, 0
  end
  local e = math.floor(math.log(math.abs(x), 2)) + 1
  local m = x / 2.0 ^ e
  if math.abs(m) >= 1 then
    m, e = m / 2, e + 1
  elseif math.abs(m) < 0.5 then
    m, e = m * 2, e - 1
  end
  return m, e
end

-- bit32, as in the manual of 5.2: numbers modulo 2^32.

local ALL = 0xffffffff

local function word(value, n)
  local number = tonumber(value)
  if not number then
    error("bad argument #" .. n .. " (number expected, got " .. type(value) .. ")", 3)
  end
  if math_type(number) == "float" then
    number = number % 4294967296.0
    number = math.tointeger(number - number % 1)
    if not number then
      error("bad argument #" .. n .. " (number has no integer representation)", 3)
    end
  end
  return number & ALL
end

local function count(value)
  local number = math.tointeger(tonumber(value))
  if not number then
    error("bad argument #2 (integer expected)", 3)
  end
  return number
end

local function shift_left(x, n)
  if n <= -32 or n >= 32 then
    return 0
  end
  return n >= 0 and (x << n) & ALL or x >> -n
end

local function field(from, width)
  from, width = count(from), width == nil and 1 or count(width)
  if from < 0 or width < 1 or from + width > 32 then
    error("trying to access non-existent bits", 3)
  end
  return from, (1 << width) - 1
end

bit32 = {}

function bit32.band(...)
  local all = ALL
  for i = 1, select("#", ...) do
    all = all & word((select(i, ...)), i)
  end
  return all
end

function bit32.bor(...)
  local all = 0
  for i = 1, select("#", ...) do
    all = all | word((select(i, ...)), i)
  end
  return all
end

function bit32.bxor(...)
  local all = 0
  for i = 1, select("#", ...) do
    all = all ~ word((select(i, ...)), i)
  end
  return all
end

function bit32.btest(...)
  return bit32.band(...) ~= 0
end

function bit32.bnot(x)
  return ~word(x, 1) & ALL
end

function bit32.lshift(x, n)
  return shift_left(word(x, 1), count(n))
end

function bit32.rshift(x, n)
  return shift_left(word(x, 1), -count(n))
end

function bit32.arshift(x, n)
  x, n = word(x, 1), count(n)
  if n <= 0 or x < 0x80000000 then
    return shift_left(x, -n)
  end
  if n >= 32 then
    return ALL
  end
  return (x >> n | ~(ALL >> n)) & ALL
end

function bit32.lrotate(x, n)
  x, n = word(x, 1), count(n) % 32
  return (x << n | x >> (32 - n)) & ALL
end

function bit32.rrotate(x, n)
  return bit32.lrotate(x, -count(n))
end

function bit32.extract(x, from, width)
  local mask
  x = word(x, 1)
  from, mask = field(from, width)
  return x >> from & mask
end

function bit32.replace(x, value, from, width)
  local mask
  x, value = word(x, 1), word(value, 2)
  from, mask = field(from, width)
  return x & ~(mask << from) & ALL | (value & mask) << from
end

-- string.format of 5.2: `%d` and its kin cut the fraction off, `%u` is `%d`.

local format, gsub = string.format, string.gsub
-- By format: what 5.4 takes, and the numbers of the arguments that must be integers. Bounded: formats are few.
local known, most, have = {}, 200, 0

local function understand(text)
  local integers, n = {}, 0
  local plain = gsub(text, "%%([-+ #0]*%d*%.?%d*)(.)", function(flags, letter)
    if letter == "%" then
      return nil
    end
    n = n + 1
    if letter == "u" then
      letter = "d"
    end
    if letter == "d" or letter == "i" or letter == "x" or letter == "X" or letter == "o" or letter == "c" then
      integers[#integers + 1] = n
    end
    return "%" .. flags .. letter
  end)
  local entry = { plain, integers, #integers }
  if have >= most then
    known, have = {}, 0
  end
  known[text], have = entry, have + 1
  return entry
end

local function cut(value)
  if math_type(value) == "float" then
    local whole = value - math.fmod(value, 1)
    return math.tointeger(whole) or value
  end
  return value
end

function string.format(text, ...)
  if type(text) ~= "string" then
    return format(text, ...)
  end
  local entry = known[text] or understand(text)
  if entry[3] == 0 then
    return format(entry[1], ...)
  end
  local is_whole = true
  for i = 1, entry[3] do
    is_whole = is_whole and math_type((select(entry[2][i], ...))) ~= "float"
  end
  if is_whole then
    return format(entry[1], ...)
  end
  local n, arguments = select("#", ...), { ... }
  for i = 1, entry[3] do
    local at = entry[2][i]
    arguments[at] = cut(arguments[at])
  end
  return format(entry[1], unpack(arguments, 1, n))
end
