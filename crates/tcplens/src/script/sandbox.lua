-- What a script finds in the table of globals: Lua 5.4's functions without those that reach outside, and with bounds on
-- those whose work the instruction count does not see. Run once, before the script.
--
-- A broken limit ends the call whatever the script does: `is_spent` is true from then on, and everything that catches
-- errors (pcall, xpcall, coroutines) passes them on. What runs in C without end, or long, is charged for beforehand.

local host, opens = ...
local charge, is_spent, write = host.charge, host.is_spent, host.write
local error, rawget, select, tonumber, tostring, type =
  error, rawget, select, tonumber, tostring, type
local own = { setmetatable = setmetatable }
local MEMORY = "not enough memory"
local SPENT = "the script's time is spent"

-- Catching errors.

-- The same functions under their own names: Lua's messages tell them.
local find, match, gmatch, gsub, sub = string.find, string.match, string.gmatch, string.gsub, string.sub

-- An error of one of Lua's functions that was called here, without this file's lines.
local function plain(message, ...)
  if type(message) == "string" and (sub(message, 1, 8) == "sandbox:" or sub(message, 1, 7) == "compat:") then
    message = gsub(message, "^%l+:%d+: ", "")
  end
  return message, ...
end

local function caught(ok, ...)
  if ok then
    return ok, ...
  elseif (...) == MEMORY or is_spent() then
    error((...), 0)
  end
  return ok, plain(...)
end

local pcall_, xpcall_ = pcall, xpcall

function pcall(...)
  return caught(pcall_(...))
end

function xpcall(...)
  return caught(xpcall_(...))
end

-- Coroutines. One that the limit stopped comes back as if it had yielded nothing.

local create, resume, close, yield, running =
  coroutine.create, coroutine.resume, coroutine.close, coroutine.yield, coroutine.running
local is_script = setmetatable({}, { __mode = "k" })

local function resumed(ok, ...)
  if not ok and (...) == MEMORY or (not ok or select("#", ...) == 0) and is_spent() then
    error(ok and SPENT or (...), 0)
  elseif not ok then
    return ok, plain(...)
  end
  return ok, ...
end

local function unwrapped(ok, ...)
  if ok then
    return ...
  end
  local message = ...
  -- As coroutine.wrap does: a text gets the place of who called.
  error(message, type(message) == "string" and 2 or 0)
end

function coroutine.create(f)
  charge(1000) -- it has an instruction count of its own
  local co = create(f)
  is_script[co] = true
  return co
end

function coroutine.resume(co, ...)
  return resumed(resume(co, ...))
end

function coroutine.wrap(f)
  local co = coroutine.create(f)
  return function(...)
    return unwrapped(resumed(resume(co, ...)))
  end
end

function coroutine.close(co)
  return resumed(close(co))
end

function coroutine.yield(...)
  if not is_script[running()] then
    error("attempt to yield from outside a coroutine", 2)
  end
  return yield(...)
end

function coroutine.isyieldable(co)
  return is_script[co or running()] == true
end

-- Tables and strings: loops in C.

local concat, insert, move, remove, sort, unpack =
  table.concat, table.insert, table.move, table.remove, table.sort, table.unpack
local byte, rep, upper, lower, reverse = string.byte, string.rep, string.upper, string.lower, string.reverse

local function length(t)
  return type(t) == "table" and #t or 0
end

local function span(from, to)
  if math.type(from) and math.type(to) and to > from then
    charge((to - from) // 8)
  end
end

function table.concat(t, between, from, to)
  span(from or 1, to or length(t))
  return concat(t, between, from or 1, to or #t)
end

function table.insert(t, ...)
  if select("#", ...) > 1 then
    span((...), length(t))
  end
  return insert(t, ...)
end

function table.move(t, from, to, ...)
  span(from, to)
  return move(t, from, to, ...)
end

function table.remove(t, ...)
  if select("#", ...) > 0 then
    span((...), length(t))
  end
  return remove(t, ...)
end

function table.sort(t, before)
  local n = length(t)
  if n > 1 then
    charge(n * math.log(n, 2) // 4)
  end
  return sort(t, before)
end

function table.unpack(t, from, to)
  span(from or 1, to or length(t))
  return unpack(t, from or 1, to or #t)
end

function string.byte(s, from, to)
  if to then
    span(from, to < 0 and #s or to)
  end
  return byte(s, from, to)
end

function string.rep(s, n, between)
  local bytes = type(s) == "string" and #s + (type(between) == "string" and #between or 0)
  if bytes == 0 then
    return "" -- Lua would count to n
  end
  if bytes and math.type(n) and n > 0 then
    charge(bytes * n // 64)
  end
  return rep(s, n, between)
end

for name, work in pairs({ upper = upper, lower = lower, reverse = reverse }) do
  string[name] = function(s)
    if type(s) == "string" and #s > 1000 then
      charge(#s // 64)
    end
    return work(s)
  end
end

string.dump = nil

-- Patterns. Lua's matcher is used where the worst that a pattern can do to a subject is little; else `host.search`, which
-- is slower, counts its steps, and finds the same.

local search = host.search
local LITTLE = host.little
-- By pattern: how often the subject's length goes into the worst case, and whether it is anchored. Bounded.
local powers, anchors, have = {}, {}, 0

local function study(pattern)
  if have >= 500 then
    powers, anchors, have = {}, {}, 0
  end
  local is_anchored = sub(pattern, 1, 1) == "^"
  -- Also counts signs that stand for themselves: to call a pattern worse than it is does no harm.
  local _, loops = gsub(pattern, "[*+-]", "")
  local _, walks = gsub(pattern, "%%[b%d]", "")
  local _, options = gsub(pattern, "%?", "")
  have = have + 1
  powers[pattern], anchors[pattern] = loops + walks + options / 3 + (is_anchored and 0 or 1), is_anchored
end

-- Whether Lua's own matcher may do it.
local function is_little(s, pattern)
  if type(s) ~= "string" or type(pattern) ~= "string" then
    return type(s) == "number" and type(pattern) == "string" or type(pattern) ~= "string"
  end
  if not powers[pattern] then
    study(pattern)
  end
  return (#s + 8) ^ powers[pattern] <= LITTLE
end

-- What `search` gives, or its error in the name of who called the function that called this.
local function found(is_right, ...)
  if not is_right then
    error((...), 3)
  end
  return ...
end

local function start_of(s, init)
  init = init or 1
  if init < 0 then
    init = #s + init + 1
  end
  return init < 1 and 1 or init
end

local function with_bounds(s, from, to, has_captures, ...)
  if not from then
    return nil
  end
  if has_captures then
    return from, to, ...
  end
  return from, to
end

function string.find(s, pattern, init, plain)
  local are_texts = type(s) == "string" and type(pattern) == "string"
  if are_texts and (plain or not find(pattern, "[%^%$%*%+%?%.%(%[%%%-]")) then
    charge(#s * #pattern // 16)
    return find(s, pattern, init, true)
  end
  if plain or is_little(s, pattern) then
    return find(s, pattern, init, plain)
  end
  return with_bounds(s, found(search(s, pattern, start_of(s, init), 0, anchors[pattern])))
end

local function all_captures(from, _, _, ...)
  if not from then
    return nil
  end
  return ...
end

function string.match(s, pattern, init)
  if is_little(s, pattern) then
    return match(s, pattern, init)
  end
  return all_captures(found(search(s, pattern, start_of(s, init), 0, anchors[pattern])))
end

function string.gmatch(s, pattern, init)
  if is_little(s, pattern) then
    return gmatch(s, pattern, init)
  end
  local at, last = start_of(s, init), 0
  local function step(from, to, _, ...)
    if not from then
      at = #s + 2
      return nil
    end
    at, last = to + 1, to + 1
    return ...
  end
  return function()
    return step(found(search(s, pattern, at, last, false)))
  end
end

local function template(text)
  if sub(text, -1) == "%" and #match(text, "%%*$") % 2 == 1 then
    error("invalid use of '%' in replacement string", 3)
  end
  return function(whole, ...)
    local all = { ... }
    local filled = gsub(text, "%%(.)", function(sign)
      if sign == "%" then
        return "%"
      elseif sign == "0" then
        return whole
      elseif not tonumber(sign) then
        error("invalid use of '%' in replacement string", 6)
      end
      local one = all[tonumber(sign)]
      if one == nil then
        error("invalid capture index %" .. sign .. " in replacement string", 6)
      end
      return tostring(one)
    end)
    return filled
  end
end

function string.gsub(s, pattern, with, most)
  local kind = type(with)
  if is_little(s, pattern) or kind ~= "string" and kind ~= "number" and kind ~= "table" and kind ~= "function" then
    return gsub(s, pattern, with, most)
  end
  local fill = (kind == "string" or kind == "number") and template(tostring(with))
  local parts, count, at, last = {}, 0, 1, 0
  local function step(from, to, _, ...)
    if not from then
      return false
    end
    count = count + 1
    local whole = sub(s, from, to)
    parts[#parts + 1] = sub(s, at, from - 1)
    local value
    if fill then
      value = fill(whole, ...)
    elseif kind == "table" then
      value = with[(...)]
    else
      value = with(...)
    end
    if not value then
      value = whole
    elseif type(value) ~= "string" and type(value) ~= "number" then
      error("invalid replacement value (a " .. type(value) .. ")", 3)
    end
    parts[#parts + 1] = value
    at, last = to + 1, to + 1
    return true
  end
  while not most or count < most do
    if not step(found(search(s, pattern, at, last, anchors[pattern]))) or anchors[pattern] then
      break
    end
  end
  parts[#parts + 1] = sub(s, at)
  return concat(parts), count
end

-- A finalizer would run where no limit reaches.

function setmetatable(t, mt)
  if type(mt) == "table" and rawget(mt, "__gc") ~= nil then
    error("a metatable with __gc cannot be set: finalizers are not available to scripts", 2)
  end
  return own.setmetatable(t, mt)
end

-- Output.

function print(...)
  local n = select("#", ...)
  if n == 1 then
    write(tostring((...)), "\n")
    return
  end
  local words = { ... }
  for i = 1, n do
    words[i] = tostring(words[i])
  end
  write(concat(words, "\t"), "\n")
end

-- What reaches outside.

collectgarbage, debug, warn = nil, nil, nil
if opens then
  local load_, loadfile_, stdout = load, loadfile, io.stdout
  -- Compiled chunks can break what Lua relies on.
  function load(chunk, name, _, ...)
    return load_(chunk, name, "t", ...)
  end
  function loadfile(name, _, ...)
    return loadfile_(name, "t", ...)
  end
  function dofile(name)
    local chunk, problem = loadfile_(name, "t")
    if not chunk then
      error(problem, 0)
    end
    return chunk()
  end
  function io.write(...)
    for i = 1, select("#", ...) do
      local value = select(i, ...)
      if type(value) ~= "string" and type(value) ~= "number" then
        error("bad argument #" .. i .. " to 'write' (string expected, got " .. type(value) .. ")", 2)
      end
      write(tostring(value), "")
    end
    return stdout
  end
  -- It would leave output unwritten.
  os.exit = nil
else
  os = { clock = os.clock, date = os.date, difftime = os.difftime, time = os.time }
  load, loadfile, dofile, require, package, io = nil, nil, nil, nil, nil, nil
end
