-- One exchange of one member: the twin of policy/fleet/allot.py, rule by rule; the rules are told there.
-- KEYS: 1 state, 2 members, 3 expiry, 4 heads, 5 needs, 6 oldest, 7 endpoints, 8 ranks,
-- 9 sums, 10 their ends. All of one slot.
-- ARGV: 1 what is asked (JSON), 2 the prefix of the lists that wake members, 3 a time for tests, or "".
-- Every key expires an hour after the last exchange, sums after a month: nothing stays for ever.
local S, M, X, H, N, O, E, R = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local G, Y = KEYS[9], KEYS[10]
local SLICES, MOST_TELLERS, FORGOTTEN, MONTH, SPARE, SAME = 60, 64, 20, 30 * 86400000, 60000, 1e-6
local HEADS, KINDS, WOKEN, DROPPED = 16, 4, 4, 20
local OWED, LONG, GAP, BATON, FOLD_EVERY, MOST_EVENTS = 1e16, 60000, 2000, 2000, 1000, 100
local MOST_PEERS = 50
local BEHIND, MOST_BEHIND = 0.5, 1000
local LEARN, ROUNDING, RESERVE, SPREAD, HOUR, LOST = 0.4, 1e-6, 0.25, 4, 3600000, 60000
local call, floor, min, max, huge = redis.call, math.floor, math.min, math.max, math.huge
local pack, unpack_ = cmsgpack.pack, cmsgpack.unpack
local q = cjson.decode(ARGV[1])
local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
if ARGV[3] ~= '' then now = tonumber(ARGV[3]) end

local raw = call('HGET', S, 'd')
-- Where a key is gone and others are left, somebody has evicted or deleted it: then all is lost but
-- the sums, which heals. Else lanes would be counted of nobody, nobody's limits would bind, or what
-- is reserved of a sum would be given back without having been counted.
local count, f = call('HLEN', M), raw and unpack_(raw)
if count ~= call('ZCARD', X) or (not f and count > 0) or (f and (f.shares or 0) > call('HLEN', E))
  or (f and (f.sums or 0) > call('HLEN', G)) then
  for i = 1, 8 do call('PEXPIRE', KEYS[i], 0) end
  f, count = nil, 0
end
f = f or {born = 0, protocol = 0, epoch = 0, learning = 0, grants = 0, relief = '',
  used = {}, busy = {}, limits = {}, kept = 0, at = 0, gap = 0, lost = 0}
-- The fleet's time never goes back: where the server's clock does, it goes on from where it was.
now = now + (f.ahead or 0)
if now < (f.clock or 0) then f.ahead = (f.ahead or 0) + f.clock - now; now = f.clock end
f.clock = now
local silence = f.at ~= 0 and now - f.at or 0
if silence > GAP then f.gap = now end
if q.ttl > 0 and silence > 0.5 * q.ttl then f.learning = now + LEARN * q.ttl end
f.at = max(f.at, now)
-- The first write is one that a full server refuses: then nothing of the exchange has happened.
call('HSET', S, 'at', now)
if count ~= call('ZCARD', R) then  -- the ranks alone are gone: members have their epochs still
  f.kept = 0  -- and the new key no end
  for _, who in ipairs(call('ZRANGE', X, 0, -1)) do
    local packed = call('HGET', M, who)
    if packed then call('ZADD', R, unpack_(packed).epoch, who) end
  end
end

local shares, touched, members = {}, {}, nil
local function merge(into, more)
  for k, v in pairs(more) do
    if type(v) == 'table' then
      if into[k] == nil then into[k] = {} end
      merge(into[k], v)
    else
      into[k] = (into[k] or 0) + v
    end
  end
end

local function refill(s)
  local begun, lived_apart = max(s.at, f.gap), s.at < f.gap
  for name, rate in pairs(s.told.rate) do
    local level = s.level[name] or 0
    if lived_apart then level = min(level, 0) end
    level = level + rate * max(0, now - begun) / 1000
    local size = s.told.cap[name] - (s.out[name] or 0)
    local coming = s.refill[name]
    if coming and coming[1] <= now then
      level = max(level, coming[2] - (s.out[name] or 0)); s.refill[name] = nil
    end
    s.level[name] = min(level, size)
  end
  s.at = max(s.at, now)
end

local function share(name)
  local s = shares[name]
  if s ~= nil then return s or nil end
  local packed = call('HGET', E, name)
  if packed then
    s = unpack_(packed)
  else
    local mine = q.eps and q.eps[name]
    if not mine then shares[name] = false; return nil end
    s = {told = mine.told, level = {}, out = {}, refill = {}, at = now, closed = 0, cut = 0, probe = 0,
      said = {}, seen = {}, events = {}, lent = {}, lent_events = {}, baton = 0, fold = 0, folded = now, version = now}
    for r, cap in pairs(mine.told.cap) do s.level[r] = now >= f.lost and cap or 0 end
  end
  shares[name] = s
  touched[name] = true
  refill(s)
  return s
end

local function write_off(name, hand)
  local s = share(name)
  if not s then return end
  if not s.seen.sent then s.seen.sent = {} end
  for r, amount in pairs(hand) do
    s.out[r] = (s.out[r] or 0) - amount
    if amount > 0 then
      s.seen.sent[r] = (s.seen.sent[r] or 0) + amount
    elseif s.level[r] then
      s.level[r] = s.level[r] + amount
    end
  end
end

local sums, sums_touched = {}, {}
local function sum_of(key)
  if sums[key] == nil then
    local packed = call('HGET', G, key)
    sums[key] = packed and unpack_(packed) or false
  end
  return sums[key] or nil
end
local function put_sum(s, amount)
  if s.window == 0 or amount == 0 then return end
  local width = s.window / SLICES
  local ends, last = (floor(now / width) + 1) * width, s.slices[#s.slices]
  if last and last[1] == ends then
    last[2] = last[2] + amount
  else
    s.slices[#s.slices + 1] = {ends, amount}
  end
end
local function add_sum(s, amount) s.sum = s.sum + amount; put_sum(s, amount) end
local function lately(s)
  if s.window == 0 then return s.sum end
  local total = 0
  while s.slices[1] and s.slices[1][1] + s.window <= now do table.remove(s.slices, 1) end
  for _, slice in ipairs(s.slices) do total = total + slice[2] end
  return total
end
local function reserved_is_spent(m)
  local ids = {}
  for key in pairs(m.reserved or {}) do ids[#ids + 1] = key end
  table.sort(ids)
  for _, key in ipairs(ids) do
    local s = sum_of(key)
    if s then
      s.reserved = s.reserved - m.reserved[key]; add_sum(s, m.reserved[key])
      sums_touched[key] = true
    end
  end
end

local function told(limit) return string.format('%.17g', limit) end
local function say(values, value, change)
  local t = told(value)
  local many = (values[t] or 0) + change
  values[t] = many ~= 0 and many or nil
end
local function spread(values)
  local least, most = huge, -huge
  for t in pairs(values) do least = min(least, tonumber(t)); most = max(most, tonumber(t)) end
  return least, most
end
local function same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) ~= 'table' then return a == b end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end
local function say_endpoint(m, ep, own)
  local s, before = share(ep), m.said[ep] or {}
  if not s or same(own, before) then return end
  for field, value in pairs(before) do
    say(s.said[field], value, -1)
    if next(s.said[field]) == nil then s.said[field] = nil end
  end
  for field, value in pairs(own) do
    if not s.said[field] then s.said[field] = {} end
    say(s.said[field], value, 1)
  end
  m.said[ep] = own
end

local function drop(name)
  local packed = call('HGET', M, name)
  if f.relief == name then f.relief = '' end
  if packed then
    local m = unpack_(packed)
    for k, held in pairs(m.held) do
      f.used[k] = f.used[k] - held
      if f.used[k] == 0 then f.used[k] = nil end
    end
    for g, busy in pairs(m.busy) do f.busy[g] = f.busy[g] - busy end
    for _, head in ipairs(m.heads) do call('ZREM', H, head); call('HDEL', N, head) end
    for k, limit in pairs(m.limits) do
      say(f.limits[k], limit, -1)
      if next(f.limits[k]) == nil then f.limits[k] = nil end
    end
    reserved_is_spent(m)
    for name_, hand in pairs(m.hand) do write_off(name_, hand) end
    for name_ in pairs(m.said) do say_endpoint(m, name_, {}) end
    call('HDEL', M, name)
  end
  call('ZREM', X, name); call('ZREM', O, name); call('ZREM', R, name); call('HDEL', N, name .. '|o')
end

local function flush()
  for name in pairs(touched) do
    local s = shares[name]
    if s then call('HSET', E, name, pack(s)) end
  end
  for key in pairs(sums_touched) do
    if sums[key] then call('HSET', G, key, pack(sums[key])) end
  end
  local due = now - (f.kept or 0) > 60000
  local there = call('EXISTS', unpack(KEYS))
  if due or there > (f.ends or 0) then  -- a key that came to be since then has no end yet
    if due then f.kept = now end
    for i = 1, #KEYS do call('PEXPIRE', KEYS[i], i > 8 and MONTH or HOUR) end
  end
  f.ends = there; f.shares = call('HLEN', E); f.sums = call('HLEN', G)
  call('HSET', S, 'd', pack(f))
end

for _, name in ipairs(call('ZRANGEBYSCORE', X, '-inf', now, 'LIMIT', 0, DROPPED)) do drop(name) end
for _, key in ipairs(call('ZRANGEBYSCORE', Y, '-inf', now, 'LIMIT', 0, FORGOTTEN)) do
  call('ZREM', Y, key); call('HDEL', G, key); sums[key] = false; sums_touched[key] = nil
end
local name = q.m
if q.leave then
  drop(name)
  if call('HLEN', M) == 0 then f.at = 0 end
  flush()
  return cjson.encode({ok = 1})
end
if f.protocol ~= 0 and f.protocol ~= q.v then flush(); return cjson.encode({protocol = f.protocol}) end
raw = call('HGET', M, name)
local me = raw and unpack_(raw) or nil
if me and me.epoch == q.e then
  if me.number == q.n then flush(); return me.answer end
  if me.number > q.n then flush(); return cjson.encode({stale = 1}) end
end
if f.born == 0 then
  f.born = now; f.protocol = q.v
  if q.e ~= 0 then f.learning = now + LEARN * q.ttl; f.lost = now + LOST end
elseif q.e ~= 0 and q.born ~= f.born and now - f.born < LEARN * q.ttl then
  f.learning = max(f.learning, f.born + LEARN * q.ttl); f.lost = f.born + LOST
end

local function limit(key)
  if string.sub(key, 1, 2) == 'c:' then
    local s = share(string.sub(key, 3))
    return s and s.told.concurrency or huge
  end
  local values = f.limits[key]
  if not values then return huge end
  return (spread(values))
end
local function free(key) return limit(key) - (f.used[key] or 0) end

local answer, fresh = {}, false
if not me or me.epoch ~= q.e then
  if me then drop(name) end
  f.epoch = f.epoch + 1
  me = {epoch = f.epoch, number = 0, held = {}, busy = {}, hand = {}, heads = {}, limits = {}, said = {}}
  for k, l in pairs(q.limits) do
    if not f.limits[k] then f.limits[k] = {} end
    say(f.limits[k], l, 1)
    me.limits[k] = l
  end
  local lost = {}
  for k, use in pairs(q.use) do
    local claim = min(use, max(0, free(k)))
    if claim ~= 0 then me.held[k] = claim; f.used[k] = (f.used[k] or 0) + claim end
    if claim < use then lost[k] = use - claim end
  end
  fresh = true; answer.fresh = 1; answer.lost = lost
  call('ZADD', R, me.epoch, name)
end

-- What comes back.
local freed, full = false, false
local function hold(key, change)
  if change < 0 then freed = true end
  local held, used = (me.held[key] or 0) + change, (f.used[key] or 0) + change
  me.held[key] = held ~= 0 and held or nil
  f.used[key] = used ~= 0 and used or nil
end
local keys = {}
for k in pairs(me.held) do keys[k] = true end
for k in pairs(q.use) do keys[k] = true end
for k in pairs(keys) do
  local before = me.held[k] or 0
  local held = max(min(before, q.keep[k] or 0), q.use[k] or 0)
  if fresh then held = min(before, held) end
  hold(k, held - before)
end
keys = {}
for g in pairs(me.busy) do keys[g] = true end
for g in pairs(q.busy) do keys[g] = true end
for g in pairs(keys) do f.busy[g] = (f.busy[g] or 0) + (q.busy[g] or 0) - (me.busy[g] or 0) end
me.busy = q.busy

local hands, adds, kept, probes = {}, {}, {}, {}
local function refused(s, event)
  if event.sent <= s.cut then return end
  s.cut = now
  for r in pairs(s.level) do s.level[r] = min(s.level[r], 0) end
  local again = event.again or 0
  if again > 0 and now + again > s.closed then s.closed = now + again end
  s.version = s.version + 1
end
local function folded(ep, s, back)
  if back.id ~= s.fold or s.baton == 0 then return end
  s.baton = 0; s.folded = now; s.lent = {}; s.lent_events = {}
  call('HSET', E, ep .. '|state', back.state)
  if back.closed > s.closed or not same(back.told, s.told) then s.version = s.version + 1 end
  s.told = back.told
  s.closed = max(s.closed, back.closed); s.probe = 0; s.refill = back.refill
  local sent, returned = s.seen.sent or {}, s.seen.back or {}
  local since = max(0, now - back.at) / 1000
  s.level = {}
  for r, there in pairs(back.level) do
    local out = s.out[r] or 0
    local level = there + s.told.rate[r] * since - (sent[r] or 0)
    s.level[r] = min(level + (returned[r] or 0) - out, s.told.cap[r] - out)
  end
end
local function take_back(s, ep, report)
  local before, changed = me.hand[ep] or {}, {}
  for r in pairs(before) do changed[r] = true end
  for r in pairs(report.hand) do changed[r] = true end
  for r in pairs(report.give) do changed[r] = true end
  for r in pairs(changed) do
    s.out[r] = (s.out[r] or 0) + (report.hand[r] or 0) - (before[r] or 0)
    local back = report.give[r] or 0
    if s.level[r] then
      s.level[r] = min(s.level[r] + back, s.told.cap[r] - s.out[r])
      if back > 0 then freed = true end
    end
  end
  me.hand[ep] = report.hand
end
local gone = {}
for ep in pairs(me.hand) do if not q.eps[ep] then gone[#gone + 1] = ep end end
for _, ep in ipairs(gone) do write_off(ep, me.hand[ep]); me.hand[ep] = nil end
local endpoints = {}
for ep in pairs(q.eps) do endpoints[#endpoints + 1] = ep end
table.sort(endpoints)
for _, ep in ipairs(endpoints) do
  local s, report = share(ep), q.eps[ep]
  say_endpoint(me, ep, report.said)
  if q.folds[ep] then folded(ep, s, q.folds[ep]) end
  hands[ep] = {}
  if fresh then
    me.hand[ep] = {}
  else
    take_back(s, ep, report)
    for r, amount in pairs(report.hand) do hands[ep][r] = amount end
  end
  merge(s.seen, report.seen)
  for _, event in ipairs(report.events) do s.events[#s.events + 1] = event end
  while #s.events > MOST_EVENTS do table.remove(s.events, 1) end
  for _, event in ipairs(report.events) do if event.kind == 'limit' then refused(s, event) end end
end

-- Who goes before.
local members_ = call('HLEN', M)
if not raw or fresh then members_ = call('HEXISTS', M, name) == 1 and members_ or members_ + 1 end
local function owed(places)
  for _, k in ipairs(places) do
    local least = q.guaranteed[k] or 0
    if least > 0 and (f.used[k] or 0) < least then return OWED end
  end
  return 0
end
local better = {}
if f.relief ~= '' and f.relief ~= name then
  local need = call('HGET', N, f.relief .. '|o')
  if need then better[1] = {-1, unpack_(need), 0} end
end
local found = call('ZRANGE', H, 0, HEADS + KINDS - 1, 'WITHSCORES')
if #found > 0 then
  local ids = {}
  for i = 1, #found, 2 do ids[#ids + 1] = found[i] end
  local needs = call('HMGET', N, unpack(ids))
  for i, need in ipairs(needs) do
    if need then
      need = unpack_(need)
      if need.member ~= name and #better < HEADS then
        better[#better + 1] = {tonumber(found[2 * i]) - owed(need.places), need, i}
      end
    end
  end
end
table.sort(better, function(a, b) if a[1] ~= b[1] then return a[1] < b[1] end return a[3] < b[3] end)
local others, waits = 0, {}
for _, b in ipairs(better) do
  for _, k in ipairs(b[2].places) do if free(k) < 1 then others = 1 end end
  if b[2].endpoint then waits[b[2].endpoint] = 1 end
end

-- What is granted.
local function shut(s, ep)
  if s.closed > now then return s.closed - now end
  local breaker = s.told.breaker
  if breaker[1] == 'closed' then return 0 end
  if probes[ep] then return LONG end
  return max(0, breaker[2] - now, s.probe - now)
end
local function is_open(ep, amounts)
  local s = share(ep)
  if not s or shut(s, ep) > 0 then return false end
  for r, amount in pairs(amounts) do
    if (s.level[r] or huge) - ((kept[ep] or {})[r] or 0) < amount - ROUNDING then return false end
  end
  return true
end
local taken = {}
local function keep_for(need)
  local able = true
  if need.endpoint then
    local s = share(need.endpoint)
    if not s or shut(s, need.endpoint) > 0 then
      able = false
    else
      able = is_open(need.endpoint, need.amounts)
      local k = kept[need.endpoint] or {}
      for r, amount in pairs(need.amounts) do k[r] = (k[r] or 0) + amount end
      kept[need.endpoint] = k
    end
  end
  if able then for _, k in ipairs(need.places) do taken[k] = (taken[k] or 0) + 1 end end
end
local function hold_up(s, cause)
  if not s.seen.held then s.seen.held = {} end
  s.seen.held[cause] = (s.seen.held[cause] or 0) + 1
end
local function wait_for(ep, amounts)
  local s = share(ep)
  if not s then return LONG end
  local closed = shut(s, ep)
  if closed > 0 then hold_up(s, 'closed'); return closed end
  local longest, hand, k = 0, hands[ep] or {}, kept[ep] or {}
  for r, cap in pairs(s.told.cap) do
    local lack = min(amounts[r] or 0, cap) - (hand[r] or 0)
    local missing = lack + (k[r] or 0) - s.level[r]
    if lack > ROUNDING and missing > ROUNDING then
      hold_up(s, r)
      local rate = s.told.rate[r]
      local wait = rate > 0 and missing / rate * 1000 or LONG
      local coming = s.refill[r]
      if coming then wait = min(wait, max(1, coming[1] - now)) end
      longest = max(longest, wait, members_ / SPREAD)
    end
  end
  return longest
end
local function debit(s, ep, r, amount)
  s.level[r] = s.level[r] - amount
  s.out[r] = (s.out[r] or 0) + amount
  if not adds[ep] then adds[ep] = {} end
  adds[ep][r] = (adds[ep][r] or 0) + amount
end
local function give(ep, amounts)
  local s = share(ep)
  if not hands[ep] then hands[ep] = {} end
  local hand = hands[ep]
  for r, cap in pairs(s.told.cap) do
    local need = min(amounts[r] or 0, cap)
    local lack = max(0, need - (hand[r] or 0))
    if lack > 0 then debit(s, ep, r, lack) end
    hand[r] = (hand[r] or 0) + lack - need
  end
  if s.told.breaker[1] ~= 'closed' then probes[ep] = 1; s.probe = now + s.told.breaker[3] end
end
local function lacking(ep, amounts)
  local s, hand, lacks = share(ep), hands[ep] or {}, {}
  if not s then return lacks end
  for r, cap in pairs(s.told.cap) do
    local lack = min(amounts[r] or 0, cap) - max(0, hand[r] or 0)
    if lack > ROUNDING then lacks[r] = lack end
  end
  return lacks
end

local relieved, asks, oldest = f.relief == name, {}, nil
for i, ask in ipairs(q.asks) do
  if not ask.o then
    asks[#asks + 1] = {ask.s - owed(ask.k), i, ask}
  else
    oldest = oldest or ask
    if relieved then asks[#asks + 1] = {-2 * OWED, i, ask} end
  end
end
table.sort(asks, function(a, b) if a[1] ~= b[1] then return a[1] < b[1] end return a[2] < b[2] end)
local have, granted, wait, rest, rests = {}, 0, huge, {}, {}
for k, held in pairs(me.held) do have[k] = held - (q.use[k] or 0) end
local function try(ask)
  if now < f.learning then wait = min(wait, f.learning - now); return false end
  if ask.ep then
    local w = wait_for(ask.ep, ask.a)
    if w > 0 then wait = min(wait, w); return false end
  end
  local lacks = {}
  for _, k in ipairs(ask.k) do
    if (have[k] or 0) < 1 then
      if free(k) - (taken[k] or 0) < 1 then
        if string.sub(k, 1, 2) == 'c:' then hold_up(share(string.sub(k, 3)), 'concurrency') end
        full = true
        return false
      end
      lacks[k] = true
    end
  end
  for _, k in ipairs(ask.k) do if lacks[k] then hold(k, 1) else have[k] = have[k] - 1 end end
  if ask.ep then give(ask.ep, ask.a) end
  return true
end
local function note(ask)
  local kind = name .. '|' .. (ask.ep or '') .. '|' .. table.concat(ask.k, ',')
  if rest[kind] or #rests >= KINDS then return end
  local places = {}
  for _, k in ipairs(ask.k) do if (have[k] or 0) < 1 then places[#places + 1] = k end end
  rest[kind] = {ask.s, {member = name, places = places, endpoint = ask.ep,
    amounts = ask.ep and lacking(ask.ep, ask.a) or {}}}
  rests[#rests + 1] = kind
end
local before = 1
for _, a in ipairs(asks) do
  local ask = a[3]
  while better[before] and better[before][1] < a[1] do keep_for(better[before][2]); before = before + 1 end
  if try(ask) then
    granted = granted + 1
    if ask.o then f.relief = ''; answer.relief = 1 end
  elseif not ask.o then
    note(ask)
  end
end
while better[before] do keep_for(better[before][2]); before = before + 1 end
f.grants = f.grants + granted

-- A chunk ahead.
if now >= f.learning and not full and others == 0 then
  local n, groups = max(1, members_), {}
  for g in pairs(q.ahead) do groups[#groups + 1] = g end
  table.sort(groups)
  for _, g in ipairs(groups) do
    local most = min(q.ahead[g], floor(free('l') / n), floor(free(g) / n))
    if most > 0 and #rests == 0 then hold('l', most); hold(g, most) end
  end
  for _, ep in ipairs(endpoints) do
    local s, wanted = share(ep), q.eps[ep].ahead
    if next(wanted) and not waits[ep] and shut(s, ep) <= 0 and s.told.breaker[1] == 'closed' then
      local hand = hands[ep] or {}
      for r, cap in pairs(s.told.cap) do
        local chunk = min((wanted[r] or 0) - max(0, hand[r] or 0), (s.level[r] - RESERVE * cap) / n)
        if chunk > 0 then debit(s, ep, r, chunk) end
      end
    end
  end
end

-- What is kept.
for _, head in ipairs(me.heads) do
  if not rest[head] then call('ZREM', H, head); call('HDEL', N, head) end
end
me.heads = rests
for _, head in ipairs(rests) do
  call('ZADD', H, told(rest[head][1]), head); call('HSET', N, head, pack(rest[head][2]))
end
-- Whoever stands behind more heads than were looked at comes again later.
if wait < huge and #better > 0 then
  local behind = huge
  for _, head in ipairs(rests) do
    local ahead, ep, before_ = 0, rest[head][2].endpoint, call('ZRANK', H, head)
    local s = ep and share(ep)
    if s and before_ > HEADS then
      for r, rate in pairs(s.told.rate) do
        if rate > 0 then
          ahead = max(ahead, before_ / #better * ((kept[ep] or {})[r] or 0) / rate)
        end
      end
    end
    behind = min(behind, BEHIND * ahead * 1000)
  end
  if behind < huge then wait = max(wait, min(behind, MOST_BEHIND)) end
end
if oldest and #rests > 0 then
  local places = {}
  for _, k in ipairs(oldest.k) do
    if (me.held[k] or 0) <= (q.use[k] or 0) then places[#places + 1] = k end
  end
  call('ZADD', O, told(oldest.s), name)
  call('HSET', N, name .. '|o', pack({member = name, places = places, endpoint = oldest.ep,
    amounts = oldest.ep and lacking(oldest.ep, oldest.a) or {}}))
else
  if call('ZREM', O, name) == 1 then call('HDEL', N, name .. '|o') end
  if f.relief == name then f.relief = '' end
end
if f.grants >= q.boost and f.relief == '' and call('ZCARD', O) > 1 then
  f.relief = call('ZRANGE', O, 0, 0)[1]; f.grants = 0
end

answer.others = others; answer.waits = waits; answer.waiting = #better
answer.e = me.epoch; answer.n = q.n; answer.now = now; answer.born = f.born; answer.held = me.held
answer.members = members_; answer.rank = call('ZRANK', R, name) or 0
if wait < huge then answer.wait = wait end
if full then
  answer.full = 1; answer.busy = {}
  for g, busy in pairs(f.busy) do answer.busy[g] = busy - (me.busy[g] or 0) end
end
local function differ(all, mine)
  local found = nil
  for k in pairs(mine) do
    local least, most = spread(all[k] or {})
    if least < most then
      if not found then found = {} end
      found[k] = {least, most}
    end
  end
  return found
end
answer.limits = differ(f.limits, me.limits)
local function said_least(s)
  local found = {}
  for field, values in pairs(s.said) do found[field] = (spread(values)) end
  return found
end
local function said_other(a, b)
  for k, v in pairs(a) do
    if b[k] == nil or math.abs(v - b[k]) > 1e-9 * max(math.abs(v), math.abs(b[k])) then return true end
  end
  for k in pairs(b) do if a[k] == nil then return true end end
  return false
end
answer.eps = {}
for _, ep in ipairs(endpoints) do
  local s, add = share(ep), adds[ep] or {}
  local hand = me.hand[ep] or {}
  for r, amount in pairs(add) do hand[r] = (hand[r] or 0) + amount end
  me.hand[ep] = hand
  local one = {add = add, version = s.version}
  if q.eps[ep].version ~= s.version then one.told = s.told end
  if s.closed > now then one.closed = s.closed - now end
  if probes[ep] then one.probe = 1 end
  one.said = differ(s.said, me.said[ep] or {})
  local said = said_least(s)
  local due = (s.seen.n or 0) > 0 and now - s.folded >= FOLD_EVERY
  local late = s.baton ~= 0 and s.baton <= now
  if s.baton <= now and (#s.events > 0 or due or late or said_other(said, s.told.said)) then
    merge(s.seen, s.lent)
    s.lent = s.seen; s.seen = {}
    for _, event in ipairs(s.events) do s.lent_events[#s.lent_events + 1] = event end
    while #s.lent_events > MOST_EVENTS do table.remove(s.lent_events, 1) end
    s.events = {}; s.fold = s.fold + 1; s.baton = now + BATON
    one.fold = {id = s.fold, since = s.folded, state = call('HGET', E, ep .. '|state') or '', seen = s.lent,
      events = s.lent_events, running = f.used['c:' .. ep] or 0, told = s.told, said = said, members = members_}
  end
  answer.eps[ep] = one
end
if q.tally and next(q.tally) then
  local ids = {}
  if not me.reserved then me.reserved = {} end
  for key in pairs(q.tally) do ids[#ids + 1] = key end
  table.sort(ids)
  answer.tally = {}
  for _, key in ipairs(ids) do
    local teller, own, before_, known, recent, reserved, window = unpack(q.tally[key])
    local s = sum_of(key)
    if not s then
      s = {sum = known, window = window, reserved = 0, slices = {}, tellers = {}, born = f.born}
      sums[key] = s
      put_sum(s, recent)
    elseif known > s.sum + SAME then
      add_sum(s, known - s.sum)
      if s.tellers[teller] then s.tellers[teller] = before_ end
    end
    if s.born ~= f.born then
      add_sum(s, s.reserved); s.reserved = 0; s.born = f.born
    end
    local new = s.tellers[teller] == nil
    local more = own - (s.tellers[teller] or before_)
    if more ~= 0 then add_sum(s, more) end
    s.tellers[teller] = own
    if new then
      local tellers, total = 0, 0
      for _, spent in pairs(s.tellers) do tellers = tellers + 1; total = total + spent end
      if total > s.sum + SAME then add_sum(s, total - s.sum) end
      if tellers > MOST_TELLERS then
        for other in pairs(s.tellers) do
          local who, gone = string.match(other, '^(.*)#'), other ~= teller
          if who ~= name then gone = call('HEXISTS', M, who) == 0 end
          if gone then s.tellers[other] = nil end
        end
      end
    end
    s.reserved = s.reserved + reserved - (me.reserved[key] or 0)
    me.reserved[key] = reserved ~= 0 and reserved or nil
    call('ZADD', Y, told(now + (window > 0 and 2 * window + SPARE or MONTH)), key)
    sums_touched[key] = true
    answer.tally[key] = {s.sum, lately(s), s.reserved - reserved}
  end
end
me.ttl = q.ttl
if q.look then
  local function shown(amounts)
    local found = {}
    for r, amount in pairs(amounts) do found[r] = floor(amount * 1e6 + 0.5) / 1e6 end
    return found
  end
  local due, peers = call('ZRANGE', X, 0, MOST_PEERS - 1, 'WITHSCORES'), {}
  for i = 1, #due, 2 do
    local m = due[i] == name and me
    if not m then
      local packed_ = call('HGET', M, due[i])
      m = packed_ and unpack_(packed_)
    end
    if m then
      peers[#peers + 1] = {due[i], m.held.l or 0, #m.heads, max(0, tonumber(due[i + 1]) - now), m.held,
        m.ttl or 0}
    end
  end
  answer.peers, answer.pool, answer.shares = peers, {}, {}
  for k in pairs(me.limits) do answer.pool[k] = {f.used[k] or 0, limit(k)} end
  for _, ep in ipairs(endpoints) do
    local s = share(ep)
    answer.shares[ep] = {level = shown(s.level), out = shown(s.out), used = f.used['c:' .. ep] or 0,
      closed = max(0, s.closed - now), told = s.told}
  end
end
me.number = q.n
me.answer = cjson.encode(answer)
call('HSET', M, name, pack(me)); call('ZADD', X, now + q.ttl, name)

-- Who is woken: heads of others that may go now that something came back.
if freed and now >= f.learning then
  local woken, many, used = {}, 0, {}
  for _, b in ipairs(better) do
    local need, able = b[2], many < WOKEN
    if able and not woken[need.member] then
      for _, k in ipairs(need.places) do if free(k) - (used[k] or 0) < 1 then able = false end end
      if able and (not need.endpoint or is_open(need.endpoint, {})) then
        woken[need.member] = true; many = many + 1
        for _, k in ipairs(need.places) do used[k] = (used[k] or 0) + 1 end
        local list = ARGV[2] .. need.member
        if call('EXISTS', list) == 0 then call('LPUSH', list, 1); call('PEXPIRE', list, 2000) end
      end
    end
  end
end
flush()
return me.answer
